import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { queryOctets } from "../queries.test-support.ts";
import { FakeExchange, PATH, postOf, type RequestParts } from "./doh.test-support.ts";
import { readDohRequest, tryReadDnsParameter } from "./doh-request.ts";

const SEED = { seed: 20_261_129, numRuns: 500 };
const QUERY = queryOctets("www.example.");
const TEXT = Buffer.from(QUERY).toString("base64url");

function read(parts: RequestParts): ReturnType<typeof readDohRequest> {
  return readDohRequest(new FakeExchange(parts), PATH);
}

test("the same query comes by GET, HEAD and POST, in every spelling that HTTP allows [8484-4.1-a 8484-4.1-d]", () => {
  const body = { method: "POST", body: QUERY };
  const rows: readonly (readonly [string, RequestParts])[] = [
    ["GET", { target: `${PATH}?dns=${TEXT}` }],
    ["HEAD", { method: "HEAD", target: `${PATH}?dns=${TEXT}` }],
    ["POST", postOf(QUERY)],
    ["other parameters before and behind", { target: `${PATH}?ct=x&dns=${TEXT}&dnssec=1` }],
    ["an absolute URI", { target: `https://dns.example:8443${PATH}?dns=${TEXT}` }],
    ["a type with a parameter", { ...body, fields: { "content-type": "Application/DNS-Message; x=y" } }],
    ["POST with a query string", postOf(QUERY, { target: `${PATH}?x=y` })],
  ];
  for (const [what, parts] of rows) {
    const request = read(parts);
    assert.deepEqual(request.kind === "query" && Buffer.from(request.octets), Buffer.from(QUERY), what);
  }
});

test("what is no query gets the status that says why, and a sentence [8484-4.2.1-a 8484-6-a]", () => {
  const response = QUERY.slice();
  response[2] = 0x80;
  const rows: readonly (readonly [string, number, RequestParts])[] = [
    ["no parameter", 400, { target: PATH }],
    ["an empty query string", 400, { target: `${PATH}?` }],
    ["an empty parameter", 400, { target: `${PATH}?dns=` }],
    ["two of them", 400, { target: `${PATH}?dns=${TEXT}&dns=${TEXT}` }],
    ["padding", 400, { target: `${PATH}?dns=${TEXT}=` }],
    ["the other alphabet", 400, { target: `${PATH}?dns=++//${TEXT}` }],
    ["white space", 400, { target: `${PATH}?dns=%20${TEXT}` }],
    ["bits left over", 400, { target: `${PATH}?dns=${"A".repeat(17)}B` }],
    ["a single character left over", 400, { target: `${PATH}?dns=${"A".repeat(21)}` }],
    ["shorter than a header", 400, postOf(QUERY.subarray(0, 11))],
    ["nothing at all", 400, postOf(new Uint8Array(0))],
    ["a response", 400, postOf(response)],
    ["another path", 404, { target: `/other?dns=${TEXT}` }],
    ["a path below", 404, { target: `${PATH}/x?dns=${TEXT}` }],
    ["no path", 404, { target: "*" }],
    ["an authority only", 404, { target: "https://dns.example" }],
    ["another method", 405, { method: "PUT", target: PATH }],
    ["another type", 415, postOf(QUERY, { fields: { "content-type": "application/dns-json" } })],
    ["no type", 415, postOf(QUERY, { fields: {} })],
    ["a body without end", 413, postOf(new Uint8Array(0), { isBodyTooLarge: true })],
    ["a target of the longest length plus one", 414, { target: `${PATH}?x=`.padEnd(8193, "x") }],
  ];
  for (const [what, status, parts] of rows) {
    const request = read(parts);
    assert.equal(request.kind === "refusal" && request.status, status, what);
    assert.match(request.kind === "refusal" ? request.text : "", /\w+ \w+/, what);
  }
  assert.equal(read({ target: `${PATH}?x=`.padEnd(8192, "x") }).kind, "refusal");
});

test("a header is enough for DNS to answer, whatever follows it", () => {
  for (const octets of [QUERY.subarray(0, 12), Uint8Array.of(...QUERY, 1, 2, 3), new Uint8Array(65_535)])
    assert.equal(read(postOf(octets)).kind, "query");
});

test("any octets come back out of their parameter, wherever it stands and whatever is escaped", () => {
  const others = fc.array(fc.stringMatching(/^[a-ce-z][a-z]{0,5}(?:=[A-Za-z0-9_.-]{0,9})?$/), {
    maxLength: 4,
  });
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      others,
      others,
      fc.boolean(),
      (octets, before, behind, escapes) => {
        const text = Buffer.from(octets).toString("base64url");
        const spelled = escapes ? text.replaceAll("-", "%2D").replaceAll("_", "%5f") : text;
        const read = tryReadDnsParameter([...before, `dns=${spelled}`, ...behind].join("&"));
        assert.deepEqual(read.ok && Buffer.from(read.value), Buffer.from(octets));
      },
    ),
    SEED,
  );
});

test("no two parameters mean the same message: what is read is written as it was", () => {
  const characters = fc.constantFrom(..."ABCDxyz019-_", "=", "+", "/", "%", " ", "\0", "é");
  fc.assert(
    fc.property(fc.array(characters, { maxLength: 40 }), (parts) => {
      const text = parts.join("");
      const read = tryReadDnsParameter(`dns=${text}`);
      if (read.ok) assert.equal(Buffer.from(read.value).toString("base64url"), text);
      else assert.notEqual(Buffer.from(text, "base64url").toString("base64url"), text);
    }),
    SEED,
  );
});

test("only so many parameters are looked at", () => {
  assert.equal(tryReadDnsParameter(`${"x&".repeat(15)}dns=${TEXT}`).ok, true);
  assert.equal(tryReadDnsParameter(`${"x&".repeat(16)}dns=${TEXT}`).ok, false);
});
