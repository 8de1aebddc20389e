import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { type SimWorld, simRuntime } from "@sotto/dns/testing";
import { Exchanger } from "@sotto/dns/transport";
import {
  EdnsOptionCode,
  encodeMessage,
  type Message,
  makeMessage,
  parseRecord,
  Rcode,
  RRType,
  recordToText,
  tryDecodeMessage,
  tryReadExtendedError,
} from "@sotto/dns/wire";
import {
  FakeStreamServer,
  questionOf,
  replyTo,
  requestOf,
} from "../../../dns/src/transport/client-fakes.test-support.ts";
import { type LoadedConfig, loadConfig } from "../config/index.ts";
import { isOurself } from "./is-ourself.ts";
import { readPortalRequest } from "./portal-request.ts";
import { type RunningServer, startRecursor } from "./recursor-daemon.ts";

const STUB = "192.0.2.1";
const PORTAL_SERVER = "192.0.2.254";
const OPEN = ["open", "portal.example", PORTAL_SERVER, "2m"];

/** A strict stub whose upstream answers nobody, beside the resolver of a captive network. */
interface Place {
  readonly world: SimWorld;
  readonly stub: RunningServer;
  /** `NAME TYPE` of each question that the portal's resolver got in clear. */
  readonly inClear: string[];
  /** What it answers: records by name; others do not exist. */
  records: Readonly<Record<string, readonly string[]>>;
  /** Which network the machine is on. */
  network: string;
  /** It says over UDP that all is too long. */
  isTruncating: boolean;
  /** Asks the stub over UDP. */
  ask(name: string, type?: number): Promise<Message>;
}

function configOf(settings = ""): LoadedConfig & { ok: true } {
  const loaded = loadConfig(
    `listen: [{ transport: udp, address: ${STUB} }]
access: { allow: [192.0.2.0/24] }
stub:
  upstreams: ["tls://dns.example?ip=198.51.100.53"]
  ${settings}
resolver: { private-addresses: [10.0.0.0/8] }
dnssec: { validation: false }
`,
    "stub.yaml",
    "stub",
  );
  assert.ok(loaded.ok);
  return loaded;
}

async function withPlace(run: (place: Place) => Promise<void>, settings = ""): Promise<void> {
  const world = simRuntime(1, { latencyMs: 5 });
  let place: Place | undefined;
  world.network.setReachability("198.51.100.53", "silent");
  const stub = await startRecursor(configOf(settings).config, world.runtimeOf([STUB]), {
    lookAtNetwork: () => place?.network ?? "first",
  });
  const client = new Exchanger({}, world.runtimeOf(["192.0.2.7"]));
  place = {
    world,
    stub,
    inClear: [],
    isTruncating: false,
    network: "first",
    records: { "portal.example.": ["portal.example. 3600 IN A 10.0.0.1"] },
    ask: (name, type = RRType.A) => world.clock.runUntil(ask(world, client, name, type)),
  };
  await serveInClear(place);
  await run(place);
  await world.clock.runUntil(Promise.all([client.close(), stub.close()]));
  // Nothing is left that would keep an opening alive.
  assert.ok(!world.clock.pendingTimers.includes("captive portal"));
}

async function ask(world: SimWorld, client: Exchanger, name: string, type: number): Promise<Message> {
  const request = requestOf(world, {
    question: questionOf(name, type),
    server: { address: STUB, port: 53 },
    deadlineMs: world.clock.nowMs() + 20_000,
  });
  const { message } = await client.exchange(request);
  return message;
}

async function serveInClear(place: Place): Promise<void> {
  const socket = await place.world.network.host([PORTAL_SERVER]).bindDatagram(
    { local: { address: PORTAL_SERVER, port: 53 }, connectTo: undefined, reusePort: false },
    {
      onMessage: (octets, from) => {
        const query = tryDecodeMessage(octets.slice());
        assert.ok(query.ok);
        const [question] = query.value.questions;
        assert.ok(question !== undefined);
        place.inClear.push(`${question.name} ${question.type}`);
        const answers = place.records[question.name.toString()];
        socket.send(
          encodeMessage(
            makeMessage({
              id: query.value.id,
              isResponse: true,
              isTruncated: place.isTruncating,
              rcode: answers === undefined ? Rcode.NXDomain : Rcode.NoError,
              questions: [question],
              answers: (answers ?? []).map((text) => parseRecord(text)),
            }),
          ),
          from,
        );
      },
      onError: () => undefined,
    },
  );
}

