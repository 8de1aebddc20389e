/** The client side under a thousand seeds: whatever the network does, every query ends once and nothing is left. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ByteStream, DnsError, type DnsErrorCode, type Network } from "@sotto/dns/runtime";
import { fakeCertificatePem, SeededRandom, type SimNetworkOptions, simRuntime } from "@sotto/dns/testing";
import { type ExchangeRequest, Exchanger, type TlsPolicy } from "@sotto/dns/transport";
import {
  type EdnsOption,
  encodeMessage,
  FrameReader,
  frameMessage,
  type Message,
  makeEdns,
  makeKeepalive,
  makeMessage,
  parseName,
  RRClass,
  RRType,
  tryDecodeMessage,
} from "@sotto/dns/wire";

const CLIENT = "192.0.2.1";
const SERVER = "198.51.100.53";
const SEEDS = 1000;
const QUERIES_PER_SEED = 12;

const POLICY: TlsPolicy = {
  serverName: "dns.example",
  authName: "dns.example",
  pins: [],
  trustAnchorsPem: undefined,
  authenticate: "required",
};

test("a thousand seeds: every query has exactly one outcome, ids are never reused in flight, nothing leaks [7766-6.2.1-b 7766-6.2.4-a 7858-3.4-e]", async () => {
  const totals = { answered: 0, failed: 0, reused: 0, resumed: 0 };
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      await runSeed(seed, totals);
    } catch (cause) {
      throw new Error(`seed ${seed} failed`, { cause });
    }
  }
  // The weather is bad but not hopeless; a run in which nothing works would prove nothing.
  assert.ok(totals.answered > SEEDS * QUERIES_PER_SEED * 0.6, JSON.stringify(totals));
  assert.ok(totals.failed > SEEDS, JSON.stringify(totals));
  assert.ok(totals.reused > SEEDS && totals.resumed > 20, JSON.stringify(totals));
});

test("the same seed gives the same run", async () => {
  const trace = async (): Promise<string> => JSON.stringify(await runSeed(77, newTotals()));
  assert.equal(await trace(), await trace());
});

function newTotals() {
  return { answered: 0, failed: 0, reused: 0, resumed: 0 };
}

/** One world, one server with moods, and a handful of queries over all transports. */
async function runSeed(seed: number, totals: ReturnType<typeof newTotals>): Promise<readonly string[]> {
  const moods = new SeededRandom(seed * 31 + 7);
  const world = simRuntime(seed, weatherOf(moods));
  const problems: string[] = [];
  await openServer(world.network.host([SERVER]), new SeededRandom(seed * 17 + 3), problems);
  const exchanger = new Exchanger(
    { connection: { idleTimeoutMs: 1000, inFlightMax: 1 + moods.below(20) } },
    world.runtimeOf([CLIENT]),
  );
  const outcomes: string[] = [];
  const running: Promise<void>[] = [];
  for (let i = 0; i < QUERIES_PER_SEED; i++) {
    if (moods.chance(0.4)) await world.clock.advance(moods.below(1500));
    if (moods.chance(0.02)) exchanger.networkChanged();
    if (moods.chance(0.02)) world.clock.jumpWall(60_000 + moods.below(3_600_000));
    const abort = new AbortController();
    const request = requestOf(i, world.clock.nowMs(), moods, abort.signal);
    const patienceMs = moods.chance(0.05) ? moods.below(300) : undefined;
    if (patienceMs !== undefined) world.clock.startTimer("caller gives up", patienceMs, () => abort.abort());
    running.push(
      exchanger.exchange(request).then(
        ({ message, facts }) => {
          checkReply(request, message);
          assert.equal(facts.protection, facts.transport === "tls" ? "authenticated" : "clear");
          assert.ok(world.clock.nowMs() <= request.deadlineMs);
          totals.answered++;
          if (facts.connectionReused) totals.reused++;
          if (facts.sessionResumed) totals.resumed++;
          outcomes.push(`${i} ${facts.transport} ${facts.exchangeMs}`);
        },
        (error: unknown) => {
          assert.ok(DnsError.is(error) && EXPECTED_CODES.has(error.code), String(error));
          totals.failed++;
          outcomes.push(`${i} ${error.code}`);
        },
      ),
    );
  }
  await world.clock.runUntil(Promise.all(running));
  assert.equal(outcomes.length, QUERIES_PER_SEED);
  assert.deepEqual(problems, []);
  await world.clock.runUntil(exchanger.close());
  assert.equal(exchanger.connectionCount, 0);
  // What the network still carries, and the server's ends, go away by themselves.
  await world.clock.advance(30_000);
  assert.deepEqual(world.clock.pendingTimers, []);
  assert.deepEqual(world.network.use, { streams: 0, datagramSockets: 1, listeners: 2 });
  return outcomes;
}

function weatherOf(moods: SeededRandom): SimNetworkOptions {
  const isStormy = moods.chance(0.5);
  return {
    latencyMs: 1 + moods.below(40),
    jitterMs: moods.below(30),
    lossRate: isStormy ? moods.fraction() * 0.3 : 0,
    duplicateRate: isStormy ? moods.fraction() * 0.3 : 0,
    resetRate: isStormy ? moods.fraction() * 0.05 : 0,
    sliceOctetsMax: moods.chance(0.3) ? 1 + moods.below(5) : 200,
    windowOctets: moods.chance(0.3) ? 1 + moods.below(300) : 65_536,
  };
}

