/** `sotto serve` in forward mode: Debian's unbound, named, kresd and dnsdist behind it, asked over UDP, TCP and TLS. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, peerTest, runCommand, SOTTO, startPeer, temporaryFolder } from "./peers.ts";
import { type ForeignServer, startForeignServer } from "./servers.ts";

/** Upstreams by the transport they are asked over; the last must fail, and nothing may be asked in clear instead. */
function zones(server: ForeignServer): string {
  const { pin, port, tlsPort } = server;
  const wrongPin = `${"A".repeat(43)}=`;
  return `dnssec: { validation: false }
forward-zones:
  - { name: www.interop.example., upstreams: ["udp://127.0.0.1:${port}"] }
  - { name: mail.interop.example., upstreams: ["tcp://127.0.0.1:${port}"] }
  - { name: big.interop.example., upstreams: ["udp://127.0.0.1:${port}"] }
  - { name: alias.interop.example., upstreams: ["tls://127.0.0.1:${tlsPort}?pin=sha256:${pin}"] }
  - { name: ns.interop.example., upstreams: ["tls://127.0.0.1:${tlsPort}?pin=sha256:${wrongPin}"] }
  - { name: missing.interop.example., upstreams: ["udp://127.0.0.1:1", "tls://127.0.0.1:${tlsPort}?pin=sha256:${pin}"] }
`;
}

/** These forward; NSD answers behind them. */
const NEEDS_BACKEND: ReadonlySet<string> = new Set(["kresd", "dnsdist"]);

for (const name of ["unbound", "named", "kresd", "dnsdist"] as const) {
  peerTest(
    `names are forwarded to ${name} over UDP, TCP and TLS, and a wrong pin fails instead of falling back [8310-6.6-c]`,
    [name, "kdig", "nsd"],
    async (context) => {
      const folder = temporaryFolder(context);
      const backend = NEEDS_BACKEND.has(name) ? await startForeignServer("nsd", folder) : undefined;
      context.after(() => backend?.peer.stop());
      const server = await startForeignServer(name, folder, backend?.port);
      const port = await freePort();
      const file = join(folder, "sotto.yaml");
      writeFileSync(
        file,
        `listen:\n  - { transport: udp, address: 127.0.0.1, port: ${port} }\n  - { transport: tcp, address: 127.0.0.1, port: ${port} }\n${zones(server)}`,
      );
      const sotto = await startPeer(process.execPath, [...SOTTO, "serve", "--config", file], (output) =>
        output.includes("ready"),
      );
      const ask = async (...args: string[]): Promise<string> =>
        (await runCommand("kdig", ["@127.0.0.1", "-p", String(port), "+time=12", "+retry=0", ...args]))
          .stdout;
      try {
        assert.match(await ask("www.interop.example", "A"), /192\.0\.2\.1/);
        assert.match(await ask("mail.interop.example", "MX"), /10 www\.interop\.example\./);
        assert.match(await ask("big.interop.example", "TXT"), /ANSWER: 1;/);
        assert.match(await ask("alias.interop.example", "A"), /CNAME\twww\.interop\.example\./);
        assert.match(
          await ask("missing.interop.example", "A"),
          /status: NXDOMAIN/,
          "the second upstream answers when nobody listens at the first",
        );
        const refused = await ask("+edns", "ns.interop.example", "A");
        assert.match(refused, /status: SERVFAIL/);
        assert.doesNotMatch(refused, /192\.0\.2\.53/);
      } finally {
        await sotto.stop();
        await server.peer.stop();
      }
    },
  );
}