function reasonsOf(message: Message): string[] {
  return (message.edns?.options ?? [])
    .filter(({ code }) => code === EdnsOptionCode.ExtendedError)
    .map(({ data }) => {
      const error = tryReadExtendedError(data);
      return error.ok ? `${error.value.code} ${error.value.text}` : error.problem;
    });
}

const textsOf = (message: Message): string[] => message.answers.map((record) => recordToText(record));

test("while a portal is open its names go in clear to its server, and nothing else does [8310-6.6-e] [7858-4.2-d]", () =>
  withPlace(async ({ stub, ask, inClear, world }) => {
    assert.equal((await ask("portal.example")).rcode, Rcode.ServFail);
    assert.deepEqual(inClear, [], "closed: the strict profile asks nobody in clear");
    stub.portal(OPEN);
    const answer = await ask("portal.example");
    assert.deepEqual(textsOf(answer), ["portal.example.\t119\tIN\tA\t10.0.0.1"]);
    assert.equal((await ask("login.portal.example")).rcode, Rcode.NXDomain);
    for (const other of ["www.example", "xportal.example", "example", "portal.example.cdn.example"])
      assert.equal((await ask(other)).rcode, Rcode.ServFail, other);
    assert.deepEqual(inClear, ["portal.example. 1", "login.portal.example. 1"]);
    stub.portal(["close"]);
    assert.equal((await ask("portal.example")).rcode, Rcode.ServFail);
    assert.equal(inClear.length, 2);
    assert.equal(stub.portal([]).queriesInClear, 2);
    assert.equal(world.events.named("portal.closed").length, 1);
  }));

test("answers of a portal say that they were not private, and are neither kept nor authentic [8310-6.6-e]", () =>
  withPlace(async (place) => {
    const { stub, ask, inClear } = place;
    stub.portal(OPEN);
    for (let i = 1; i <= 3; i++) {
      const answer = await ask("portal.example");
      assert.equal(answer.authenticData, false);
      assert.deepEqual(reasonsOf(answer), [
        "0 captive portal: asked 192.0.2.254 in clear, not private, not validated",
      ]);
      assert.equal(inClear.length, i, "asked each time");
    }
    place.records = {};
    const denied = await ask("portal.example");
    assert.equal(denied.rcode, Rcode.NXDomain);
    assert.deepEqual(denied.authorities, [], "nobody downstream keeps that it does not exist");
  }));

test("TTLs end with the opening", () =>
  withPlace(async ({ stub, ask, world }) => {
    stub.portal(OPEN);
    await world.clock.advance(110_500);
    assert.match(textsOf(await ask("portal.example"))[0] ?? "", /^portal\.example\.\t9\tIN\tA/);
  }));

test("aliases of a portal's names are followed at its server, also when it leaves that to us", () =>
  withPlace(async (place) => {
    const { stub, ask, inClear } = place;
    place.records = {
      "portal.example.": ["portal.example. 60 IN CNAME a.cdn.example.", "evil.example. 60 IN A 203.0.113.66"],
      "a.cdn.example.": ["a.cdn.example. 60 IN CNAME b.cdn.example."],
      "b.cdn.example.": ["b.cdn.example. 60 IN A 10.0.0.2"],
      "loop.portal.example.": ["loop.portal.example. 60 IN CNAME loop.portal.example."],
      "away.portal.example.": ["away.portal.example. 60 IN CNAME loop.portal.example."],
    };
    stub.portal(OPEN);
    assert.deepEqual(textsOf(await ask("portal.example")), [
      "portal.example.\t60\tIN\tCNAME\ta.cdn.example.",
      "a.cdn.example.\t60\tIN\tCNAME\tb.cdn.example.",
      "b.cdn.example.\t60\tIN\tA\t10.0.0.2",
    ]);
    assert.deepEqual(inClear, ["portal.example. 1", "a.cdn.example. 1", "b.cdn.example. 1"]);
    assert.equal((await ask("a.cdn.example")).rcode, Rcode.ServFail, "by itself it stays under the profile");
    assert.equal(inClear.length, 3);
    const loop = await ask("away.portal.example");
    assert.equal(loop.rcode, Rcode.ServFail);
    assert.match(reasonsOf(loop).join(), /its aliases lead nowhere/);
  }));

