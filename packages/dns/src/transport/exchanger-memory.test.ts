/** What an exchanger learns of servers and networks: failures, idle times, cookies, open connections, sleep. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError, type Network } from "@sotto/dns/runtime";
import { type SimWorld, simRuntime } from "@sotto/dns/testing";
import { EdnsOptionCode, type Message, makeCookie, Rcode } from "@sotto/dns/wire";
import {
  CLIENT_ADDRESSES,
  decode,
  exchangerWorld,
  FakeStreamServer,
  FakeUdpServer,
  questionOf,
  replyTo,
  requestOf,
  SERVER,
} from "./client-fakes.test-support.ts";
import { Exchanger } from "./exchanger.ts";

/** The code of the failure, or `ok`, and how long it took. */
async function outcomeOf(world: SimWorld, running: Promise<unknown>): Promise<[string, number]> {
  const startMs = world.clock.nowMs();
  try {
    await world.clock.runUntil(running);
    return ["ok", world.clock.nowMs() - startMs];
  } catch (error) {
    assert.ok(DnsError.is(error));
    return [error.code, world.clock.nowMs() - startMs];
  }
}

test("a dead server costs the wait once, then fails at once with the reason until its patience is over", async () => {
  const { world, exchanger } = exchangerWorld(1, { connectTimeoutMs: 1000 });
  world.network.setReachability(SERVER.address, "silent");
  const ask = (): Promise<[string, number]> =>
    outcomeOf(world, exchanger.exchange(requestOf(world, { transport: "tcp" })));
  assert.deepEqual(await ask(), ["ERR_CONNECT_TIMEOUT", 1000]);
  assert.deepEqual(await ask(), ["ERR_CONNECT_TIMEOUT", 0]);
  await world.clock.advance(2000);
  world.network.setReachability(SERVER.address, "normal");
  await FakeStreamServer.open(world.network.host([SERVER.address]), (query, stream) =>
    stream.reply(replyTo(query)),
  );
  assert.equal((await ask())[0], "ok");
  await world.clock.runUntil(exchanger.close());
});

test("a reused connection that dies costs a retry and nothing of the server's standing [7858-3.4-e 7766-6.2.4-a]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  let streams = 0;
  await FakeStreamServer.open(serverHost, (query, stream) => {
    if (stream.queries.length === 1) streams++;
    // Each connection answers one query and breaks at the second.
    if (stream.queries.length === 1) stream.reply(replyTo(query));
    else stream.stream.reset();
  });
  for (let i = 0; i < 6; i++) {
    const [outcome] = await outcomeOf(world, exchanger.exchange(requestOf(world, { transport: "tcp" })));
    assert.equal(outcome, "ok", `query ${i}`);
  }
  assert.equal(streams, 6);
  await world.clock.runUntil(exchanger.close());
});

/**
 * Names whose own servers are dead keep a resolver busy for half a minute. When nothing else was asked, the fresh connection on
 * which they were asked once more stayed silent as well, was held against the resolver, and everybody was turned away.
 */
test("names that take long neither fail nor are held against a server that has just replied", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  await FakeStreamServer.open(serverHost, (query, stream) => {
    const isSlow = query.questions[0]?.name.toString() === "slow.example.";
    if (isSlow) world.clock.startTimer("slow name", 20_000, () => stream.reply(replyTo(query)));
    else stream.reply(replyTo(query));
  });
  const ask = (name: string): Promise<[string, number]> => {
    const deadlineMs = world.clock.nowMs() + 60_000;
    const request = requestOf(world, { transport: "tcp", question: questionOf(name), deadlineMs });
    return outcomeOf(world, exchanger.exchange(request));
  };
  assert.equal((await ask("www.example."))[0], "ok");
  const slow = ask("slow.example.");
  for (let i = 0; i < 3; i++) {
    await world.clock.advance(3000);
    assert.equal((await ask("www.example."))[0], "ok", "nobody is turned away meanwhile");
  }
  const [outcome, tookMs] = await slow;
  assert.equal(outcome, "ok");
  assert.ok(tookMs < 22_000, `${tookMs} ms`);
  await world.clock.runUntil(exchanger.close());
});

