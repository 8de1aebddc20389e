/** `sotto front` before Debian's unbound, named, kresd, dnsdist and nsd, asked by kdig and dig. */
import assert from "node:assert/strict";
import { kdig, kdigTls, startFront } from "./our-front.ts";
import { peerTest, runCommand, runSotto, temporaryFolder } from "./peers.ts";
import { type ForeignServer, startForeignServer } from "./servers.ts";

/** These forward; NSD answers behind them. */
const NEEDS_BACKEND: ReadonlySet<string> = new Set(["kresd", "dnsdist"]);

function pools({ port, tlsPort, pin }: ForeignServer): string {
  const wrongPin = `${"A".repeat(43)}=`;
  return `pools:
  - { name: udp, backends: [{ address: "udp://127.0.0.1:${port}" }], cache: 0B }
  - { name: tcp, backends: [{ address: "tcp://127.0.0.1:${port}", connections: 2 }] }
  - { name: tls, backends: [{ address: "tls://127.0.0.1:${tlsPort}?pin=sha256:${pin}" }] }
  - { name: nobody, backends: [{ address: "tls://127.0.0.1:${tlsPort}?pin=sha256:${wrongPin}" }], retries: 0 }
rules:
  - { name: blocked, when: { name: { suffixes: [ads.interop.example] } }, then: { refuse: { rcode: NXDOMAIN, ede: 15 } } }
  - { name: over-tcp, when: { name: { suffixes: [mail.interop.example] } }, then: { route: tcp } }
  - { name: over-tls, when: { name: { suffixes: [alias.interop.example] } }, then: { route: tls } }
  - { name: wrong, when: { name: { suffixes: [ns.interop.example] } }, then: { route: nobody } }
`;
}

for (const name of ["unbound", "named", "kresd", "dnsdist"] as const) {
  peerTest(
    `the front end asks ${name} over UDP, TCP and TLS, speaks for itself to clients, and a wrong pin fails [7828-3.4-a 8467-4.1-b 8310-6.6-c]`,
    [name, "kdig", "nsd"],
    async (context) => {
      const folder = temporaryFolder(context);
      const behind = NEEDS_BACKEND.has(name) ? await startForeignServer("nsd", folder) : undefined;
      context.after(() => behind?.peer.stop());
      const server = await startForeignServer(name, folder, behind?.port);
      context.after(() => server.peer.stop());
      const front = await startFront(folder, pools(server));
      try {
        assert.match(await kdig(front, "www.interop.example", "A"), /192\.0\.2\.1/);
        // TC from a UDP backend is asked again over TCP.
        assert.match(await kdig(front, "+tcp", "big.interop.example", "TXT"), /ANSWER: 1;/);
        assert.match(await kdig(front, "mail.interop.example", "MX"), /10 www\.interop\.example\./);
        assert.match(await kdig(front, "alias.interop.example", "A"), /CNAME\twww\.interop\.example\./);
        assert.match(await kdig(front, "missing.interop.example", "A"), /status: NXDOMAIN/);
        const blocked = await kdig(front, "+edns", "x.ads.interop.example", "A");
        assert.match(blocked, /status: NXDOMAIN/);
        assert.match(blocked, /Blocked/i);
        const failed = await kdig(front, "+edns", "ns.interop.example", "A");
        assert.match(failed, /status: SERVFAIL/);
        assert.doesNotMatch(failed, /192\.0\.2\.53/);
        // Padding and keepalive are the front end's own, whatever the backend does.
        const padded = await kdigTls(front, "+padding", "www.interop.example", "A");
        assert.match(padded, /192\.0\.2\.1/);
        assert.match(padded, /PADDING/i);
        assert.match(padded, /Received 468 B/);
        const dig = await runCommand("dig", [
          "@127.0.0.1",
          ...["-p", String(front.port), "+tcp", "+keepalive", "+time=8", "mail.interop.example", "MX"],
        ]);
        // Ours shrinks under load only: 7 seconds, in the backend's words it would be 30 or none.
        assert.match(dig.stdout, /TCP[ -]KEEPALIVE: 7\.0/i);
        if (name === "named") {
          const zone = await kdig(front, "+tcp", "interop.example", "AXFR");
          assert.match(zone, /mail\.interop\.example\./);
          assert.match(zone, /big\.interop\.example\./);
          assert.equal(zone.match(/\tSOA\t/g)?.length, 2, zone);
          assert.match(
            await kdig(front, "+notcp", "interop.example", "AXFR", "+retry=0"),
            /SOA|refused|error/i,
          );
        }
        const status = await runSotto(["front", "status", "--config", front.file]);
        assert.equal(status.code, 0, status.stderr);
        assert.match(status.stdout, /pool tls/);
        assert.match(status.stdout, /blocked +1/);
      } finally {
        await front.peer.stop();
      }
    },
  );
}

// Its REFUSED for the root took it down, and RA was set on everything.
peerTest(
  "before NSD checks are good, authority is told, and recursion is not offered",
  ["nsd", "kdig"],
  async (context) => {
    const folder = temporaryFolder(context);
    const server = await startForeignServer("nsd", folder);
    context.after(() => server.peer.stop());
    const front = await startFront(
      folder,
      `pools: [{ name: nsd, backends: [{ address: "tcp://127.0.0.1:${server.port}" }], health: { interval: 100ms, fall: 1 } }]`,
    );
    try {
      let backend: { state: string; why: string; counters: { answered: number } } | undefined;
      while ((backend?.counters.answered ?? 0) < 3) {
        const status = await runSotto(["front", "status", "--json", "--config", front.file]);
        [backend] = JSON.parse(status.stdout).pools[0].backends;
      }
      assert.equal(backend?.state, "up", String(backend?.why));
      const answer = await kdig(front, "+norec", "www.interop.example", "A");
      assert.match(answer, /Flags: qr aa;/);
    } finally {
      await front.peer.stop();
    }
  },
);
