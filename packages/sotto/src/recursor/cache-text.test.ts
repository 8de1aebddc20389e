import assert from "node:assert/strict";
import { test } from "node:test";
import { RRsetCache, Trust } from "@sotto/dns/cache";
import { SimClock } from "@sotto/dns/testing";
import { parseName, parseRecord, RRType } from "@sotto/dns/wire";
import { dumpCache, loadCache } from "./cache-text.ts";

const LINES = `; sotto cache 1
www.example.	300	IN	A	192.0.2.1
www.example.	300	IN	A	192.0.2.2
www.example.	300	IN	RRSIG	A 13 2 300 20300101000000 20200101000000 1 example. AAAA
example.	60	IN	MX	10 mail.example.
txt.example.	60	IN	TXT	"a \\"quoted\\" one"
`;

function make(): { clock: SimClock; rrsets: RRsetCache } {
  const clock = new SimClock();
  return { clock, rrsets: new RRsetCache({}, clock) };
}

const dumped = (rrsets: RRsetCache): string => [...dumpCache(rrsets)].join("");

test("what is dumped can be loaded, with signatures and what is left of the TTLs", async () => {
  const { clock, rrsets } = make();
  assert.deepEqual(loadCache(LINES, rrsets), { ok: true, value: 3 });
  assert.equal(dumped(rrsets), LINES);
  await clock.advance(61_000);
  const left = dumped(rrsets);
  assert.match(left, /^www\.example\.\t239\tIN\tA\t192\.0\.2\.1$/m);
  assert.doesNotMatch(left, /MX|TXT/);
  const other = make();
  assert.deepEqual(loadCache(left, other.rrsets), { ok: true, value: 1 });
});

test("what is loaded has not been validated, whatever it was before", () => {
  const { rrsets } = make();
  loadCache(LINES, rrsets);
  const found = rrsets.find(parseName("www.example."), RRType.A);
  assert.equal(found?.security, "indeterminate");
  assert.equal(found?.trust, Trust.Answer);
  assert.equal(found?.signatures.length, 1);
});

test("better data stays", () => {
  const { rrsets } = make();
  const { owner, type, rdata } = parseRecord("www.example. 300 IN A 198.51.100.1");
  const known = {
    owner,
    type,
    ttlSeconds: 300,
    rdatas: [rdata],
    signatures: [],
    proofs: [],
    synthesizedFrom: undefined,
  };
  rrsets.store(known, Trust.AnswerAuthoritative);
  loadCache(LINES, rrsets);
  assert.deepEqual(rrsets.find(owner, type)?.rdatas, [rdata]);
});

test("a text that is not whole is refused with its line, and nothing of it is taken", () => {
  for (const [text, where] of [
    ["", /first line/],
    ["www.example. 300 IN A 192.0.2.1\n", /first line/],
    [`${LINES}www.example. 300 IN A 192.0.2.300\n`, /:7/],
    [`${LINES}www.example. 300 IN\n`, /:7/],
  ] as const) {
    const { rrsets } = make();
    const loaded = loadCache(text, rrsets);
    assert.ok(!loaded.ok);
    assert.match(loaded.problem, where);
    assert.equal(rrsets.use.entries, 0);
  }
});

test("a name, a type of it, or all below it can be forgotten", () => {
  const { rrsets } = make();
  loadCache(`${LINES}www.example. 60 IN AAAA 2001:db8::1\na.www.example. 60 IN A 192.0.2.3\n`, rrsets);
  assert.equal(rrsets.flush(parseName("WWW.example."), RRType.AAAA), 1);
  assert.equal(rrsets.flush(parseName("www.example."), RRType.AAAA), 0);
  assert.equal(rrsets.flush(parseName("www.example."), "name"), 1);
  assert.equal(rrsets.flush(parseName("example.")), 3);
  assert.equal(rrsets.use.entries, 0);
});