test("a dead server is remembered although every query gave up before its connection did", async () => {
  const { world, exchanger } = exchangerWorld(1, { connectTimeoutMs: 3000 });
  world.network.setReachability(SERVER.address, "silent");
  const ask = (): Promise<[string, number]> => {
    const deadlineMs = world.clock.nowMs() + 1000;
    return outcomeOf(world, exchanger.exchange(requestOf(world, { transport: "tcp", deadlineMs })));
  };
  assert.deepEqual(await ask(), ["ERR_CONNECT_TIMEOUT", 1000]);
  await world.clock.advance(2000);
  assert.deepEqual(await ask(), ["ERR_CONNECT_TIMEOUT", 0]);
  const request = requestOf(world, { transport: "tcp" });
  assert.equal(exchanger.isBackedOff(request), true);
  assert.equal(exchanger.isBackedOff({ ...request, transport: "udp" }), false);
  exchanger.networkChanged();
  assert.equal(exchanger.isBackedOff(request), false);
  await world.clock.runUntil(exchanger.close());
});

test("who comes while a failed server is tried again waits for what becomes of that", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, { connectTimeoutMs: 500 });
  const other = { address: "198.51.100.54", port: 53 };
  await FakeStreamServer.open(
    world.network.host([other.address]),
    (query, stream) => stream.reply(replyTo(query)),
    undefined,
    other,
  );
  world.network.setReachability(SERVER.address, "silent");
  const exchange = (isLastHope: boolean): Promise<unknown> =>
    exchanger.exchange(requestOf(world, { transport: "tcp", isLastHope }));
  const ask = (isLastHope: boolean): Promise<[string, number]> => outcomeOf(world, exchange(isLastHope));
  // Somebody else answers, so that it is not the network: patience grows to four seconds.
  for (let i = 0; i < 2; i++) {
    await outcomeOf(world, exchanger.exchange(requestOf(world, { transport: "tcp", server: other })));
    assert.deepEqual(await ask(false), ["ERR_CONNECT_TIMEOUT", 500]);
    if (i === 0) await world.clock.advance(2000);
  }
  world.network.setReachability(SERVER.address, "normal");
  await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)));
  // The last try began half a second before it failed.
  await world.clock.advance(1499);
  assert.deepEqual(await ask(true), ["ERR_CONNECT_TIMEOUT", 0], "it was tried less than two seconds ago");
  await world.clock.advance(1);
  assert.deepEqual(await ask(false), ["ERR_CONNECT_TIMEOUT", 0], "somebody else can be asked");
  const both = Promise.all([exchange(true), exchange(false)]);
  assert.equal((await outcomeOf(world, both))[0], "ok");
  await world.clock.runUntil(exchanger.close());
});

test("a reused connection that died without a word costs a second, not the query [7858-3.4-d 7858-3.4-e]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const server = await FakeStreamServer.open(serverHost, (query, stream) => {
    if (stream.queries.length === 1) stream.reply(replyTo(query));
  });
  const ask = (): Promise<[string, number]> =>
    outcomeOf(world, exchanger.exchange(requestOf(world, { transport: "tcp" })));
  await ask();
  await world.clock.advance(3000);
  const [outcome, ms] = await ask();
  assert.equal(outcome, "ok");
  assert.ok(ms >= 1000 && ms < 1100, `${ms} ms`);
  assert.equal(server.streams.length, 2);
  assert.equal(exchanger.isBackedOff(requestOf(world, { transport: "tcp" })), false);
  await world.clock.runUntil(exchanger.close());
});

test("a query that would have gone over UDP goes there when the open TCP connection is dead", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const udp = await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  const tcp = await FakeStreamServer.open(serverHost, (query, stream) => {
    if (stream.queries.length === 1) stream.reply(replyTo(query));
  });
  await outcomeOf(world, exchanger.exchange(requestOf(world, { transport: "tcp" })));
  await world.clock.advance(3000);
  const first = exchanger.exchange(requestOf(world));
  await world.clock.advance(1500);
  const second = await outcomeOf(world, exchanger.exchange(requestOf(world)));
  assert.deepEqual(second[0], "ok");
  assert.ok(second[1] < 100, "it is not even tried after a second of silence");
  assert.equal((await outcomeOf(world, first))[0], "ok");
  assert.deepEqual([udp.queries.length, tcp.streams.length], [2, 1]);
  await world.clock.runUntil(exchanger.close());
});