test("what does not fit into a datagram is asked over TCP", () =>
  withPlace(async (place) => {
    const { stub, ask, world } = place;
    const many = Array.from({ length: 20 }, (_, i) => `portal.example. 60 IN A 10.0.0.${i}`);
    await FakeStreamServer.open(
      world.network.host([PORTAL_SERVER]),
      (query, stream) => {
        const answers = many.map((text) => parseRecord(text));
        stream.reply(replyTo(query, { answers }));
      },
      undefined,
      { address: PORTAL_SERVER, port: 53 },
    );
    place.isTruncating = true;
    stub.portal(OPEN);
    const answer = await ask("portal.example");
    assert.equal(answer.answers.length, 20);
    assert.equal(stub.portal([]).queriesInClear, 1);
  }));

test("whoever waits for a portal when it is closed is told at once", () =>
  withPlace(async ({ stub, ask, world }) => {
    world.network.setReachability(PORTAL_SERVER, "silent");
    stub.portal(OPEN);
    const startMs = world.clock.nowMs();
    world.clock.startTimer("close", 500, () => stub.portal(["close"]));
    const answer = await ask("portal.example");
    assert.equal(answer.rcode, Rcode.ServFail);
    assert.ok(world.clock.nowMs() - startMs < 1000);
  }));

test("a portal that does not answer is a failure with its reason, and nobody else is asked", () =>
  withPlace(async ({ stub, ask, world }) => {
    stub.portal(OPEN);
    world.network.setReachability(PORTAL_SERVER, "silent");
    const answer = await ask("portal.example");
    assert.equal(answer.rcode, Rcode.ServFail);
    assert.match(reasonsOf(answer).join(), /^0 captive portal.*,23 query failed$/);
  }));

test("an opening ends by itself, and is loud from its beginning to its end [8310-6.6-e]", () =>
  withPlace(async ({ stub, ask, inClear, world }) => {
    stub.portal(OPEN);
    await ask("portal.example");
    const { opening } = stub.stubStatus.portal ?? {};
    assert.deepEqual([opening?.names, opening?.queriesInClear], [["portal.example."], 1]);
    await world.clock.advance(119_000);
    assert.equal(world.events.named("portal.open").length, 1, "one reminder a minute");
    await world.clock.advance(2000);
    assert.equal(stub.portal([]).opening, undefined);
    assert.equal((await ask("portal.example")).rcode, Rcode.ServFail);
    assert.equal(inClear.length, 1);
    const [opened] = world.events.named("portal.opened");
    assert.deepEqual(opened, {
      alert: "DNS IS NOT PRIVATE for these names",
      names: "portal.example.",
      server: "192.0.2.254 port 53",
      leftSeconds: 120,
      queriesInClear: 0,
      profile: "strict",
    });
    const [closed] = world.events.named("portal.closed");
    assert.deepEqual([closed?.["reason"], closed?.["queriesInClear"]], ["its time is over", 1]);
    assert.equal(stub.portal([]).last?.reason, "its time is over");
  }));

test("another network, a clock that jumps, a reload and the end close an opening", async () => {
  const causes: [string, (place: Place) => unknown][] = [
    ["the clock jumped: asleep, or set", ({ world }) => world.clock.jumpWall(3_600_000)],
    ["the clock jumped: asleep, or set", ({ world }) => world.clock.jumpWall(-3_600_000)],
    [
      "the network changed",
      (place) => {
        place.network = "second";
        return place.world.clock.advance(5000);
      },
    ],
    ["reloaded", ({ stub }) => stub.reload(configOf().config)],
    ["the stub ends", ({ stub, world }) => world.clock.runUntil(stub.close())],
  ];
  for (const [reason, cause] of causes)
    await withPlace(async (place) => {
      place.stub.portal(OPEN);
      await cause(place);
      assert.equal(place.stub.portal([]).opening, undefined, reason);
      assert.equal(place.stub.portal([]).last?.reason, reason);
    });
});

