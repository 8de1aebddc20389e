/**
 * `npm run bench:attacks -- [--queries N] [--json] [--write]`: what attacks cost a resolver per client query, ours beside
 * Debian's unbound in one run: CPU of the server's process, messages to authorities, time until the client is told. Needs
 * root for port 53 on 127.51.100.x.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DnsError } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import type { Tamper } from "@sotto/dns/testing";
import { Exchanger } from "@sotto/dns/transport";
import { makeEdns, parseName, RRClass, RRType, rcodeToText } from "@sotto/dns/wire";
import { exposeInternet } from "../packages/sotto/src/playground/expose.ts";
import { type RunningResolver, startSotto, startUnbound } from "../test/interop/resolvers.ts";

interface Attack {
  readonly title: string;
  /** The name that client query `n` asks for; no two need the same work. */
  readonly nameOf: (n: number) => string;
}

const ATTACKS: readonly Attack[] = [
  { title: "none: a new name of a signed wildcard", nameOf: (n) => `n${n}.wild.alg13.dnssec.` },
  { title: "KeyTrap: 61 keys of one tag, 60 signatures", nameOf: (n) => `a${n}.x.keytrap.dnssec.` },
  { title: "500 wrong signatures", nameOf: (n) => `a${n}.x.sigs500.dnssec.` },
  { title: "names of 42 labels, NSEC3 with 150 rounds", nameOf: (n) => `${labels(n)}.encloser.dnssec.` },
  { title: "NXNSAttack: 135 servers that do not exist", nameOf: (n) => `w${n}.d${n % 50}.nxns.dnssec.` },
  { title: "TsuNAME: zones that serve each other", nameOf: (n) => `w${n}.a${n % 50}.tsuname.dnssec.` },
  { title: "1000 delegations in a chain", nameOf: (n) => `w${n}.d${(n * 10) % 990}.chainns.dnssec.` },
  { title: "1000 aliases in a chain (CAMP)", nameOf: (n) => `c${(n * 13) % 980}.aliases.dnssec.` },
  { title: "referrals without end", nameOf: (n) => `w${n}.endless.lab.` },
];

/** The new part comes last, so that no hash is known from before. */
const labels = (n: number): string =>
  Array.from({ length: 40 }, (_, i) => `l${i}${i === 39 ? `n${n}` : ""}`).join(".");

interface Cost {
  readonly cpuMicros: number;
  readonly messages: number;
  readonly medianMs: number;
  /** Response codes with how often they came. */
  readonly outcomes: string;
}

const { values: options } = parseArgs({
  options: { queries: { type: "string" }, json: { type: "boolean" }, write: { type: "boolean" } },
});
const QUERIES = Number(options.queries ?? "200");
const CLIENTS = 4;
const PATIENCE_MS = 20_000;
/** Of the kernel's accounting (`getconf CLK_TCK`), per second. */
const TICKS = 100;

let heard = 0;
const count: Tamper = (_server, _heard, action) => {
  heard++;
  return action;
};

const runtime = nodeRuntime();
const folder = mkdtempSync(join(tmpdir(), "sotto-attacks-"));
const internet = await exposeInternet(53, folder, runtime, count);
const results = new Map<string, readonly Cost[]>();
try {
  const facts = { exposed: internet.facts };
  for (const [name, start] of Object.entries({ sotto: startSotto, unbound: startUnbound })) {
    process.stderr.write(`${name} …\n`);
    const resolver = await start(folder, facts, { isValidating: true });
    const costs: Cost[] = [];
    for (const attack of ATTACKS) costs.push(await measure(resolver, attack));
    results.set(name, costs);
    await resolver.peer.stop();
  }
} finally {
  await internet.close();
  rmSync(folder, { recursive: true });
}

const rows = ATTACKS.map(({ title }, i) => ({
  attack: title,
  sotto: results.get("sotto")?.[i],
  unbound: results.get("unbound")?.[i],
}));
if (options.json === true) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
else process.stdout.write(table());
if (options.write === true) writeFileSync(join(import.meta.dirname, "../docs/evidence/attacks.md"), page());

async function measure({ peer, port }: RunningResolver, { nameOf }: Attack): Promise<Cost> {
  const exchanger = new Exchanger({}, runtime);
  const outcomes = new Map<string, number>();
  const tookMs: number[] = [];
  let next = 0;
  const pid = peer.process.pid ?? 0;
  const heardBefore = heard;
  const cpuBefore = cpuTicks(pid);
  const client = async (): Promise<void> => {
    while (next < QUERIES) {
      const name = nameOf(next++);
      const startMs = runtime.clock.nowMs();
      const outcome = await ask(exchanger, port, name);
      tookMs.push(runtime.clock.nowMs() - startMs);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  await exchanger.close();
  tookMs.sort((a, b) => a - b);
  return {
    cpuMicros: ((cpuTicks(pid) - cpuBefore) * 1_000_000) / TICKS / QUERIES,
    messages: (heard - heardBefore) / QUERIES,
    medianMs: tookMs[QUERIES >> 1] ?? 0,
    outcomes: [...outcomes].map(([rcode, times]) => `${rcode} ${times}`).join(", "),
  };
}

async function ask(exchanger: Exchanger, port: number, name: string): Promise<string> {
  try {
    const { message } = await exchanger.exchange({
      question: { name: parseName(name), type: RRType.A, class: RRClass.IN },
      server: { address: "127.0.0.1", port },
      transport: "udp",
      recursionDesired: true,
      checkingDisabled: false,
      authenticData: true,
      edns: makeEdns({ dnssecOk: true }),
      deadlineMs: runtime.clock.nowMs() + PATIENCE_MS,
    });
    return rcodeToText(message.rcode);
  } catch (cause) {
    if (!DnsError.is(cause)) throw cause;
    return "no answer";
  }
}

/** User and system time of a process (proc(5), fields 14 and 15). */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "ascii")
    .replace(/^.*\) /s, "")
    .split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

function table(): string {
  const head =
    "| attack | CPU µs: ours | unbound | ratio | messages: ours | unbound | ms: ours | unbound | outcome: ours | unbound |\n|---|--:|--:|--:|--:|--:|--:|--:|---|---|\n";
  const lines = rows.map(({ attack, sotto, unbound }) => {
    if (sotto === undefined || unbound === undefined) return `| ${attack} |\n`;
    const ratio = unbound.cpuMicros === 0 ? "–" : (sotto.cpuMicros / unbound.cpuMicros).toFixed(1);
    const cells = [
      attack,
      sotto.cpuMicros.toFixed(0),
      unbound.cpuMicros.toFixed(0),
      ratio,
      sotto.messages.toFixed(1),
      unbound.messages.toFixed(1),
      sotto.medianMs.toFixed(0),
      unbound.medianMs.toFixed(0),
      sotto.outcomes,
      unbound.outcomes,
    ];
    return `| ${cells.join(" | ")} |\n`;
  });
  return head + lines.join("");
}

function page(): string {
  return `# What attacks cost

Written by \`npm run bench:attacks -- --write\` on Node ${process.versions.node}, Linux ${release()}, ${cpus().length} cores that servers, authorities and clients share. Do not edit.

Per client query, of ${QUERIES} with new names each: CPU of the resolver's process by the kernel's accounting (10 ms grains), messages that authorities got from it, median time until the client had its answer. Both validate; the attacked zones are in \`packages/dns/src/testing/fake-internet/attack.zones.ts\`.

${table()}`;
}
