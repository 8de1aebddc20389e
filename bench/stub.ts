/**
 * `npm run bench:stub -- [--only WORD…] [--rounds N] [--json] [--write]`: what a lookup costs through the library and through what
 * else there is for Node, beside each other at one local server. Needs Debian's unbound and kdig; takes about four minutes.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CLIENTS } from "./stub/clients.ts";
import { runRounds } from "./stub/rounds.ts";
import { startServer } from "./stub/server.ts";

const { values: options } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    concurrency: { type: "string", multiple: true },
    rounds: { type: "string" },
    json: { type: "boolean" },
    write: { type: "boolean" },
  },
});
const clients = CLIENTS.filter(({ key }) => options.only?.some((word) => key.includes(word)) ?? true);
const folder = mkdtempSync(join(tmpdir(), "sotto-stub-"));
const { facts, peer } = await startServer(folder);
try {
  const figures = await runRounds({
    clients,
    facts,
    concurrencies: (options.concurrency ?? ["1", "10", "100"]).map(Number),
    rounds: Number(options.rounds ?? 5),
    roundMs: 500,
  });
  for (const f of figures)
    console.log(
      f.client.key.padEnd(16),
      String(f.concurrency).padStart(4),
      f.lookupsPerSecond.toFixed(0).padStart(7),
      f.cpuUs.toFixed(1).padStart(7),
      `${f.cpuUsRange[0].toFixed(0)}..${f.cpuUsRange[1].toFixed(0)}`.padStart(10),
      f.p50Ms.toFixed(3),
      f.p99Ms.toFixed(3),
    );
} finally {
  await peer.stop();
  rmSync(folder, { recursive: true });
}
