import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageCache } from "@sotto/dns/cache";
import { silentEvents } from "@sotto/dns/runtime";
import { SeededRandom, SimClock } from "@sotto/dns/testing";
import {
  EdnsOptionCode,
  encodeMessage,
  type Message,
  makeEdns,
  makeMessage,
  makePadding,
  Rcode,
} from "@sotto/dns/wire";
import {
  channelOf,
  decode,
  FakeResponder,
  optionOf,
  queryOctets,
  replyOf,
  viewOf,
} from "./queries.test-support.ts";
import { QueryService } from "./query-service.ts";
import { ServerCookies, type ServerCookiesOptions } from "./server-cookies.ts";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const textOf = (octets: Uint8Array | undefined): string => Buffer.from(octets ?? []).toString("hex");
const CLIENT = "2464c4abcf10c957";
const SECRET = hex("e5e973e5a6b2a43f48e7dc849e37bfcf");

function cookie(data: string): { code: number; data: Uint8Array } {
  return { code: EdnsOptionCode.Cookie, data: hex(data) };
}

/** What the option of an answer is for a client at an address. */
function written(sent: string, address: string, secrets: readonly Uint8Array[], seconds: number): string {
  const cookies = new ServerCookies({ secrets, policy: "offer" }, () => seconds * 1000);
  const view = viewOf(queryOctets("www.example.", { edns: { options: [cookie(sent)] } }));
  const buffer = new Uint8Array(64);
  const end = cookies.write(buffer, 0, view, channelOf("udp", { address }).origin);
  return textOf(buffer.subarray(4, end));
}

test("the vectors of RFC 9018 Appendix A [9018-4-a]", () => {
  const first = "010000005cf79f111f8130c3eee29480";
  assert.equal(written(CLIENT, "198.51.100.100", [SECRET], 1559731985), CLIENT + first);
  const renewed = "010000005cf7a871d4a564a1442aca77";
  assert.equal(written(CLIENT + first, "198.51.100.100", [SECRET], 1559734385), CLIENT + renewed);
  const reserved = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
  assert.equal(
    written(reserved, "203.0.113.203", [SECRET], 1559728000),
    reserved,
    "reserved octets that are not zero are hashed as they are",
  );
  const old = hex("dd3bdf9344b678b185a6f5cb60fca715");
  const now = hex("445536bcd2513298075a5d379663c962");
  assert.equal(
    written(
      "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
      "2001:db8:220:1:59de:d0f4:8769:82b8",
      [now, old],
      1559741961,
    ),
    "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
    "the former secret is still taken",
  );
  assert.equal(
    written("22681ab97d52c298", "2001:db8:220:1:59de:d0f4:8769:82b8", [now, old], 1559741961),
    "22681ab97d52c298010000005cf7c609a6bb79d16625507a",
  );
});

test("a cookie is good for its address, its client cookie and its time [9018-4-a]", () => {
  const atSeconds = 1_600_000_000;
  const given = written(CLIENT, "192.0.2.1", [SECRET], atSeconds);
  const judged = (sent: string, address: string, seconds: number): string => {
    const cookies = new ServerCookies({ secrets: [SECRET], policy: "offer" }, () => seconds * 1000);
    const view = viewOf(queryOctets("www.example.", { edns: { options: [cookie(sent)] } }));
    return cookies.judge(view, channelOf("udp", { address }).origin);
  };
  assert.equal(judged(given, "192.0.2.1", atSeconds), "good");
  assert.equal(judged(given, "192.0.2.1", atSeconds + 3600), "good");
  assert.equal(judged(given, "192.0.2.1", atSeconds - 300), "good");
  assert.equal(judged(given, "192.0.2.1", atSeconds + 3601), "client only");
  assert.equal(judged(given, "192.0.2.1", atSeconds - 301), "client only");
  assert.equal(judged(given, "192.0.2.2", atSeconds), "client only");
  assert.equal(judged(given.replace(CLIENT, "0000000000000000"), "192.0.2.1", atSeconds), "client only");
  for (let at = 16; at < given.length; at += 2) {
    const broken =
      given.slice(0, at) +
      (Number.parseInt(given.slice(at, at + 2), 16) ^ 1).toString(16).padStart(2, "0") +
      given.slice(at + 2);
    assert.equal(judged(broken, "192.0.2.1", atSeconds), "client only", `octet ${at / 2}`);
  }
});

interface Bench {
  readonly service: QueryService;
  ask(octets: Uint8Array, transport?: "udp" | "tcp" | "tls"): Promise<Message>;
}

