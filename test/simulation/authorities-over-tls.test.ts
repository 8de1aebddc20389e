/** Opportunistic encryption to authorities (RFC 9539) on the fake internet: the whole client side, in virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Action,
  FakeInternet,
  fakeCertificatePem,
  type HeardQuery,
  type ServerText,
  type SimWorld,
  simRuntime,
} from "@sotto/dns/testing";
import { Exchanger, type Query } from "@sotto/dns/transport";
import {
  encodeMessage,
  makeEdns,
  makeMessage,
  parseName,
  RRClass,
  RRType,
  rdataToText,
  rrTypeToText,
  tryViewMessage,
} from "@sotto/dns/wire";
import {
  AuthorityEncryption,
  EncryptingExchange,
  Recursor,
} from "../../packages/sotto/src/recursor/index.ts";

/** A client query's deadline, and what finishing takes. */
const LONGEST_MS = 8_500;
const CERTIFICATE_PEM = fakeCertificatePem({ subjectAltNames: ["DNS:nobody.looks.at.it"] });

type Speakers = (server: ServerText) => boolean;
interface Heard extends HeardQuery {
  readonly server: string;
}

interface Lab {
  readonly world: SimWorld;
  readonly internet: FakeInternet;
  readonly memory: AuthorityEncryption;
  readonly heard: Heard[];
  connections(): number;
  /** The answer as sorted text, and how long it took. */
  ask(name: string, type: RRType): Promise<{ readonly answer: string; readonly tookMs: number }>;
}

async function withLab(
  {
    seed = 1,
    isSpokenBy,
    isSilent = false,
  }: { seed?: number; isSpokenBy: Speakers | "off"; isSilent?: boolean },
  run: (lab: Lab) => Promise<void>,
): Promise<void> {
  const world = simRuntime(seed);
  const heard: Heard[] = [];
  const internet = FakeInternet.build({
    wallMs: world.clock.wallMs(),
    ...(isSpokenBy === "off"
      ? {}
      : { tls: { port: 853, certificatePem: CERTIFICATE_PEM, keyPem: "", isSpokenBy } }),
  });
  const note = ({ name }: ServerText, query: HeardQuery, action: Action): Action => {
    heard.push({ ...query, server: name });
    return isSilent && query.isEncrypted ? { ...action, replies: [] } : action;
  };
  await internet.start((addresses) => world.runtimeOf(addresses).network, world.clock, world.random, note);
  const runtime = world.runtimeOf(["192.0.2.253", "2001:db8:53::253"]);
  const exchanger = new Exchanger({}, runtime);
  const memory = new AuthorityEncryption(world.clock);
  const encrypting = new EncryptingExchange(exchanger, memory, { clearPort: 53, port: 853 }, runtime);
  const exchange = isSpokenBy === "off" ? exchanger : encrypting;
  const recursor = new Recursor({ rootHints: internet.rootHints }, exchange, runtime);
  const ask: Lab["ask"] = async (name, type) => {
    const startedMs = world.clock.nowMs();
    const context = { signal: new AbortController().signal, deadlineMs: startedMs + LONGEST_MS };
    const { message } = await world.clock.runUntil(
      recursor.respond(queryFor(name, type), context),
      LONGEST_MS,
    );
    const records = message.answers.map((one) => `${one.owner} ${rdataToText(one.type, one.rdata)}`);
    return { answer: [message.rcode, ...records.sort()].join("\n"), tookMs: world.clock.nowMs() - startedMs };
  };
  await run({ world, internet, memory, heard, connections: () => exchanger.connectionCount, ask });
  encrypting.close();
  await world.clock.runUntil(recursor.close(), 60_000);
  await world.clock.runUntil(exchanger.close(), 60_000);
  await internet.close();
  await world.clock.advance(60_000);
  assert.deepEqual(world.clock.pendingTimers, []);
  assert.deepEqual([world.network.use.streams, memory.known.probing], [0, 0]);
}

function queryFor(name: string, type: RRType): Query {
  const octets = encodeMessage(
    makeMessage({
      id: 1,
      recursionDesired: true,
      questions: [{ name: parseName(name), type, class: RRClass.IN }],
      edns: makeEdns(),
    }),
  );
  const view = tryViewMessage(octets);
  if (!view.ok) throw new Error(view.problem);
  const origin = { transport: "internal" as const, remote: undefined, local: undefined, security: undefined };
  return { octets, view: view.value, origin };
}

