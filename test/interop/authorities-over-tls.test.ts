/** Opportunistic encryption to authorities (RFC 9539): Debian's NSD with TLS is found out and then asked encrypted only. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, peerTest, runCommand, SOTTO, startPeer, temporaryFolder } from "./peers.ts";
import { startForeignServer } from "./servers.ts";

/** Names that do not exist: each has to be asked for. */
const QUERIES_MAX = 50;

peerTest(
  "an authority that encrypts is asked encrypted after the first query, also after a restart [9539-4-a] [9539-4-c]",
  ["nsd", "kdig"],
  async (context) => {
    const folder = temporaryFolder(context);
    const nsd = await startForeignServer("nsd", folder);
    context.after(() => nsd.peer.stop());
    const port = await freePort();
    const file = join(folder, "sotto.yaml");
    const state = join(folder, "encryption.state");
    writeFileSync(
      file,
      `listen:
  - { transport: udp, address: 127.0.0.1, port: ${port} }
workers: 1
resolver: { port: ${nsd.port}, encryption-port: ${nsd.tlsPort}, encryption-state: ${state}, qname-minimisation: off }
cache: { aggressive-denial: false, nxdomain-cut: false }
dnssec: { validation: false }
stub-zones: [{ name: interop.example., servers: ["127.0.0.1"] }]
`,
    );
    const serve = () =>
      startPeer(process.execPath, [...SOTTO, "serve", "--config", file], (output) =>
        output.includes("ready"),
      );
    const ask = async (name: string): Promise<string> =>
      (await runCommand("kdig", ["@127.0.0.1", "-p", String(port), "+time=12", "+retry=0", name, "A"]))
        .stdout;
    const first = await serve();
    assert.match(await ask("www.interop.example"), /192\.0\.2\.1/);
    let encrypted = 0;
    for (let i = 0; i < QUERIES_MAX && encrypted < 3; i++) {
      assert.match(await ask(`n${i}.interop.example`), /status: NXDOMAIN/);
      first.process.kill("SIGUSR2");
      encrypted = lastCount(first.output(), "encrypted");
    }
    assert.ok(encrypted >= 3, first.output());
    await first.stop();
    assert.match(readFileSync(state, "utf8"), /^127\.0\.0\.1 works \d+$/m);
    const second = await serve();
    assert.match(await ask("www.interop.example"), /192\.0\.2\.1/);
    second.process.kill("SIGUSR2");
    for (let i = 0; i < QUERIES_MAX && lastCount(second.output(), "encrypted") < 1; i++)
      await ask("www.interop.example");
    assert.equal(lastCount(second.output(), "clear"), 0);
    await second.stop();
  },
);

/** The newest counter of that name in the log. */
function lastCount(output: string, name: string): number {
  const counts = [...output.matchAll(new RegExp(`"authorities":\\{[^}]*"${name}":(\\d+)`, "g"))];
  return Number(counts.at(-1)?.[1] ?? 0);
}
