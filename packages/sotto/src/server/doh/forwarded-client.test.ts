import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeExchange, type RequestParts } from "./doh.test-support.ts";
import { tryReadForwardedClient } from "./forwarded-client.ts";

const PROXIES = new Set(["192.0.2.1", "192.0.2.2"]);

/** `address port`, undefined when none is named, or the problem. */
function clientOf(fields: RequestParts["fields"]): string | undefined {
  const client = tryReadForwardedClient(new FakeExchange({ fields: fields ?? {} }), (one) =>
    PROXIES.has(one),
  );
  if (!client.ok) return client.problem;
  return client.value && `${client.value.address} ${client.value.port}`;
}

test("the last address that is no proxy's is the client, however it is written", () => {
  const rows: readonly (readonly [RequestParts["fields"], string | undefined])[] = [
    [{}, undefined],
    [{ "x-forwarded-for": "198.51.100.7" }, "198.51.100.7 0"],
    [{ "x-forwarded-for": "203.0.113.9, 198.51.100.7 , 192.0.2.2" }, "198.51.100.7 0"],
    [{ "x-forwarded-for": "192.0.2.2, 192.0.2.1" }, "192.0.2.2 0"],
    [{ "x-forwarded-for": "198.51.100.7:4711" }, "198.51.100.7 4711"],
    [{ "x-forwarded-for": "2001:db8::7" }, "2001:db8::7 0"],
    [{ forwarded: "for=198.51.100.7;proto=https" }, "198.51.100.7 0"],
    [{ forwarded: 'for="[2001:db8::7]:4711"' }, "2001:db8::7 4711"],
    [{ forwarded: 'by=x; FOR = "[2001:db8::7]"' }, "2001:db8::7 0"],
    [{ forwarded: "for=203.0.113.9, for=198.51.100.7, for=192.0.2.2" }, "198.51.100.7 0"],
    [{ forwarded: "for=198.51.100.7", "x-forwarded-for": "203.0.113.9, 198.51.100.7" }, "198.51.100.7 0"],
    [{ forwarded: 'for="198.51.100.7:4711"', "x-forwarded-for": "198.51.100.7" }, "198.51.100.7 4711"],
    [{ forwarded: 'for="[2001:db8:0::7]"', "x-forwarded-for": "2001:DB8::7" }, "2001:db8:0::7 0"],
  ];
  for (const [fields, expected] of rows) assert.equal(clientOf(fields), expected, JSON.stringify(fields));
});

test("a client that a proxy hides, and nonsense, is nobody's address", () => {
  for (const fields of [
    { forwarded: "for=unknown" },
    { forwarded: "for=_hidden" },
    { forwarded: "proto=https" },
    { forwarded: "for=198.51.100.7, for=unknown" },
    { "x-forwarded-for": "" },
    { "x-forwarded-for": "198.51.100.7," },
    { "x-forwarded-for": "localhost" },
    { "x-forwarded-for": "198.51.100.7 ".repeat(300) },
  ])
    assert.match(clientOf(fields) ?? "", /names no address|too long/, JSON.stringify(fields));
});

// Most proxies write one of the fields and pass on the other as the client sent it: who wrote `forwarded` was whom it liked to be.
test("two fields that name different clients name none", () => {
  for (const fields of [
    { forwarded: "for=198.51.100.7", "x-forwarded-for": "203.0.113.9" },
    { forwarded: "for=203.0.113.9, for=198.51.100.7", "x-forwarded-for": "203.0.113.9" },
    { forwarded: "for=198.51.100.7", "x-forwarded-for": "unknown" },
  ])
    assert.match(clientOf(fields) ?? "", /names (no address|two clients)/, JSON.stringify(fields));
});
