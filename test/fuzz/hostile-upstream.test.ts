/**
 * Stubs before upstreams that lie and break in every way a die can choose: whatever comes is an answer or a `DnsError` in time,
 * and nothing is left behind. FUZZ_SEED chooses other dice, FUZZ_ONLY one run of them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { StubResolver, type StubResolverOptions } from "@sotto/dns/stub";
import { fakeCertificatePem, type SimWorld, simRuntime } from "@sotto/dns/testing";
import {
  encodeMessage,
  type Message,
  type Name,
  Rcode,
  type ResourceRecord,
  RRType,
  recordToText,
  rrTypeFromText,
} from "@sotto/dns/wire";
import { NOW_SECONDS } from "../../packages/dns/src/dnssec/test-signer.test-support.ts";
import { ZoneWorld } from "../../packages/dns/src/dnssec/zone-world.test-support.ts";
import {
  CLIENT_ADDRESSES,
  type FakeStream,
  FakeStreamServer,
  FakeUdpServer,
  IDENTITY,
  SERVER,
} from "../../packages/dns/src/transport/client-fakes.test-support.ts";
import { Dice, mutate } from "./mutate.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 20_261_129);
const RUNS = process.env["CI"] === "true" ? 2000 : 100;
const ONLY = process.env["FUZZ_ONLY"];
const QUESTIONS = 12;
const TIMEOUT_MS = 5000;

const zones = new ZoneWorld([
  { origin: ".", text: "" },
  {
    origin: "example.",
    text: `www A 192.0.2.1
alias CNAME www
away CNAME www.plain.
loop CNAME loop
*.wild A 192.0.2.2
dn DNAME plain.
_853._tcp.dns TLSA 3 0 1 ${"00".repeat(32)}
`,
  },
  { origin: "plain.", text: "www A 192.0.2.3\n", keys: [] },
  { origin: "nsec3.", text: "www A 192.0.2.4\n", denial: { iterations: 1, salt: "ab" } },
]);

const NAMES = [
  "www.example",
  "alias.example",
  "away.example",
  "loop.example",
  "x.wild.example",
  "x.dn.example",
  "nothing.example",
  "www.plain",
  "www.nsec3",
  "no.nsec3",
];
const TYPES = ["A", "AAAA", "MX", "ANY", "CNAME", "NS", "RRSIG", "HTTPS"];
const NAMED = `${SERVER.address}@853#dns.example`;
const DANE = `tls://dns.example?ip=${SERVER.address}&dane=`;

/** Ways to be asked, each with validation or without. */
const CLIENTS: readonly StubResolverOptions[] = [
  { upstreams: [NAMED] },
  { upstreams: [NAMED], profile: "opportunistic" },
  { upstreams: [`${DANE}prefer`] },
  { upstreams: [`${DANE}only`], profile: "opportunistic" },
  { upstreams: [`udp://${SERVER.address}`, `tcp://${SERVER.address}`] },
];

class HostileWorld {
  readonly world: SimWorld;
  readonly dice: Dice;
  /** Types of questions that came in clear, and over TLS. */
  readonly clear: RRType[] = [];
  readonly encrypted: RRType[] = [];
  isImpostor = false;

  constructor(seed: number) {
    this.world = simRuntime(seed);
    this.dice = new Dice(seed);
    this.world.clock.jumpWall(NOW_SECONDS * 1000 - this.world.clock.wallMs());
  }

