/** Two workers of `sotto front` before Debian's unbound and NSD: dnsperf's load goes on through a reload, a backend taken out of use, and the end. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { kdig, kdigTls, type OurFront, startFront } from "./our-front.ts";
import { type CommandResult, peerTest, runCommand, runSotto, temporaryFolder } from "./peers.ts";
import { startForeignServer } from "./servers.ts";

/** As much as is looked at. */
interface Status {
  readonly connections: number;
  readonly workers: readonly { readonly state: string; readonly queries: number }[];
  readonly pools: readonly {
    readonly backends: readonly { readonly counters: { readonly sent: number } }[];
  }[];
}

async function front(ours: OurFront, command: string, ...words: string[]): Promise<CommandResult> {
  return runSotto(["front", command, ...words, "--config", ours.file]);
}

async function statusOf(ours: OurFront): Promise<Status> {
  return JSON.parse((await front(ours, "status", "--json")).stdout) as Status; // What the command gives.
}

/** Waits for a line after what has been logged. */
async function logged({ peer }: OurFront, from: number, what: RegExp): Promise<void> {
  while (!what.test(peer.output().slice(from)))
    await Promise.race(
      [peer.process.stdout, peer.process.stderr].map((stream) => once(stream ?? peer.process, "data")),
    );
}

peerTest(
  "two workers of the front end lose no query of dnsperf while backends are drained and the file is reloaded, and end together",
  ["unbound", "nsd", "kdig", "dnsperf"],
  async (context) => {
    const folder = temporaryFolder(context);
    const [unbound, nsd] = [
      await startForeignServer("unbound", folder),
      await startForeignServer("nsd", folder),
    ];
    context.after(() => Promise.all([unbound.peer.stop(), nsd.peer.stop()]));
    const ours = await startFront(
      folder,
      `workers: 2
pools:
  - name: main
    backends: [{ name: unbound, address: "tcp://127.0.0.1:${unbound.port}" }, { name: nsd, address: "tcp://127.0.0.1:${nsd.port}" }]
    health: { name: interop.example, type: SOA }
    cache: 0B
`,
    );
    context.after(() => ours.peer.stop());
    assert.match(await kdig(ours, "www.interop.example", "A"), /192\.0\.2\.1/);
    assert.match(await kdig(ours, "+tcp", "big.interop.example", "TXT"), /ANSWER: 1;/);
    assert.match(await kdigTls(ours, "+padding", "mail.interop.example", "MX"), /10 www\.interop\.example\./);

    writeFileSync(join(folder, "queries"), "www.interop.example A\nmail.interop.example MX\n");
    const load = (mode: string, port: number, seconds: number): Promise<CommandResult> => {
      const args = ["-s", "127.0.0.1", "-p", String(port), "-m", mode, "-d", join(folder, "queries")];
      return runCommand("dnsperf", [...args, "-c", "16", "-q", "64", "-l", String(seconds), "-Q", "2000"]);
    };
    const loads = [load("tcp", ours.port, 8), load("dot", ours.tlsPort, 8)];
    assert.match((await front(ours, "drain", "main", "unbound")).stdout, /draining/);
    const sent = async (): Promise<number> =>
      (await statusOf(ours)).pools[0]?.backends[0]?.counters.sent ?? 0;
    const before = await sent();
    assert.ok((await sent()) - before < 10, "only checks go to a backend that is drained");
    appendFileSync(
      ours.file,
      "rules: [{ name: block, when: { name: { suffixes: [ads.interop.example] } }, then: { refuse: { ede: 15 } } }]\n",
    );
    const from = ours.peer.output().length;
    ours.peer.process.kill("SIGHUP");
    await logged(ours, from, /changed rules/);
    assert.equal((await front(ours, "resume", "main", "unbound")).code, 0);
    for (const { stdout, stderr } of await Promise.all(loads)) {
      assert.match(stdout, /Queries lost: +0 /, stdout + stderr);
      assert.match(stdout, /Response codes: +NOERROR \d+ \(100\.00%\)/);
    }
    // Each query is a client of its own: the kernel gives it to one or the other.
    for (let i = 0; i < 8; i++)
      assert.match(await kdig(ours, "+edns", "x.ads.interop.example", "A"), /status: REFUSED/);
    const { workers } = await statusOf(ours);
    assert.ok(
      workers.length === 2 && workers.every(({ state, queries }) => state === "serving" && queries > 1000),
      JSON.stringify(workers),
    );
    assert.match((await front(ours, "status")).stdout, / 1 +serving/);

    const good = readFileSync(ours.file, "utf8");
    writeFileSync(ours.file, good.replace("suffixes", "sufixes"));
    ours.peer.process.kill("SIGHUP");
    await logged(ours, from, /reload refused: .*sufixes: unknown key/);
    assert.match(await kdig(ours, "x.ads.interop.example", "A"), /status: REFUSED/);
    writeFileSync(ours.file, good);
    const ended = once(ours.peer.process, "exit");
    const last = load("tcp", ours.port, 4);
    while ((await statusOf(ours)).connections === 0);
    ours.peer.process.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
    await last;
  },
);