test("closes of idle connections teach how long the server keeps them [7766-6.2.3-a]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, { connection: { idleTimeoutMs: 10_000 } });
  const server = await FakeStreamServer.open(serverHost, (query, stream) => {
    stream.reply(replyTo(query));
    world.clock.startTimer("server idle", 4000, () => stream.stream.end());
  });
  for (let i = 0; i < 4; i++) {
    await world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tcp", edns: undefined })));
    await world.clock.advance(6000);
  }
  const closedFirstBy = server.streams.map(({ isEnded, isClosed }) => isEnded && isClosed);
  assert.deepEqual(closedFirstBy, [true, true, true, true]);
  const open = (): number => exchanger.connectionCount;
  await world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tcp", edns: undefined })));
  await world.clock.advance(3300);
  assert.equal(open(), 0, "closed by us, before the server's four seconds");
  await world.clock.advance(3_600_000);
  await world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tcp", edns: undefined })));
  await world.clock.advance(3600);
  assert.equal(open(), 1, "after an hour it is found out anew");
  await world.clock.advance(10_000);
  await world.clock.runUntil(exchanger.close());
});

test("a server that restarts and closes an idle connection teaches nothing", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, { connection: { idleTimeoutMs: 10_000 } });
  const server = await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)));
  const ask = (): Promise<[string, number]> =>
    outcomeOf(world, exchanger.exchange(requestOf(world, { transport: "tcp", edns: undefined })));
  await ask();
  server.streams[0]?.stream.end();
  await world.clock.advance(1000);
  await ask();
  await world.clock.advance(9000);
  assert.equal(exchanger.connectionCount, 1);
  await world.clock.runUntil(exchanger.close());
});

test("an open TCP connection is used before UDP [7766-5-c]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const udp = await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  const tcp = await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)));
  for (const transport of ["udp", "tcp", "udp", "udp"] as const)
    await world.clock.runUntil(exchanger.exchange(requestOf(world, { transport })));
  assert.equal(udp.queries.length, 1);
  assert.deepEqual(
    tcp.streams.map(({ queries }) => queries.length),
    [3],
  );
  await world.clock.advance(60_000);
  await world.clock.runUntil(exchanger.exchange(requestOf(world)));
  assert.equal(udp.queries.length, 2, "the connection is gone");
  await world.clock.runUntil(exchanger.close());
});

test("after sleep and on another network connections and back-off are gone at once", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const tcp = await FakeStreamServer.open(serverHost, (query, stream) => {
    // The first network swallows the second query.
    if (stream !== tcp.streams[0] || stream.queries.length === 1) stream.reply(replyTo(query));
  });
  await world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tcp" })));
  const waiting = exchanger.exchange(requestOf(world, { transport: "tcp" }));
  await world.clock.advance(100);
  exchanger.networkChanged();
  const [outcome, ms] = await outcomeOf(world, waiting);
  assert.equal(outcome, "ok");
  assert.ok(ms < 1000, `${ms} ms`);
  assert.equal(tcp.streams.length, 2);
  world.network.setReachability(SERVER.address, "unreachable");
  await world.clock.advance(60_000);
  const ask = (): Promise<[string, number]> =>
    outcomeOf(world, exchanger.exchange(requestOf(world, { transport: "tcp" })));
  assert.equal((await ask())[0], "ERR_UNREACHABLE");
  world.network.setReachability(SERVER.address, "normal");
  assert.equal((await ask())[0], "ERR_UNREACHABLE", "not tried again yet");
  // The laptop slept: wall time went on, monotonic time did not.
  world.clock.jumpWall(3_600_000);
  assert.equal((await ask())[0], "ok");
  await world.clock.runUntil(exchanger.close());
});

