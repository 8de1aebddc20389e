/**
 * Speed of the codec beside dns-packet: `npm run bench:codec`, with `-- --json` for machines. Rounds of all cases are
 * interleaved, so that a busy machine disturbs all of them alike; the medians of the rounds are compared.
 */
import { writeFileSync } from "node:fs";
import { arch, cpus } from "node:os";
import { parseArgs } from "node:util";
import { encodeMessage, MessageView, OctetWriter, tryDecodeMessage } from "@sotto/dns/wire";
import { decode, encode } from "dns-packet";
import { type BenchMessage, benchMessages, wireOf } from "./codec-messages.ts";
import { readEverything } from "./codec-read.ts";

interface Case {
  readonly message: string;
  readonly octets: number;
  readonly work: string;
  readonly run: () => number;
  readonly nanoseconds: number[];
}

interface Row {
  readonly message: string;
  readonly octets: number;
  readonly work: string;
  readonly medianNs: number;
}

const ROUNDS = 41;
const ROUND_MS = 4;

/** What every run gives is added up here, so that no work can be optimised away. */
let sink = 0;

function casesOf(bench: BenchMessage): Case[] {
  const wire = wireOf(bench);
  // dns-packet reads Node Buffers only; ours reads both.
  const buffer = Buffer.from(wire);
  const theirs = decode(buffer);
  const read = tryDecodeMessage(wire);
  if (!read.ok) throw new Error(read.problem);
  const ours = read.value;
  const writer = new OctetWriter(4096);
  const view = new MessageView();
  const make = (work: string, run: () => number): Case => ({
    message: bench.title,
    octets: wire.length,
    work,
    run,
    nanoseconds: [],
  });
  return [
    make("view", () => (view.reset(wire) === undefined ? view.qtype : 0)),
    make("decode", () => {
      const message = tryDecodeMessage(wire);
      return message.ok ? message.value.answers.length : 0;
    }),
    make("decode and read", () => {
      const message = tryDecodeMessage(wire);
      return message.ok ? readEverything(message.value) : 0;
    }),
    make("dns-packet decode", () => decode(buffer).answers.length),
    make("encode", () => encodeMessage(ours).length),
    make("encode, own writer", () => encodeMessage(ours, { writer }).length),
    make("dns-packet encode", () => encode(theirs).length),
  ];
}

function measure(cases: readonly Case[]): void {
  for (let round = 0; round < ROUNDS; round++) {
    for (const one of cases) {
      // The first rounds warm up; their figures are dropped by `median`.
      const start = process.hrtime.bigint();
      const end = start + BigInt(ROUND_MS * 1_000_000);
      let runs = 0;
      let now = start;
      while (now < end) {
        for (let i = 0; i < 500; i++) sink += one.run();
        runs += 500;
        now = process.hrtime.bigint();
      }
      one.nanoseconds.push(Number(now - start) / runs);
    }
  }
}

function median(figures: readonly number[]): number {
  const warm = figures.slice(Math.floor(figures.length / 4)).sort((a, b) => a - b);
  return warm[Math.floor(warm.length / 2)] ?? Number.NaN;
}

function table(rows: readonly Row[]): string {
  const find = (message: string, work: string): number =>
    rows.find((row) => row.message === message && row.work === work)?.medianNs ?? Number.NaN;
  const ns = (value: number): string => value.toFixed(value < 100 ? 1 : 0);
  const times = (theirs: number, ours: number): string => `${(theirs / ours).toFixed(1)}×`;
  const messages = [...new Set(rows.map((row) => row.message))];
  const lines = messages.map((message) => {
    const octets = rows.find((row) => row.message === message)?.octets;
    const at = (work: string): number => find(message, work);
    const theirDecode = at("dns-packet decode");
    const theirEncode = at("dns-packet encode");
    return (
      `| ${message} | ${octets} | ${ns(at("view"))} | ${ns(at("decode"))} | ${ns(at("decode and read"))} | ${ns(theirDecode)} | ` +
      `${times(theirDecode, at("decode"))} · ${times(theirDecode, at("decode and read"))} | ` +
      `${ns(at("encode"))} | ${ns(at("encode, own writer"))} | ${ns(theirEncode)} | ` +
      `${times(theirEncode, at("encode"))} · ${times(theirEncode, at("encode, own writer"))} |`
    );
  });
  return [
    "| message | octets | view | decode | decode and read | dns-packet decode | faster | encode | encode, own writer | dns-packet encode | faster |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}

function page(rows: readonly Row[]): string {
  return `# Speed of the codec

Nanoseconds per message, medians of ${ROUNDS} interleaved rounds; \`npm run bench:codec\` writes this page.
Node ${process.version}, ${cpus()[0]?.model ?? arch()}, dns-packet 5.6.1.

${table(rows)}

What is compared:

- **view**: \`MessageView.reset\`, all that a server needs to answer from its cache: header, question, OPT; every record is stepped over.
- **decode**: \`tryDecodeMessage\`. The whole message is checked strictly, owners are names in wire form, rdata is copied, checked
  for its type and its names are expanded.
- **decode and read**: the same, and then everything that dns-packet makes of a message is made too: all owners and names in rdata as
  text, addresses as text, the fields of NS, CNAME, RRSIG and the like as values.
- **dns-packet decode**: \`decode\`: names and addresses as text, rdata as values, without most of the checks.
- **encode**: \`encodeMessage\` of the decoded message with name compression, into an array of its own; **own writer**: into memory
  that is used again. dns-packet's \`encode\` has the message that its own \`decode\` gave, and does not compress names: its result is longer.
`;
}

const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
const cases = benchMessages().flatMap((bench) => casesOf(bench));
measure(cases);
const rows = cases.map(
  ({ message, octets, work, nanoseconds }): Row => ({ message, octets, work, medianNs: median(nanoseconds) }),
);
if (values.json) process.stdout.write(`${JSON.stringify({ node: process.version, rows, sink }, null, 2)}\n`);
else {
  process.stdout.write(`${table(rows)}\n`);
  writeFileSync(new URL("../docs/evidence/codec.md", import.meta.url), page(rows));
}
