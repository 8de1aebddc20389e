/** The recursor on the real client transport over a simulated network: loss, delay, duplicates, slices and TCP. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { type SimNetworkOptions, type SimWorld, simRuntime } from "@sotto/dns/testing";
import { Exchanger, type Responder, StreamService, UdpListener } from "@sotto/dns/transport";
import {
  encodeMessage,
  type Message,
  makeEdns,
  makeMessage,
  Name,
  parseName,
  Rcode,
  RRType,
  rrTypeToText,
  tryViewMessage,
} from "@sotto/dns/wire";
import { answer, authoritative, queryOf, referral, rr } from "./authorities.test-support.ts";
import { Recursor } from "./recursor.ts";

const ROOT = "198.51.100.1";
const TLD = "2001:db8::2";
const AUTH = "198.51.100.3";

type Zone = (question: string) => Partial<Message>;

const ZONES: Record<string, Zone> = {
  [ROOT]: (question) =>
    question === ". NS"
      ? authoritative({
          answers: [rr(". 518400 NS a.root.example.")],
          additionals: [rr(`a.root.example. 518400 A ${ROOT}`)],
        })
      : referral(["example. 172800 NS ns.nic.example."], [`ns.nic.example. 172800 AAAA ${TLD}`]),
  [TLD]: () => referral(["zone.example. 3600 NS ns.zone.example."], [`ns.zone.example. 3600 A ${AUTH}`]),
  [AUTH]: (question) => {
    const name = question.split(" ")[0] ?? "";
    if (question.startsWith("big")) {
      return authoritative({
        answers: Array.from({ length: 500 }, (_, i) => rr(`${name} 60 A 192.0.${i >> 8}.${i & 255}`)),
      });
    }
    if (question.startsWith("gone")) {
      return authoritative({ rcode: Rcode.NXDomain, authorities: [rr("zone.example. 300 SOA 60")] });
    }
    return answer(`${name} 60 A 192.0.2.1`);
  },
};

/** Puts a zone on UDP and TCP of a host; gives what closes it. */
async function serve(address: string, zone: Zone, runtime: Runtime): Promise<() => Promise<void>> {
  const handler = {
    answer(octets: Uint8Array, channel: { origin: { transport: string } }): Uint8Array | undefined {
      const view = tryViewMessage(octets);
      if (!view.ok) return undefined;
      const { id, question, edns, udpPayloadOctets } = view.value;
      const reply = makeMessage({ id, isResponse: true, questions: [question], edns: edns && makeEdns() });
      const content = zone(`${question.name} ${rrTypeToText(question.type)}`);
      const octetsMax = channel.origin.transport === "udp" ? udpPayloadOctets : 65_535;
      return encodeMessage({ ...reply, ...content }, { octetsMax });
    },
  };
  const local = { address, port: 53 };
  const udp = await UdpListener.open({ local }, handler, runtime);
  const tcp = await StreamService.open({ local }, handler, runtime);
  return async () => {
    await udp.close();
    await tcp.close();
  };
}

async function withInternet(
  seed: number,
  options: SimNetworkOptions,
  use: (recursor: Recursor, world: SimWorld) => Promise<void>,
): Promise<void> {
  const world = simRuntime(seed, options);
  const opened = Object.entries(ZONES).map(([address, zone]) =>
    serve(address, zone, world.runtimeOf([address])),
  );
  const closers = await world.clock.runUntil(Promise.all(opened));
  const runtime = world.runtimeOf(["192.0.2.253", "2001:db8::253"]);
  const exchanger = new Exchanger({}, runtime);
  const rootHints = [{ name: parseName("a.root.example."), address: ROOT }];
  const recursor = new Recursor({ rootHints }, exchanger, runtime);
  await use(recursor, world);
  await world.clock.runUntil(recursor.close());
  await world.clock.runUntil(exchanger.close());
  await world.clock.runUntil(Promise.all(closers.map((close) => close())));
  assert.deepEqual(world.clock.pendingTimers, [], `seed ${seed}`);
}