  async serve(): Promise<void> {
    const network = this.world.network.host([SERVER.address]);
    await FakeUdpServer.open(network, (query) => this.#datagrams(query));
    await FakeStreamServer.open(network, (query, stream) => this.#behave(query, stream, this.clear));
    this.isImpostor = this.dice.roll(4) === 0;
    const identity = this.isImpostor ? { ...IDENTITY, subjectAltNames: ["DNS:other.example"] } : IDENTITY;
    const certificatePem = fakeCertificatePem(identity);
    const overTls = (query: Message, stream: FakeStream): void => this.#behave(query, stream, this.encrypted);
    await FakeStreamServer.open(network, overTls, { certificatePem });
  }

  #datagrams(query: Message): Uint8Array[] {
    this.clear.push(...query.questions.map(({ type }) => type));
    return Array.from({ length: this.dice.roll(4) }, () => this.#lie(query));
  }

  #behave(query: Message, stream: FakeStream, seen: RRType[]): void {
    seen.push(...query.questions.map(({ type }) => type));
    const reply = this.#lie(query);
    switch (this.dice.roll(10)) {
      case 0:
        return;
      case 1:
        stream.stream.reset();
        return;
      case 2:
        stream.reply(reply);
        stream.stream.end();
        return;
      case 3:
        // Half a message, and the end.
        stream.stream.write(
          Uint8Array.of(reply.length >>> 8, reply.length & 255, ...reply.subarray(0, reply.length >>> 1)),
        );
        stream.stream.end();
        return;
      case 4:
        stream.stream.write(reply.map((octet) => octet ^ this.dice.roll(256)));
        return;
      case 5:
        for (let i = 0; i < 150; i++) stream.reply(reply);
        return;
      default:
        stream.reply(reply);
    }
  }

  /** The right answer, bent. */
  #lie(query: Message): Uint8Array {
    const [question] = query.questions;
    assert.ok(question !== undefined);
    const honest = { ...zones.reply(question.name, question.type), id: query.id };
    const other = zones.reply(...this.#anotherQuestion());
    switch (this.dice.roll(12)) {
      case 0:
        return mutate([encodeMessage(honest)], this.dice);
      case 1:
        return encodeMessage({ ...honest, answers: [...other.answers, ...honest.answers] });
      case 2:
        return encodeMessage({ ...honest, answers: honest.answers.filter(() => this.dice.roll(2) === 0) });
      case 3:
        return encodeMessage({ ...honest, authorities: other.authorities });
      case 4:
        return encodeMessage({
          ...honest,
          rcode: [Rcode.NXDomain, Rcode.ServFail, Rcode.NoError, 23][this.dice.roll(4)] ?? 0,
        });
      case 5:
        return encodeMessage({
          ...honest,
          answers: honest.answers.map((record) => ({
            ...record,
            ttl: [0, 1, 0x7fff_ffff, 0xffff_ffff][this.dice.roll(4)] ?? 0,
          })),
        });
      case 6:
        return encodeMessage({ ...honest, isTruncated: true });
      case 7:
        return encodeMessage({ ...honest, questions: [] });
      case 8: {
        const octets = encodeMessage(honest);
        return octets.subarray(0, this.dice.roll(octets.length));
      }
      default:
        return encodeMessage(honest);
    }
  }

  #anotherQuestion(): Parameters<typeof zones.reply> {
    const message = zones.zones[this.dice.roll(zones.zones.length)];
    assert.ok(message !== undefined);
    return [message.origin, [1, 2, 6, 43, 48][this.dice.roll(5)] ?? 1];
  }
}

/** What is wrong with an answer that was called secure. */
function lieIn(message: Message, canonicalName: Name, type: string): string | undefined {
  for (const record of message.answers) {
    if (record.type === RRType.RRSIG || isMadeByDname(record, message)) continue;
    const truth = zones.reply(record.owner, record.type).answers;
    const rdata = [...record.rdata].join();
    // What a wildcard stands for has the same data.
    if (!truth.some((one) => one.type === record.type && [...one.rdata].join() === rdata))
      return `a record that is not there: ${recordToText(record)}`;
  }
  const truth = zones.reply(canonicalName, rrTypeFromText(type) ?? 0);
  const isThere = (one: ResourceRecord): boolean =>
    one.owner.equals(canonicalName) && one.type !== RRType.RRSIG;
  if (truth.answers.some(isThere) !== message.answers.some(isThere))
    return `${canonicalName} is denied or made up`;
  return message.rcode === truth.rcode ? undefined : `code ${message.rcode} instead of ${truth.rcode}`;
}