function requestOf(nth: number, nowMs: number, moods: SeededRandom, signal: AbortSignal): ExchangeRequest {
  const transport = (["udp", "tcp", "tls", "tls"] as const)[moods.below(4)] ?? "udp";
  return {
    question: { name: parseName(`q${nth}.example.`), type: RRType.A, class: RRClass.IN },
    server: { address: SERVER, port: transport === "tls" ? 853 : 53 },
    transport,
    recursionDesired: true,
    checkingDisabled: false,
    authenticData: false,
    edns: moods.chance(0.8) ? makeEdns() : undefined,
    deadlineMs: nowMs + 200 + moods.below(6000),
    signal,
    tls: POLICY,
    cookies: moods.chance(0.5),
    isLastHope: moods.chance(0.2),
    mayUseOpenTcp: moods.chance(0.8),
  };
}

/** A reply must be the one to this question: its address is made from the name. */
function checkReply(request: ExchangeRequest, message: Message): void {
  assert.ok(message.questions[0]?.name.equals(request.question.name));
  assert.deepEqual(message.answers[0]?.rdata, addressOf(message));
}

function addressOf(message: Message): Uint8Array {
  const label = message.questions[0]?.name.toString() ?? "";
  return Uint8Array.of(10, 0, label.length, Number(/^q([0-9]+)/.exec(label)?.[1] ?? 255));
}

const EXPECTED_CODES: ReadonlySet<DnsErrorCode> = new Set([
  "ERR_TIMEOUT",
  "ERR_CONNECT_TIMEOUT",
  "ERR_CONNECTION_LOST",
  "ERR_ABORTED",
  "ERR_MESSAGE_MALFORMED",
]);

/** Answers late, out of order, twice, wrongly, truncated, not at all; hangs up; says 0 and other timeouts. */
async function openServer(host: Network, moods: SeededRandom, problems: string[]): Promise<void> {
  const socket = await host.bindDatagram(
    { local: { address: SERVER, port: 53 }, connectTo: undefined, reusePort: false },
    {
      onMessage: (octets, from) => {
        const query = decode(octets, problems);
        if (query === undefined) return;
        for (const reply of repliesTo(query, moods, true)) socket.send(reply, from);
      },
      onError: (problem) => problems.push(`udp ${problem.message}`),
    },
  );
  const tls = {
    certificatePem: fakeCertificatePem({ subjectAltNames: ["DNS:dns.example"] }),
    keyPem: "",
    alpn: ["dot"],
    ticketKeys: undefined,
  };
  for (const port of [53, 853]) {
    await host.listen(
      {
        local: { address: SERVER, port },
        tls: port === 853 ? tls : undefined,
        handshakeTimeoutMs: 1000,
        reusePort: false,
      },
      { onStream: (stream) => serveStream(stream, moods, problems), onFailure: () => undefined },
    );
  }
}

function serveStream(stream: ByteStream, moods: SeededRandom, problems: string[]): void {
  const reader = new FrameReader();
  /** Ids of queries that were not answered yet: the client must not use them again (RFC 7766 §6.2.1). */
  const unanswered = new Set<number>();
  let held: Message[] = [];
  const answer = (query: Message): void => {
    for (const reply of repliesTo(query, moods, false)) stream.write(frameMessage(reply));
    unanswered.delete(query.id);
  };
  stream.setHandlers({
    onData: (octets) => {
      reader.push(octets, (message) => {
        const query = decode(message.slice(), problems);
        if (query === undefined) return true;
        if (unanswered.has(query.id)) problems.push(`id ${query.id} is in flight already`);
        unanswered.add(query.id);
        const mood = moods.below(20);
        if (mood === 0) stream.reset();
        else if (mood === 1) stream.end();
        else if (mood === 2) return true;
        else if (mood < 6) held.push(query);
        else {
          answer(query);
          for (const late of held.reverse()) answer(late);
          held = [];
        }
        return true;
      });
    },
    onEnd: () => stream.end(),
    onClose: () => undefined,
    onDrain: () => undefined,
  });
}

function decode(octets: Uint8Array, problems: string[]): Message | undefined {
  const message = tryDecodeMessage(octets);
  if (message.ok) return message.value;
  problems.push(`server cannot read the query: ${message.problem}`);
  return undefined;
}

function repliesTo(query: Message, moods: SeededRandom, isUdp: boolean): Uint8Array[] {
  const options: EdnsOption[] = [];
  if (moods.chance(0.2)) options.push(makeKeepalive([0, 1, 20, 65_535][moods.below(4)] ?? 0));
  const record = {
    owner: parseName("x.example."),
    type: RRType.A,
    class: RRClass.IN,
    ttl: 60,
    rdata: addressOf(query),
  };
  const isTruncated = isUdp && moods.chance(0.2);
  const right = makeMessage({
    id: query.id,
    isResponse: true,
    isTruncated,
    questions: query.questions,
    answers: isTruncated ? [] : [record],
    edns: query.edns && makeEdns({ options }),
  });
  const octets = encodeMessage(right);
  // Either the id or the question belongs to somebody else.
  const wrong = encodeMessage(
    moods.chance(0.5)
      ? { ...right, id: right.id ^ (1 + moods.below(0xffff)), answers: [] }
      : { ...right, questions: [{ name: parseName("other.example."), type: RRType.A, class: RRClass.IN }] },
  );
  const mood = moods.below(20);
  if (mood === 0) return [];
  if (mood === 1) return [octets, octets];
  if (mood === 2) return [wrong, octets];
  // Cut: malformed on a stream, ignored over UDP.
  if (mood === 3) return [octets.subarray(0, octets.length - 1 - moods.below(3))];
  return [octets];
}