test("queries that wait for a connection go on over a fresh one when the network changes meanwhile", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, { connectTimeoutMs: 4000 });
  world.network.setReachability(SERVER.address, "silent");
  const waiting = exchanger.exchange(requestOf(world, { transport: "tcp" }));
  await world.clock.advance(1000);
  world.network.setReachability(SERVER.address, "normal");
  await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)));
  exchanger.networkChanged();
  const [outcome, ms] = await outcomeOf(world, waiting);
  assert.equal(outcome, "ok");
  assert.ok(ms < 200, `${ms} ms`);
  await world.clock.runUntil(exchanger.close());
});

test("on another network no ticket shows who we were", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)), {});
  const ask = async (): Promise<boolean> => {
    const request = requestOf(world, { transport: "tls" });
    const { facts } = await world.clock.runUntil(exchanger.exchange(request));
    await world.clock.advance(60_000);
    return facts.sessionResumed;
  };
  assert.deepEqual([await ask(), await ask()], [false, true]);
  exchanger.networkChanged();
  assert.equal(await ask(), false);
  await world.clock.runUntil(exchanger.close());
});

test("a timer that fires far too late shows that the machine slept", async () => {
  const world = simRuntime(1);
  const runtime = world.runtimeOf(CLIENT_ADDRESSES);
  const { clock } = world;
  let lateMs = 0;
  // Monotonic time goes on during sleep on some systems: then both clocks agree, and only timers are late.
  const sleepy = {
    nowMs: () => clock.nowMs() + lateMs,
    wallMs: () => clock.wallMs() + lateMs,
    startTimer: clock.startTimer.bind(clock),
  };
  const exchanger = new Exchanger({}, { ...runtime, clock: sleepy });
  await FakeStreamServer.open(world.network.host([SERVER.address]), (query, stream) =>
    stream.reply(replyTo(query)),
  );
  await clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tcp" })));
  const before = exchanger.networkEpoch;
  await clock.advance(5000);
  lateMs = 3_600_000;
  assert.equal(exchanger.networkEpoch, before);
  await clock.advance(10_000);
  assert.equal(exchanger.networkEpoch, before + 1);
  assert.equal(exchanger.connectionCount, 0);
  await clock.runUntil(exchanger.close());
});

/** Gives cookies; `onQuery` decides what else. */
function cookieOf(query: Message): Uint8Array | undefined {
  return query.edns?.options.find(({ code }) => code === EdnsOptionCode.Cookie)?.data;
}

function withCookie(
  query: Message,
  client: Uint8Array,
  server: Uint8Array,
  parts: Partial<Message> = {},
): Uint8Array {
  return replyTo(query, {
    ...parts,
    edns: query.edns && { ...query.edns, options: [makeCookie({ client, server })] },
  });
}

test("the server's cookie comes back to it, and a reply with a wrong one of ours is not taken [7873-5.3-a]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const given = Uint8Array.from({ length: 16 }, (_, i) => i);
  const seen: string[] = [];
  await FakeUdpServer.open(serverHost, (query) => {
    const cookie = cookieOf(query) ?? new Uint8Array(0);
    seen.push(Buffer.from(cookie).toString("hex"));
    const client = cookie.subarray(0, 8);
    const forged = withCookie(query, new Uint8Array(8).fill(9), given, {
      rcode: Rcode.NXDomain,
      answers: [],
    });
    const bare = replyTo(query, { rcode: Rcode.Refused, answers: [] });
    // Once it has given one, a reply without is forged too.
    return seen.length === 1
      ? [forged, withCookie(query, client, given)]
      : [bare, withCookie(query, client, given)];
  });
  for (let i = 0; i < 2; i++) {
    const { message } = await world.clock.runUntil(exchanger.exchange(requestOf(world, { cookies: true })));
    assert.equal(message.rcode, Rcode.NoError);
  }
  const [first = "", second = ""] = seen;
  assert.equal(first.length, 16);
  assert.equal(second, first + Buffer.from(given).toString("hex"));
  exchanger.networkChanged();
  await world.clock.runUntil(exchanger.exchange(requestOf(world, { cookies: true })));
  assert.notEqual(seen[2]?.slice(0, 16), first, "[9018-3-a] nobody recognises us on another network");
  await world.clock.runUntil(exchanger.close());
});