async function ask(recursor: Recursor, world: SimWorld, name: string): Promise<Message> {
  const context = { signal: new AbortController().signal, deadlineMs: world.clock.nowMs() + 8000 };
  const reply = await world.clock.runUntil(recursor.respond(queryOf(name, RRType.A), context), 8000);
  return reply.message;
}

test("a walk over UDP, IPv6 and, for a big answer, TCP", async () => {
  await withInternet(1, { latencyMs: 20 }, async (recursor, world) => {
    assert.equal((await ask(recursor, world, "www.zone.example.")).answers.length, 1);
    assert.equal((await ask(recursor, world, "gone.zone.example.")).rcode, Rcode.NXDomain);
    assert.equal((await ask(recursor, world, "big.zone.example.")).answers.length, 500);
    const transports = world.events.named("recursor.step").map((step) => step["transport"]);
    assert.equal(transports.at(-1), "tcp");
  });
});

test("one datagram in twenty lost, some twice, out of order: answers come all the same", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const weather = { latencyMs: 20, jitterMs: 40, lossRate: 0.05, duplicateRate: 0.05, sliceOctetsMax: 50 };
    await withInternet(seed, weather, async (recursor, world) => {
      for (const name of ["www.zone.example.", "ftp.zone.example."]) {
        assert.equal((await ask(recursor, world, name)).answers.length, 1, `seed ${seed}, ${name}`);
      }
      assert.equal(
        (await ask(recursor, world, "big.zone.example.")).answers.length,
        500,
        `seed ${seed}, big`,
      );
      assert.equal((await ask(recursor, world, "gone.zone.example.")).rcode, Rcode.NXDomain, `seed ${seed}`);
    });
  }
});

test("the same seed gives the same steps at the same times", async () => {
  const weather = { latencyMs: 20, jitterMs: 40, lossRate: 0.3 };
  const traces: unknown[] = [];
  for (let i = 0; i < 2; i++) {
    await withInternet(7, weather, async (recursor, world) => {
      for (let n = 0; n < 10; n++) await ask(recursor, world, `n${n}.zone.example.`);
      traces.push(world.events.named("recursor.step"));
    });
  }
  assert.deepEqual(traces[0], traces[1]);
});

test("who joins a question that waits for a forwarder waits as long as if it had come first", async () => {
  const world = simRuntime(1);
  const { clock } = world;
  let isBack = false;
  const responder: Responder = {
    respond: async (query) => {
      for (let waitedMs = 0; waitedMs < 4500 && !isBack; waitedMs += 100) await passing(clock, 100);
      if (!isBack) throw new DnsError("ERR_CONNECT_REFUSED", "nobody listens");
      const { question } = query.view;
      const answers = [rr("www.example. 0 A 192.0.2.1")];
      const message = makeMessage({ isResponse: true, questions: [question], answers });
      return { message, security: "indeterminate", protection: "authenticated", extendedErrors: [] };
    },
  };
  const recursor = new Recursor(
    {
      forwardZones: [{ name: Name.root, responder, patienceMs: 4500 }],
      rootHints: [],
      families: ["ipv4"],
    },
    { exchange: () => Promise.reject(new DnsError("ERR_UNREACHABLE", "nobody else is asked")) },
    world.runtimeOf(["192.0.2.1"]),
  );
  const ask = async (): Promise<readonly [number, number]> => {
    const startMs = clock.nowMs();
    const context = { signal: new AbortController().signal, deadlineMs: startMs + 8000 };
    const { message } = await recursor.respond(queryOf("www.example.", RRType.A), context);
    return [message.rcode, clock.nowMs() - startMs];
  };
  const first = ask();
  await clock.advance(3000);
  const second = ask();
  await clock.advance(3000);
  assert.deepEqual(await first, [Rcode.ServFail, 4500]);
  isBack = true;
  assert.deepEqual((await clock.runUntil(second))[0], Rcode.NoError, "it had a second and a half left");
  assert.deepEqual((await clock.runUntil(ask()))[0], Rcode.NoError, "the name's failure is not remembered");
  await recursor.close();
});

function passing(clock: SimWorld["clock"], delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.startTimer("passing", delayMs, resolve);
  });
}
