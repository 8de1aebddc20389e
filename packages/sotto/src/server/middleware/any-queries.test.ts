import assert from "node:assert/strict";
import { test } from "node:test";
import { RRType, recordToText } from "@sotto/dns/wire";
import { FakeResponder, queryOf, replyOf } from "../queries.test-support.ts";
import { type AnyPolicy, anyQueries } from "./any-queries.ts";

const context = { signal: new AbortController().signal, deadlineMs: 1000 };

async function answers(policy: AnyPolicy, type: number, transport: "udp" | "tcp"): Promise<string[]> {
  const source = new FakeResponder((query) => replyOf(query, ["www.example. 60 IN A 192.0.2.1"]));
  const query = queryOf("www.example.", { type });
  const asked = { ...query, origin: { ...query.origin, transport } };
  const { message } = await anyQueries(policy)(source).respond(asked, context);
  return message.answers.map((record) => recordToText(record).replaceAll("\t", " "));
}

const HINFO = ['www.example. 3600 IN HINFO "RFC8482" ""'];
const ALL = ["www.example. 60 IN A 192.0.2.1"];

test("ANY gets one HINFO where the policy says so, and only ANY [8482-a]", async () => {
  assert.deepEqual(await answers("full", RRType.ANY, "udp"), ALL);
  assert.deepEqual(await answers("minimal over udp", RRType.ANY, "udp"), HINFO);
  assert.deepEqual(await answers("minimal over udp", RRType.ANY, "tcp"), ALL);
  assert.deepEqual(await answers("minimal", RRType.ANY, "tcp"), HINFO);
  assert.deepEqual(await answers("minimal", RRType.A, "udp"), ALL);
});