test("one opening at a time, none where the configuration forbids it, none for a resolver", async () => {
  const isConfig = (text: RegExp) => (error: unknown) => {
    assert.ok(DnsError.is(error, "ERR_CONFIG"));
    assert.match(error.message, text);
    return true;
  };
  await withPlace(async ({ stub }) => {
    stub.portal(OPEN);
    assert.throws(() => stub.portal(OPEN), isConfig(/is open already; close it first/));
  });
  await withPlace(async ({ stub }) => {
    assert.throws(() => stub.portal(OPEN), isConfig(/stub\.portal\.allowed: false/));
    assert.equal(stub.portal([]).isAllowed, false);
  }, "portal: { allowed: false }");
  await withPlace(async ({ stub }) => {
    assert.throws(() => stub.portal(OPEN), isConfig(/2m is longer than 60 s/));
    assert.equal(stub.portal(OPEN.slice(0, 3)).opening?.leftMs, 60_000);
  }, "portal: { for-max: 1m }");
  const tooLong = loadConfig(
    "stub: { upstreams: ['tls://dns.example?ip=192.0.2.1'], portal: { for-max: 16m } }",
    "stub.yaml",
    "stub",
  );
  assert.ok(!tooLong.ok);
  const serve = loadConfig(`listen: [{ transport: udp, address: ${STUB} }]`, "sotto.yaml");
  assert.ok(serve.ok);
  const world = simRuntime(1);
  const server = await startRecursor(serve.config, world.runtimeOf([STUB]));
  assert.throws(() => server.portal(OPEN), isConfig(/only `sotto stub`/));
  await world.clock.runUntil(server.close());
});

test("what would open more than a portal is refused with its reason", () => {
  const refused = (names: string, server = PORTAL_SERVER, time?: string): string => {
    const words = time === undefined ? [names, server] : [names, server, time];
    const read = readPortalRequest(words, 900_000, ({ address }) => address === STUB);
    return read.ok ? "" : read.problem;
  };
  assert.equal(refused("portal.example,login.hotel.test"), "");
  assert.equal(refused("portal.home.arpa", "2001:db8::1@5353"), "");
  for (const name of [".", "com", "example."]) assert.match(refused(name), /whole top-level domain/, name);
  for (const name of ["co.uk", "a.bc", "com.au"]) assert.match(refused(name), /is so short/, name);
  for (const name of ["x.localhost", "a.onion", "1.168.192.in-addr.arpa", "a.invalid"])
    assert.match(refused(name), /no server is asked for/, name);
  for (const name of ["", "portal.example,", "a..b"]) assert.match(refused(name), /is not a name/, name);
  assert.equal(refused(Array.from({ length: 16 }, (_, i) => `p${i}.portal.example`).join()), "");
  assert.match(refused(Array.from({ length: 17 }, (_, i) => `p${i}.portal.example`).join()), /17 names/);
  for (const server of ["0.0.0.0", "::", "224.0.0.251", "255.255.255.255", "ff02::fb"])
    assert.match(refused("portal.example", server), /is not the address of one server/, server);
  for (const server of ["", "dns.example", "192.0.2.1@0"])
    assert.match(refused("portal.example", server), /must be ADDRESS or ADDRESS@PORT/, server);
  assert.match(refused("portal.example", STUB), /would come back to us/);
  assert.match(refused("portal.example", PORTAL_SERVER, "16m"), /longer than 900 s/);
  assert.match(refused("portal.example", PORTAL_SERVER, "1s"), /shorter than 10 s/);
  assert.match(refused("portal.example", PORTAL_SERVER, "soon"), /is not a duration/);
});

test("ourselves are our listeners, this machine where we listen on all addresses, and loopback's port 53", () => {
  const at = (address: string, port: number) => ({ local: { address, port } });
  const cases: [string, number, string, number, boolean][] = [
    ["192.0.2.1", 53, "192.0.2.1", 53, true],
    ["192.0.2.1", 5353, "192.0.2.1", 53, false],
    ["192.0.2.1", 53, "0.0.0.0", 53, true],
    ["192.0.2.2", 53, "0.0.0.0", 53, false],
    ["127.0.0.1", 5353, "0.0.0.0", 5353, true],
    ["127.0.0.53", 53, "192.0.2.1", 5353, true],
    ["::1", 53, "192.0.2.1", 5353, true],
    ["127.0.0.1", 5300, "192.0.2.1", 5353, false],
  ];
  for (const [address, port, local, localPort, expected] of cases)
    assert.equal(
      isOurself({ address, port }, [at(local, localPort)], ["192.0.2.1"]),
      expected,
      `${address} ${port} beside ${local} ${localPort}`,
    );
});
