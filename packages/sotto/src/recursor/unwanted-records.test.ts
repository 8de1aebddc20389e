import assert from "node:assert/strict";
import { test } from "node:test";
import { simRuntime } from "@sotto/dns/testing";
import type { Reply } from "@sotto/dns/transport";
import {
  addressToText,
  EdeCode,
  type Message,
  makeMessage,
  parseName,
  Rcode,
  type ResourceRecord,
  RRType,
} from "@sotto/dns/wire";
import { answer, FakeAuthorities, queryOf, type Reaction, rr, show } from "./authorities.test-support.ts";
import { Recursor } from "./recursor.ts";
import { wantedAddresses, withoutUnwanted } from "./unwanted-records.ts";

const isUnwanted = ({ type, rdata }: ResourceRecord): boolean => type === RRType.A && rdata[0] === 10;

function message(parts: Partial<Record<"answers" | "authorities" | "additionals", string[]>>): Message {
  return makeMessage({
    answers: (parts.answers ?? []).map(rr),
    authorities: (parts.authorities ?? []).map(rr),
    additionals: (parts.additionals ?? []).map(rr),
  });
}

const typesOf = (records: readonly ResourceRecord[]): number[] => records.map(({ type }) => type);

test("a message with nothing unwanted stays the same object", () => {
  const given = message({ answers: ["www.example. 60 A 192.0.2.1"] });
  assert.equal(withoutUnwanted(given, isUnwanted, false), given);
});

test("unwanted records go from all sections, and the signatures over what lost one", () => {
  const given = message({
    answers: [
      "www.example. 60 A 10.0.0.1",
      "www.example. 60 A 192.0.2.1",
      "www.example. 60 RRSIG A 2",
      "www.example. 60 RRSIG TXT 2",
    ],
    authorities: ["example. 60 NS ns.example.", "ns.example. 60 A 10.0.0.2"],
    additionals: ["ns.example. 60 A 10.0.0.2", "ns.example. 60 A 192.0.2.2"],
  });
  const left = withoutUnwanted(given, isUnwanted, false);
  assert.deepEqual(typesOf(left.answers), [RRType.A, RRType.RRSIG]);
  assert.deepEqual(
    show(left.authorities),
    ["example. 60 NS .ns.example."].map((text) => text.replace(" .", " ")),
  );
  assert.deepEqual(show(left.additionals), ["ns.example. 60 A 192.0.2.2"]);
});

test("what will be validated stays whole when it is signed, in the answer section only", () => {
  const given = message({
    answers: ["www.example. 60 A 10.0.0.1", "www.example. 60 RRSIG A 2", "two.example. 60 A 10.0.0.2"],
    additionals: ["ns.example. 60 A 10.0.0.3", "ns.example. 60 RRSIG A 2"],
  });
  const left = withoutUnwanted(given, isUnwanted, true);
  assert.deepEqual(typesOf(left.answers), [RRType.A, RRType.RRSIG]);
  assert.deepEqual(typesOf(left.additionals), [RRType.RRSIG]);
});

test("a signature too short to say what it covers does no harm", () => {
  const short: ResourceRecord = { ...rr("www.example. 60 RRSIG A 2"), rdata: Uint8Array.of(0) };
  const given = makeMessage({ answers: [rr("www.example. 60 A 10.0.0.1"), short] });
  for (const keepsSigned of [true, false])
    assert.deepEqual(withoutUnwanted(given, isUnwanted, keepsSigned).answers, [short]);
});

test("servers are not asked at unwanted addresses", () => {
  const rdatas = [rr("ns.example. 60 A 10.0.0.1").rdata, rr("ns.example. 60 A 192.0.2.1").rdata];
  const { owner, type } = rr("ns.example. 60 A 10.0.0.1");
  const parts = { signatures: [], proofs: [], synthesizedFrom: undefined };
  const rrset = { owner, type, ttlSeconds: 60, rdatas, ...parts };
  assert.deepEqual(wantedAddresses(rrset, isUnwanted), [addressToText(rdatas[1] ?? new Uint8Array(4))]);
});

/** What a client gets for `www.example. A` when the only server there is says so, and how often it is asked in vain. */
async function ask(reaction: Reaction): Promise<Reply & { readonly asked: number }> {
  const world = simRuntime(1);
  const servers = new FakeAuthorities({ "192.0.2.53": () => reaction }, world.clock);
  const rootHints = [{ name: parseName("a.root.example."), address: "192.0.2.53" }];
  const options = { rootHints, isUnwanted, qnameMinimisation: "off" } as const;
  const recursor = new Recursor(options, servers, world.runtimeOf(["192.0.2.253"]));
  const context = { signal: new AbortController().signal, deadlineMs: world.clock.nowMs() + 10_000 };
  const reply = await world.clock.runUntil(recursor.respond(queryOf("www.example.", RRType.A), context));
  return { ...reply, asked: servers.log.filter((line) => line.endsWith("www.example. A")).length };
}

test("an answer with nothing but unwanted records is NODATA with a reason, and no other server is asked", async () => {
  const { message, extendedErrors, asked } = await ask(answer("www.example. 60 A 10.0.0.1"));
  assert.equal(message.rcode, Rcode.NoError);
  assert.deepEqual(message.answers, []);
  assert.deepEqual(
    extendedErrors.map(({ code }) => code),
    [EdeCode.Blocked],
  );
  assert.equal(asked, 1);
});

test("what is left without authority is no answer, as in Unbound: SERVFAIL with the same reason", async () => {
  const { message, extendedErrors } = await ask({
    answers: [rr("www.example. 60 A 10.0.0.1")],
    authorities: [rr(". 60 NS a.root.example.")],
  });
  assert.equal(message.rcode, Rcode.ServFail);
  assert.deepEqual(
    extendedErrors.map(({ code }) => code),
    [EdeCode.Blocked, EdeCode.NoReachableAuthority],
  );
});