function benchWith(cookies: ServerCookiesOptions | undefined): Bench {
  const clock = new SimClock();
  const random = new SeededRandom(1);
  const responder = new FakeResponder((query) => replyOf(query, ["www.example. 300 IN A 192.0.2.1"]));
  const cache = new MessageCache(
    { bytesMax: 1 << 20, ttlSecondsMax: 3600, negativeTtlSecondsMax: 3600 },
    random,
  );
  const network = { connect: no, listen: no, bindDatagram: no };
  const service = new QueryService(
    { responder, cache, cookies },
    { clock, random, network, events: silentEvents },
  );
  return {
    service,
    ask: async (octets, transport = "udp") => {
      const answer = await service.answer(octets, channelOf(transport));
      return decode(answer?.slice());
    },
  };
}

function no(): never {
  throw new Error("no network here");
}

test("whoever sends a client cookie gets a server cookie, from cache too and before padding [7873-5.2.3-a]", async () => {
  const bench = benchWith({ secrets: [SECRET], policy: "offer" });
  const octets = queryOctets("www.example.", { edns: { options: [cookie(CLIENT), makePadding(8)] } });
  for (const transport of ["udp", "tcp", "tls"] as const) {
    for (const round of ["first", "again"]) {
      const message = await bench.ask(octets, transport);
      assert.equal(message.rcode, Rcode.NoError);
      assert.equal(message.answers.length, 1);
      const data = optionOf(message, EdnsOptionCode.Cookie);
      assert.equal(data?.length, 24, `${transport} ${round}`);
      assert.equal(textOf(data?.subarray(0, 8)), CLIENT);
      const codes = message.edns?.options.map(({ code }) => code) ?? [];
      if (transport === "tls") assert.equal(codes.at(-1), EdnsOptionCode.Padding);
    }
  }
  const plain = await bench.ask(queryOctets("www.example.", { edns: true }));
  assert.equal(optionOf(plain, EdnsOptionCode.Cookie), undefined);
  const off = await benchWith(undefined).ask(octets);
  assert.equal(optionOf(off, EdnsOptionCode.Cookie), undefined);
});

test("an option of a length that no cookie has is FORMERR [7873-5.2.2-a]", async () => {
  const bench = benchWith({ secrets: [SECRET], policy: "offer" });
  for (const octets of [0, 7, 9, 15, 41]) {
    const message = await bench.ask(
      queryOctets("www.example.", { edns: { options: [cookie("ab".repeat(octets))] } }),
    );
    assert.equal(message.rcode, Rcode.FormErr, `${octets} octets`);
    assert.equal(optionOf(message, EdnsOptionCode.Cookie), undefined);
  }
  for (const octets of [8, 16, 24, 40]) {
    const message = await bench.ask(
      queryOctets("www.example.", { edns: { options: [cookie("ab".repeat(octets))] } }),
    );
    assert.equal(message.rcode, Rcode.NoError, `${octets} octets`);
  }
});

test("by policy a client cookie alone gets BADCOOKIE over UDP, and comes in with the one it was given [7873-5.2.3-a]", async () => {
  const bench = benchWith({ secrets: [SECRET], policy: "require over udp" });
  const bad = await bench.ask(queryOctets("www.example.", { edns: { options: [cookie(CLIENT)] } }));
  assert.equal(bad.rcode, Rcode.BadCookie);
  assert.equal(bad.answers.length, 0);
  const given = textOf(optionOf(bad, EdnsOptionCode.Cookie));
  const good = await bench.ask(queryOctets("www.example.", { edns: { options: [cookie(given)] } }));
  assert.equal(good.rcode, Rcode.NoError);
  const tcp = await bench.ask(queryOctets("www.example.", { edns: { options: [cookie(CLIENT)] } }), "tcp");
  assert.equal(tcp.rcode, Rcode.NoError);
  const none = await bench.ask(queryOctets("www.example.", { edns: true }));
  assert.equal(none.rcode, Rcode.NoError, "a client without cookies is no worse off");
});

test("a query without a question that has a cookie is answered with one [7873-5.4-a]", async () => {
  const bench = benchWith({ secrets: [SECRET], policy: "offer" });
  const octets = encodeMessage(makeMessage({ id: 7, edns: makeEdns({ options: [cookie(CLIENT)] }) }));
  const message = await bench.ask(octets);
  assert.equal(message.rcode, Rcode.NoError);
  assert.equal(message.questions.length, 0);
  assert.equal(optionOf(message, EdnsOptionCode.Cookie)?.length, 24);
  const without = await bench.ask(encodeMessage(makeMessage({ id: 7, edns: makeEdns() })));
  assert.equal(without.rcode, Rcode.FormErr);
});
