import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reply } from "@sotto/dns/transport";
import { EdeCode, parseName, Rcode, RRClass, RRType } from "@sotto/dns/wire";
import { buildPipeline, type PipelineParts } from "./pipeline.ts";
import { FakeResponder, type QueryParts, queryOf, replyOf } from "./queries.test-support.ts";

const context = { signal: new AbortController().signal, deadlineMs: 1000 };

/** Who answered, and with what. */
async function ask(
  name: string,
  parts: QueryParts = {},
  members: Partial<PipelineParts> = {},
): Promise<{ who: string; reply: Reply }> {
  const asked: string[] = [];
  const responder = (who: string): FakeResponder =>
    new FakeResponder((query) => {
      asked.push(who);
      return replyOf(query, []);
    });
  const pipeline = buildPipeline({
    localZones: { builtin: true, except: [], records: [] },
    forwardZones: {
      which: "all",
      zones: ["example.", "sub.example.", "x.invalid."].map((zone) => ({
        name: parseName(zone),
        responder: responder(zone),
      })),
    },
    source: responder("source"),
    ...members,
  });
  const reply = await pipeline.respond(queryOf(name, parts), context);
  assert.ok(asked.length <= 1);
  return { who: asked[0] ?? "nobody", reply };
}

test("a name goes to the longest forward zone at or above it, else to the source", async () => {
  const rows: readonly (readonly [string, string])[] = [
    ["example.", "example."],
    ["WWW.Example.", "example."],
    ["sub.example.", "sub.example."],
    ["a.b.sub.example.", "sub.example."],
    ["notsub.example.", "example."],
    ["anexample.", "source"],
    [".", "source"],
  ];
  for (const [name, who] of rows) assert.equal((await ask(name)).who, who, name);
});

test("DS is asked of the zone above", async () => {
  assert.equal((await ask("sub.example.", { type: RRType.DS })).who, "example.");
  assert.equal((await ask("example.", { type: RRType.DS })).who, "source");
  assert.equal((await ask("x.sub.example.", { type: RRType.DS })).who, "sub.example.");
});

test("the root as forward zone takes everything", async () => {
  const all = new FakeResponder((query) => replyOf(query, []));
  const forwardZones = { which: "all", zones: [{ name: parseName("."), responder: all }] } as const;
  for (const name of [".", "com.", "a.b.c."]) await ask(name, {}, { forwardZones });
  await ask(".", { type: RRType.DS }, { forwardZones });
  assert.equal(all.queries.length, 4);
});

test("without RD nobody is asked, but local names are answered", async () => {
  const { who, reply } = await ask("www.example.", { recursionDesired: false });
  assert.equal(who, "nobody");
  assert.equal(reply.message.rcode, Rcode.Refused);
  assert.equal(reply.extendedErrors[0]?.code, EdeCode.NotAuthoritative);
  const local = await ask("localhost.", { recursionDesired: false });
  assert.equal(local.reply.message.answers.length, 1);
});

test("local zones come before forward zones", async () => {
  assert.equal((await ask("x.invalid.")).who, "nobody");
  const localZones = { builtin: true, except: [parseName("invalid.")], records: [] };
  assert.equal((await ask("x.invalid.", {}, { localZones })).who, "x.invalid.");
});

test("class CH is about the server itself: told as far as configured, else refused", async () => {
  const chaos = { class: RRClass.CH, type: RRType.TXT };
  const hidden = await ask("version.bind.", chaos);
  assert.equal(hidden.who, "nobody");
  assert.equal(hidden.reply.message.rcode, Rcode.Refused);
  const identity = { version: "sotto", id: "é".repeat(200) };
  for (const name of ["version.bind.", "VERSION.server."]) {
    const { reply } = await ask(name, chaos, { identity });
    assert.deepEqual([...(reply.message.answers[0]?.rdata ?? [])], [5, ...Buffer.from("sotto")]);
    assert.equal(reply.message.answers[0]?.ttl, 0);
    assert.equal(reply.message.answers[0]?.class, RRClass.CH);
  }
  const long = await ask("id.server.", chaos, { identity });
  assert.equal(long.reply.message.answers[0]?.rdata.length, 256);
  const trustAnchors = (): string[] => [". 20326 38696", "example. 1"];
  const trust = await ask("trustanchor.unbound.", chaos, { identity: { trustAnchors } });
  assert.deepEqual(
    trust.reply.message.answers.map(({ rdata }) => Buffer.from(rdata.subarray(1)).toString()),
    [". 20326 38696", "example. 1"],
  );
  const other = await ask("www.example.", chaos, { identity });
  assert.equal(other.reply.message.rcode, Rcode.Refused);
  assert.equal(other.who, "nobody");
});