test("a server that has stopped giving cookies is asked over TCP once, soon, and then believed again", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  let givesCookies = true;
  await FakeUdpServer.open(serverHost, (query) => {
    const client = cookieOf(query)?.subarray(0, 8) ?? new Uint8Array(8);
    return [givesCookies ? withCookie(query, client, new Uint8Array(16)) : replyTo(query)];
  });
  await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)));
  const ask = async (): Promise<string> => {
    const running = exchanger.exchange(requestOf(world, { cookies: true, mayUseOpenTcp: false }));
    const startMs = world.clock.nowMs();
    const { facts } = await world.clock.runUntil(running);
    assert.ok(world.clock.nowMs() - startMs < 300);
    return facts.transport;
  };
  const transports = [await ask()];
  givesCookies = false;
  transports.push(await ask(), await ask());
  assert.deepEqual(transports, ["udp", "tcp", "udp"]);
  await world.clock.runUntil(exchanger.close());
});

test("a near server is asked again sooner when a datagram is lost", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const udp = await FakeUdpServer.open(serverHost, (query, nth) => (nth === 4 ? [] : [replyTo(query)]));
  const took: number[] = [];
  for (let i = 0; i < 5; i++) {
    const [outcome, ms] = await outcomeOf(world, exchanger.exchange(requestOf(world)));
    assert.equal(outcome, "ok");
    took.push(ms);
  }
  assert.deepEqual(took, [10, 10, 10, 260, 10]);
  assert.equal(udp.queries.length, 6);
  await world.clock.runUntil(exchanger.close());
});

test("a server that has become slow is soon asked once again", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  let delayMs = 0;
  let seen = 0;
  const socket = await serverHost.bindDatagram(
    { local: SERVER, connectTo: undefined, reusePort: false },
    {
      onMessage: (octets, from) => {
        seen++;
        const reply = replyTo(decode(octets.slice()));
        world.clock.startTimer("slow server", delayMs, () => socket.send(reply, from));
      },
      onError: () => undefined,
    },
  );
  const sendings = async (): Promise<number> => {
    seen = 0;
    await outcomeOf(world, exchanger.exchange(requestOf(world)));
    return seen;
  };
  for (let i = 0; i < 10; i++) assert.equal(await sendings(), 1);
  delayMs = 400;
  assert.equal(await sendings(), 2);
  for (let i = 0; i < 3; i++) await sendings();
  assert.equal(await sendings(), 1);
  await world.clock.runUntil(exchanger.close());
});

test("where SYNs with data are lost ordinary ones are sent for an hour, and nobody is blamed [7413-4.1.3.1-a]", async () => {
  const world = simRuntime(1);
  const real = world.runtimeOf(CLIENT_ADDRESSES);
  const asked: (boolean | undefined)[] = [];
  const connect: Network["connect"] = (options) => {
    asked.push(options.fastOpen);
    return options.fastOpen === true
      ? Promise.reject(new DnsError("ERR_CONNECT_TIMEOUT", "no answer to SYNs", { stage: "connect" }))
      : real.network.connect(options);
  };
  const { listen, bindDatagram } = real.network;
  const network = {
    connect,
    listen: listen.bind(real.network),
    bindDatagram: bindDatagram.bind(real.network),
  };
  await FakeStreamServer.open(world.network.host([SERVER.address]), (query, stream) =>
    stream.reply(replyTo(query)),
  );
  const exchanger = new Exchanger({ fastOpen: true }, { ...real, network });
  const ask = async (): Promise<string> => {
    const [outcome] = await outcomeOf(
      world,
      exchanger.exchange(requestOf(world, { transport: "tcp", edns: undefined })),
    );
    return outcome;
  };
  assert.equal(await ask(), "ERR_CONNECT_TIMEOUT");
  assert.equal(await ask(), "ok", "at once");
  await world.clock.advance(60_000);
  assert.equal(await ask(), "ok");
  await world.clock.advance(3_600_000);
  await ask();
  assert.deepEqual(asked, [true, false, false, true]);
  await world.clock.runUntil(exchanger.close());
});