test("the second query goes over TLS only, padded, over the connection that is there [9539-4-a] [9539-4-c]", () =>
  withLab({ isSpokenBy: () => true }, async ({ world, heard, connections, ask }) => {
    await ask("www.plain.example.", RRType.A);
    assert.ok(
      heard.some(({ isEncrypted }) => !isEncrypted),
      "the first goes in clear",
    );
    // So long a probe may take; a connection without queries lasts longer.
    await world.clock.advance(4000);
    const before = connections();
    const known = new Set(heard.filter(({ isEncrypted }) => isEncrypted).map(({ server }) => server));
    heard.length = 0;
    for (let i = 0; i < 5; i++) await ask(`nothing-${i}.plain.example.`, RRType.A);
    const again = heard.filter(({ server }) => known.has(server));
    assert.ok(
      again.length > 0 && again.every(({ isEncrypted }) => isEncrypted),
      "then nothing more in clear",
    );
    for (const { octets, isEncrypted } of heard)
      if (isEncrypted) assert.equal(octets.length % 128, 0, "RFC 8467 §4.1");
    assert.ok(connections() <= before + 2, `${connections()} connections, ${before} before`);
  }));

test("connections without queries are closed after a while, and the server is still asked encrypted", () =>
  withLab({ isSpokenBy: () => true }, async ({ world, heard, connections, ask }) => {
    await ask("www.plain.example.", RRType.A);
    await world.clock.advance(120_000);
    assert.equal(connections(), 0);
    heard.length = 0;
    await ask("later.plain.example.", RRType.A);
    assert.ok(heard.some(({ isEncrypted }) => isEncrypted));
  }));

/** One question per name that is asked about, with what came and when. */
async function answersOf(options: { isSpokenBy: Speakers | "off"; isSilent?: boolean }) {
  const answers = new Map<string, { readonly answer: string; readonly tookMs: number }>();
  const memories: AuthorityEncryption[] = [];
  await withLab(options, async ({ internet, memory, ask }) => {
    memories.push(memory);
    for (const { name, type } of internet.names()) {
      const text = name.toString();
      answers.set(`${text} ${rrTypeToText(type)}`, await ask(text, type));
    }
  });
  const [memory] = memories;
  assert.ok(memory !== undefined);
  return { answers, memory };
}

test("whoever speaks TLS, and however badly, every name has the answer that it has without [9539-4-a]", async () => {
  const { answers: expected } = await answersOf({ isSpokenBy: "off" });
  assert.ok(expected.size > 300, `${expected.size} questions`);
  const totalMs = (answers: typeof expected): number =>
    [...answers.values()].reduce((sum, { tookMs }) => sum + tookMs, 0);
  const cases: [string, Parameters<typeof answersOf>[0]][] = [
    ["everybody speaks TLS", { isSpokenBy: () => true }],
    ["a third speaks TLS", { isSpokenBy: ({ name }) => name.length % 3 === 0 }],
    ["everybody takes connections and says nothing", { isSpokenBy: () => true, isSilent: true }],
  ];
  for (const [name, options] of cases) {
    const { answers } = await answersOf(options);
    const wrong = [...expected].filter(([question, { answer }]) => answers.get(question)?.answer !== answer);
    assert.deepEqual(
      wrong.map(([question]) => question),
      [],
      name,
    );
    // Chance makes other servers be asked, so that single questions cannot be compared; all of them can.
    assert.ok(totalMs(answers) < 1.02 * totalMs(expected), `${name}: ${totalMs(answers)} ms`);
  }
});

test("where nobody listens, every answer comes in the very millisecond in which it comes without [9539-4-a]", async () => {
  const { answers: expected } = await answersOf({ isSpokenBy: "off" });
  const { answers, memory } = await answersOf({ isSpokenBy: () => false });
  assert.deepEqual(answers, expected);
  const { started, connect, inconclusive } = memory.counters.probes;
  assert.ok(connect > 40, `${connect} servers refused`);
  assert.equal(connect + inconclusive, started);
});
