import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { MachineFamilies } from "@sotto/dns/runtime/node";
import {
  encodeMessage,
  type Message,
  makeEdns,
  makeExtendedError,
  makeMessage,
  parseRecord,
  Rcode,
  type ResourceRecord,
} from "@sotto/dns/wire";
import { ADDRESS, StubWorld } from "../stub/stub-world.test-support.ts";
import { Channel, ChannelDefaults } from "./channel.ts";
import { lookupAddresses } from "./lookup.ts";
import { ADDRCONFIG, ALL, type LookupArguments, V4MAPPED } from "./lookup-arguments.ts";

const RECORDS = [
  "both.example. 300 IN A 192.0.2.1",
  "both.example. 300 IN A 192.0.2.2",
  "both.example. 60 IN AAAA 2001:db8::1",
  "four.example. 300 IN A 192.0.2.4",
  "six.example. 300 IN AAAA 2001:db8::6",
  "half.example. 300 IN A 192.0.2.5",
].map((text) => parseRecord(text));

function answer(query: Message): Uint8Array {
  const [question] = query.questions;
  const name = String(question?.name);
  const isBroken = name.startsWith("broken.") || (name.startsWith("half.") && question?.type === 28);
  const isOurs = ({ owner, type }: ResourceRecord): boolean =>
    String(owner) === name && type === question?.type;
  const isThere = RECORDS.some(({ owner }) => String(owner) === name);
  const rcode = isBroken ? Rcode.ServFail : isThere ? Rcode.NoError : Rcode.NXDomain;
  const answers = isBroken ? [] : RECORDS.filter(isOurs);
  return encodeMessage(
    makeMessage({ ...query, isResponse: true, recursionAvailable: true, rcode, answers, edns: undefined }),
  );
}

interface World {
  readonly world: StubWorld;
  readonly channel: Channel;
  find(hostname: string, wanted?: Partial<LookupArguments>, machine?: MachineFamilies): Promise<string[]>;
}

const BOTH: MachineFamilies = { hasIpv4: true, hasIpv6: true, reachesIpv6: true };
const ONLY_IPV4: MachineFamilies = { hasIpv4: true, hasIpv6: false, reachesIpv6: false };
const NEITHER: MachineFamilies = { hasIpv4: false, hasIpv6: false, reachesIpv6: false };

async function worldFor(context: TestContext, hosts = ""): Promise<World> {
  const world = new StubWorld();
  world.answer = answer;
  await world.serve({ hasTls: false });
  const upstreams = [{ address: ADDRESS, transport: "udp" as const }];
  const channel = new Channel(new ChannelDefaults({ upstreams, hosts: { text: hosts } }, world.runtime));
  context.after(() => world.settled(channel.close()));
  return {
    world,
    channel,
    async find(hostname, wanted = {}, machine = BOTH) {
      const filled = { family: 0, hints: 0, all: true, order: "verbatim", ...wanted } as const;
      const found = await world.settled(lookupAddresses(channel, hostname, filled, () => machine));
      return found.map(({ address }) => address);
    },
  };
}

test("the order of addresses follows the machine or what is asked for", async (context) => {
  const { find } = await worldFor(context);
  const [six, ...four] = ["2001:db8::1", "192.0.2.1", "192.0.2.2"];
  assert.deepEqual(await find("both.example"), [six, ...four]);
  assert.deepEqual(await find("both.example", {}, ONLY_IPV4), [...four, six]);
  assert.deepEqual(await find("both.example", { order: "ipv4first" }), [...four, six]);
  assert.deepEqual(await find("both.example", { order: "ipv6first" }, ONLY_IPV4), [six, ...four]);
});

test("only the families that are wanted are asked for", async (context) => {
  const { find, world } = await worldFor(context);
  assert.deepEqual(await find("both.example", { family: 4 }), ["192.0.2.1", "192.0.2.2"]);
  assert.equal(world.clearQueries, 1);
  assert.deepEqual(await find("six.example", { family: 6 }), ["2001:db8::6"]);
  assert.equal(world.clearQueries, 2);
  assert.deepEqual(await find("four.example", { hints: ADDRCONFIG }, ONLY_IPV4), ["192.0.2.4"]);
  assert.equal(world.clearQueries, 3);
  // A machine with neither is one that looks up names of its own.
  assert.deepEqual(await find("four.example", { hints: ADDRCONFIG }, NEITHER), ["192.0.2.4"]);
  assert.equal(world.clearQueries, 4);
});

test("a family that the machine lacks has no addresses", async (context) => {
  const { find, world } = await worldFor(context);
  await assert.rejects(find("six.example", { family: 6, hints: ADDRCONFIG }, ONLY_IPV4), {
    code: "ENOTFOUND",
    errno: -3008,
    syscall: "getaddrinfo",
    hostname: "six.example",
  });
  assert.equal(world.clearQueries, 0);
});

test("IPv4 addresses are given in the form of IPv6 to those who want that", async (context) => {
  const { find } = await worldFor(context);
  assert.deepEqual(await find("four.example", { family: 6, hints: V4MAPPED }), ["::ffff:192.0.2.4"]);
  assert.deepEqual(await find("both.example", { family: 6, hints: V4MAPPED }), ["2001:db8::1"]);
  assert.deepEqual(await find("both.example", { family: 6, hints: V4MAPPED | ALL }), [
    "2001:db8::1",
    "::ffff:192.0.2.1",
    "::ffff:192.0.2.2",
  ]);
});