test("cookies differ by own address, so that they link nothing [9018-3-a]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const seen = new Set<string>();
  await FakeUdpServer.open(serverHost, (query) => {
    seen.add(Buffer.from(cookieOf(query) ?? []).toString("hex"));
    return [replyTo(query)];
  });
  const addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.1"];
  const runtime = world.runtimeOf(["192.0.2.1", "192.0.2.2"]);
  const two = new Exchanger({}, runtime);
  for (const localAddress of addresses)
    await world.clock.runUntil(two.exchange(requestOf(world, { cookies: true, localAddress })));
  assert.equal(seen.size, 2);
  await world.clock.runUntil(two.close());
  await world.clock.runUntil(exchanger.close());
});

test("BADCOOKIE is answered by the cookie that came with it, and a second one by TCP [7873-5.3-a]", async () => {
  for (const isStubborn of [false, true]) {
    const { world, exchanger, serverHost } = exchangerWorld();
    const given = new Uint8Array(16).fill(3);
    const udp = await FakeUdpServer.open(serverHost, (query) => {
      const cookie = cookieOf(query) ?? new Uint8Array(0);
      const client = cookie.subarray(0, 8);
      const isGood = cookie.length === 24 && !isStubborn;
      return [withCookie(query, client, given, isGood ? {} : { rcode: Rcode.BadCookie, answers: [] })];
    });
    const tcp = await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)));
    const { message, facts } = await world.clock.runUntil(
      exchanger.exchange(requestOf(world, { cookies: true })),
    );
    assert.equal(message.rcode, Rcode.NoError);
    assert.equal(udp.queries.length, 2);
    assert.equal(facts.transport, isStubborn ? "tcp" : "udp");
    assert.equal(tcp.streams.length, isStubborn ? 1 : 0);
    await world.clock.runUntil(exchanger.close());
  }
});

test("on request a query asks that no part of the client's address is passed on, otherwise nothing is said [8310-11.1-b]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const udp = await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  for (const hideClientSubnet of [true, false])
    await world.clock.runUntil(
      exchanger.exchange(requestOf(world, { hideClientSubnet, question: questionOf("www.example.") })),
    );
  const [hidden, plain] = udp.queries.map(
    (query) => query.edns?.options.find(({ code }) => code === EdnsOptionCode.ClientSubnet)?.data,
  );
  assert.deepEqual(hidden, Uint8Array.of(0, 1, 0, 0));
  assert.equal(plain, undefined);
  await world.clock.runUntil(exchanger.close());
});

test("other addresses of ours are noticed by the next query, which goes over a fresh connection", async () => {
  const { world, serverHost } = exchangerWorld();
  const server = await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)));
  const runtime = world.runtimeOf(CLIENT_ADDRESSES);
  let own = "192.0.2.1";
  const { network } = runtime;
  const moving: Network = {
    connect: (options) => network.connect(options),
    listen: (options, handlers) => network.listen(options, handlers),
    bindDatagram: (options, handlers) => network.bindDatagram(options, handlers),
    ownAddresses: () => own,
  };
  const exchanger = new Exchanger({}, { ...runtime, network: moving });
  const ask = (): Promise<[string, number]> =>
    outcomeOf(world, exchanger.exchange(requestOf(world, { transport: "tcp" })));
  await ask();
  const epoch = exchanger.networkEpoch;
  await world.clock.advance(900);
  own = "203.0.113.1";
  await ask();
  assert.deepEqual([server.streams.length, exchanger.networkEpoch], [1, epoch], "a look a second is enough");
  await world.clock.advance(200);
  assert.equal((await ask())[0], "ok");
  assert.deepEqual([server.streams.length, exchanger.networkEpoch], [2, epoch + 1]);
  exchanger.networkMayHaveChanged();
  assert.equal(exchanger.networkEpoch, epoch + 1, "nothing has changed since");
  own = "";
  exchanger.networkMayHaveChanged();
  assert.equal(exchanger.networkEpoch, epoch + 2);
  await world.clock.runUntil(exchanger.close());
});