function isMadeByDname({ owner, type }: ResourceRecord, { answers }: Message): boolean {
  return (
    type === RRType.CNAME && answers.some((one) => one.type === RRType.DNAME && owner.isBelow(one.owner))
  );
}

/** Nothing in clear, and nothing to a stranger but what its TLSA records need (RFC 8310 §8.2.1). */
function assertStrict({ profile }: StubResolver, { clear, encrypted, isImpostor }: HostileWorld): void {
  if (profile !== "strict") return;
  assert.deepEqual(clear, [], "in clear");
  const meta: readonly RRType[] = [RRType.TLSA, RRType.DS, RRType.DNSKEY];
  if (isImpostor)
    assert.deepEqual(
      encrypted.filter((type) => !meta.includes(type)),
      [],
      "to a stranger",
    );
}

async function runOnce(seed: number): Promise<string> {
  const hostile = new HostileWorld(seed);
  const { world, dice } = hostile;
  await hostile.serve();
  const runtime = world.runtimeOf(CLIENT_ADDRESSES);
  const client = CLIENTS[dice.roll(CLIENTS.length)] ?? {};
  const validate = dice.roll(2) === 0 ? [zones.anchor(".")] : false;
  const trustAnchors = [zones.anchor(".")];
  const stub = new StubResolver(
    { ...client, validate, trustAnchors, hosts: "none", timeoutMs: TIMEOUT_MS },
    runtime,
  );
  const told: string[] = [];
  const asked: Promise<void>[] = [];
  for (let i = 0; i < QUESTIONS; i++) {
    const name = NAMES[dice.roll(NAMES.length)] ?? "";
    const type = TYPES[dice.roll(TYPES.length)] ?? "";
    const abort = new AbortController();
    if (dice.roll(8) === 0) world.clock.startTimer("abort", dice.roll(3000), () => abort.abort());
    const startMs = world.clock.nowMs();
    const answer = stub.query(name, type, { signal: abort.signal }).then(
      ({ security, records, message, canonicalName }) => {
        assert.ok(security !== "bogus" || records.length === 0, "bogus data was given");
        assert.equal(message.authenticData && validate !== false, security === "secure");
        if (security === "secure")
          assert.equal(lieIn(message, canonicalName, type), undefined, `${name} ${type}`);
        told.push(`${name} ${type} ${security} ${message.rcode} ${records.length}`);
      },
      (error: unknown) => {
        assert.ok(DnsError.is(error), `${name} ${type}: ${error instanceof Error ? error.stack : error}`);
        told.push(`${name} ${type} ${error.code}`);
      },
    );
    asked.push(
      answer.then(() =>
        assert.ok(world.clock.nowMs() - startMs <= TIMEOUT_MS, `${name} ${type} took too long`),
      ),
    );
    if (dice.roll(2) === 0) await world.clock.runUntil(Promise.all(asked));
    if (dice.roll(20) === 0) stub.networkChanged();
  }
  if (dice.roll(3) !== 0) await world.clock.runUntil(Promise.all(asked));
  await world.clock.runUntil(stub.close());
  await world.clock.runUntil(Promise.all(asked));
  await world.clock.advance(20_000);
  assertStrict(stub, hostile);
  assert.deepEqual(world.clock.pendingTimers, [], "timers are left");
  assert.equal(world.network.use.streams, 0, "streams are left");
  return told.join("\n");
}

test(`${RUNS} worlds of hostile upstreams (seed ${SEED})`, async () => {
  for (let run = 0; run < RUNS; run++) {
    if (ONLY !== undefined && Number(ONLY) !== run) continue;
    try {
      const told = await runOnce(SEED + run);
      if (ONLY !== undefined) console.log(told);
    } catch (cause) {
      throw new Error(`run ${run} of seed ${SEED}: ${cause instanceof Error ? cause.message : cause}`, {
        cause,
      });
    }
  }
});