test("what failed for a while is told apart from what is not there", async (context) => {
  const { find } = await worldFor(context);
  await assert.rejects(find("absent.example"), {
    code: "ENOTFOUND",
    message: "getaddrinfo ENOTFOUND absent.example",
  });
  await assert.rejects(find("a..b"), { code: "ENOTFOUND" });
  await assert.rejects(find("broken.example"), { code: "EAI_AGAIN", errno: -3001 });
  // One family is better than none.
  assert.deepEqual(await find("half.example"), ["192.0.2.5"]);
});

test("addresses in old spellings and what is no host name are asked of nobody", async (context) => {
  const { find, world } = await worldFor(context);
  const spellings = {
    "127.1": "127.0.0.1",
    "0x7f.1.2": "127.1.0.2",
    "017700000001": "127.0.0.1",
    "1.2.3": "1.2.0.3",
  };
  for (const [text, address] of Object.entries(spellings))
    assert.deepEqual(await find(text), [address], text);
  assert.deepEqual(await find("127.1", { family: 6, hints: V4MAPPED }), ["::ffff:127.0.0.1"]);
  await assert.rejects(find("127.1", { family: 6 }), { code: "EAI_ADDRFAMILY", errno: -3000 });
  for (const name of [
    "both.example/",
    "u@both.example",
    "both example",
    "http://both.example",
    "-both.example",
    "both\\.example",
    "ü/x",
  ])
    await assert.rejects(find(name), { code: "ENOTFOUND", errno: -3008, hostname: name }, name);
  assert.equal(world.clearQueries, 0);
  // Numbers that are too large for an address are names.
  for (const name of ["256.1.1.1", "1.2.3.4.5", "4294967296", "0x", "08.1"])
    await assert.rejects(find(name), { code: "ENOTFOUND" }, name);
  assert.equal(world.clearQueries, 10);
});

test("the hosts file and localhost need nobody", async (context) => {
  const { find, world, channel } = await worldFor(context, "192.0.2.99 both.example own\n2001:db8::99 own");
  assert.deepEqual(await find("own"), ["2001:db8::99", "192.0.2.99"]);
  assert.deepEqual(await find("both.example"), ["192.0.2.99"]);
  assert.deepEqual(await find("localhost"), ["::1", "127.0.0.1"]);
  assert.deepEqual(await find("sub.localhost", {}, ONLY_IPV4), ["::1", "127.0.0.1"]);
  await assert.rejects(find("x.onion"), { code: "ENOTFOUND" });
  assert.equal(world.clearQueries, 0);
  // Records are asked for past the hosts file, as by Node.
  const { records } = await world.settled(channel.ask("both.example", "A", { hosts: false }));
  assert.equal(records.length, 2);
});

test("what a server tells of a failure is in the cause, and steers no terminal", async (context) => {
  const { find, world } = await worldFor(context);
  world.answer = (query) => {
    const text = `blocked\u001b[2J\nby \u202epolicy${"!".repeat(500)}`;
    const options = [makeExtendedError({ code: 15, text })];
    const reply = { ...query, isResponse: true, rcode: Rcode.ServFail, edns: makeEdns({ options }) };
    return encodeMessage(makeMessage(reply));
  };
  const told: unknown = await find("www.example").catch(({ cause }) => cause.message);
  assert.match(String(told), /^EDE 15: blocked\.\[2J\.by \.policy!{50,200}…$/);
});

test("cancel gives up what is under way and nothing else", async (context) => {
  const { channel, world } = await worldFor(context);
  channel.setServers(["192.0.2.250:5353"]);
  const given = channel.ask("both.example", "A");
  channel.cancel();
  channel.setServers([ADDRESS]);
  const after = channel.ask("both.example", "A");
  await assert.rejects(world.settled(given), { code: "ERR_ABORTED" });
  assert.equal((await world.settled(after)).records.length, 2);
});

test("the patience of a resolver is that of its tries, each twice as long as the one before", async (context) => {
  const { world } = await worldFor(context);
  const upstreams = [{ address: "192.0.2.250", transport: "udp" as const }];
  const defaults = new ChannelDefaults({ upstreams }, world.runtime);
  for (const [options, ms] of [
    [{ timeout: 100, tries: 3 }, 700],
    [{ timeout: 100, tries: 3, maxTimeout: 150 }, 400],
    [{ timeout: 100, tries: 1 }, 100],
  ] as const) {
    const channel = new Channel(defaults, options);
    const startMs = world.world.clock.nowMs();
    await assert.rejects(world.settled(channel.ask("www.example", "A")), { code: "ERR_TIMEOUT" });
    assert.equal(world.world.clock.nowMs() - startMs, ms);
  }
  await world.settled(defaults.close());
});

test("servers can be replaced while questions are under way", async (context) => {
  const { channel, world } = await worldFor(context);
  channel.setServers([`${ADDRESS}:5399`]);
  const lost = assert.rejects(world.settled(channel.ask("both.example", "A", { timeoutMs: 1000 })), {
    code: "ERR_CONNECT_REFUSED",
  });
  channel.setServers([ADDRESS]);
  assert.equal((await world.settled(channel.ask("both.example", "A"))).records.length, 2);
  await lost;
  assert.deepEqual(channel.getServers(), [ADDRESS]);
});
