/** Our client against our own listeners in bad weather: both ends of every transport, one seed after the other. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { fakeCertificatePem, SeededRandom, simRuntime } from "@sotto/dns/testing";
import { Exchanger, type MessageHandler, StreamService, UdpListener } from "@sotto/dns/transport";
import { makeEdns, parseName, RRClass, RRType } from "@sotto/dns/wire";

const CLIENT = "192.0.2.1";
const SERVER = "198.51.100.53";
const SEEDS = 200;
const QUERIES = 30;

test("all queries are answered when the network loses, slices and reorders but does not break [7766-6.2.1.1-e 7766-7-a 7766-7-b 7858-3.3-a]", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const failures = await runSeed(seed, 0);
    assert.deepEqual(failures, [], `seed ${seed}`);
  }
});

test("when connections break too, most queries are answered and all end", async () => {
  let failed = 0;
  for (let seed = 1; seed <= SEEDS; seed++) failed += (await runSeed(seed, 0.005)).length;
  assert.ok(failed > 0 && failed < SEEDS * QUERIES * 0.1, `${failed} of ${SEEDS * QUERIES} failed`);
});

/** Gives the codes of the queries that failed. */
async function runSeed(seed: number, resetRate: number): Promise<string[]> {
  const moods = new SeededRandom(seed);
  const world = simRuntime(seed, {
    latencyMs: 10,
    jitterMs: 15,
    lossRate: 0.05,
    duplicateRate: 0.1,
    sliceOctetsMax: moods.chance(0.3) ? 3 : 120,
    resetRate,
  });
  const runtime = world.runtimeOf([SERVER]);
  const handler = echoHandler(
    (delayMs, answer) => runtime.clock.startTimer("answer", delayMs, answer),
    moods,
  );
  const tls = {
    certificatePem: fakeCertificatePem({ subjectAltNames: ["DNS:dns.example"] }),
    keyPem: "",
    alpn: ["dot"],
    ticketKeys: undefined,
  };
  const listeners = [
    await UdpListener.open({ local: { address: SERVER, port: 53 } }, handler, runtime),
    await StreamService.open({ local: { address: SERVER, port: 53 } }, handler, runtime),
    await StreamService.open({ local: { address: SERVER, port: 853 }, tls }, handler, runtime),
  ];
  const exchanger = new Exchanger({ udp: { firstPatienceMs: 300, sendsMax: 8 } }, world.runtimeOf([CLIENT]));
  const failures: string[] = [];
  const running: Promise<void>[] = [];
  for (let i = 0; i < QUERIES; i++) {
    if (moods.chance(0.3)) await world.clock.advance(moods.below(12_000));
    const transport = (["udp", "tcp", "tls"] as const)[i % 3] ?? "udp";
    const name = parseName(`q${i}.example.`);
    const exchange = exchanger.exchange({
      question: { name, type: RRType.A, class: RRClass.IN },
      server: { address: SERVER, port: transport === "tls" ? 853 : 53 },
      transport,
      recursionDesired: true,
      checkingDisabled: false,
      authenticData: false,
      edns: makeEdns(),
      deadlineMs: world.clock.nowMs() + 60_000,
    });
    running.push(
      exchange.then(
        ({ message }) => assert.ok(message.questions[0]?.name.equals(name)),
        (error: unknown) => {
          assert.ok(DnsError.is(error), String(error));
          failures.push(error.code);
        },
      ),
    );
  }
  await world.clock.runUntil(Promise.all(running));
  await world.clock.runUntil(exchanger.close());
  await world.clock.runUntil(Promise.all(listeners.map((listener) => listener.close())));
  await world.clock.advance(60_000);
  assert.deepEqual(world.clock.pendingTimers, [], `seed ${seed}`);
  assert.deepEqual(world.network.use, { streams: 0, datagramSockets: 0, listeners: 0 }, `seed ${seed}`);
  return failures;
}

/** Answers with the query itself, marked as a reply, at once or after a while. */
function echoHandler(
  after: (delayMs: number, answer: () => void) => unknown,
  moods: SeededRandom,
): MessageHandler {
  return {
    answer: (octets) => {
      const reply = octets.slice();
      reply[2] = (reply[2] ?? 0) | 0x80;
      if (moods.chance(0.5)) return reply;
      return new Promise((resolve) => after(moods.below(400), () => resolve(reply)));
    },
  };
}
