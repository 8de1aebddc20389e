/** The recursor on the fake internet in virtual time: every name and type gets its answer, the broken ones in time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeInternet, MINIMISATION_NAME, simRuntime } from "@sotto/dns/testing";
import { Exchanger, type Query, type Reply } from "@sotto/dns/transport";
import {
  encodeMessage,
  makeEdns,
  makeMessage,
  parseName,
  Rcode,
  RRClass,
  RRType,
  rdataToText,
  rrTypeToText,
  tryViewMessage,
} from "@sotto/dns/wire";
import { Recursor, type RecursorOptions } from "../../packages/sotto/src/recursor/index.ts";

/** Zones that nobody can answer for. */
const HOPELESS =
  /(?:^|\.)(?:dead|closed|refused|servfail|lame|upward|selfref|tcnotcp|wrongquestion|garbage|cut|nxns|endless|notimp|cyclic1|cyclic2|loop1|loop2|selfloop|dnameloop)\.lab\.$/;
const ALIASES_TO_HOPELESS = /^(?:trouble\.lab|loop\.plain\.example)\.$/;
/** A client query's deadline, and what finishing takes. */
const LONGEST_MS = 8_500;

function queryFor(name: string, type: number): Query {
  const octets = encodeMessage(
    makeMessage({
      id: 1,
      recursionDesired: true,
      questions: [{ name: parseName(name), type, class: RRClass.IN }],
      edns: makeEdns(),
    }),
  );
  const view = tryViewMessage(octets);
  if (!view.ok) throw new Error(view.problem);
  return {
    octets,
    view: view.value,
    origin: { transport: "internal", remote: undefined, local: undefined, security: undefined },
  };
}

async function withRecursor(
  seed: number,
  run: (ask: (name: string, type: number) => Promise<Reply>, internet: FakeInternet) => Promise<void>,
  qnameMinimisation: RecursorOptions["qnameMinimisation"] = "relaxed",
): Promise<void> {
  const world = simRuntime(seed);
  const internet = FakeInternet.build({ wallMs: world.clock.wallMs(), tellsMinimisation: true });
  await internet.start((addresses) => world.runtimeOf(addresses).network, world.clock, world.random);
  const runtime = world.runtimeOf(["192.0.2.253", "2001:db8:53::253"]);
  const exchanger = new Exchanger({}, runtime);
  const recursor = new Recursor({ rootHints: internet.rootHints, qnameMinimisation }, exchanger, runtime);
  const ask = (name: string, type: number): Promise<Reply> => {
    const deadlineMs = world.clock.nowMs() + LONGEST_MS;
    return world.clock.runUntil(
      recursor.respond(queryFor(name, type), { signal: new AbortController().signal, deadlineMs }),
      LONGEST_MS,
    );
  };
  await run(ask, internet);
  await world.clock.runUntil(recursor.close(), 60_000);
  await world.clock.runUntil(exchanger.close(), 60_000);
  await internet.close();
}

test("every name and type of the fake internet is answered in time, and only hopeless zones fail", () =>
  withRecursor(1, async (ask, internet) => {
    const wrong: string[] = [];
    for (const { name, type } of internet.names()) {
      const text = name.toString();
      const { rcode } = (await ask(text, type)).message;
      const isHopeless = HOPELESS.test(text) || ALIASES_TO_HOPELESS.test(text);
      if (!isHopeless && rcode === Rcode.ServFail) wrong.push(`${text} ${rrTypeToText(type)}: SERVFAIL`);
      if (rcode === Rcode.Refused || rcode === Rcode.FormErr)
        wrong.push(`${text} ${rrTypeToText(type)}: rcode ${rcode}`);
    }
    assert.deepEqual(wrong, []);
  }));

test("what a poisoning server adds about others is not believed", () =>
  withRecursor(2, async (ask) => {
    await ask("www.poison.lab.", RRType.A);
    const shop = await ask("www.shop.example.", RRType.A);
    assert.deepEqual(
      shop.message.answers.map((record) => rdataToText(record.type, record.rdata)),
      ["203.0.113.10"],
    );
  }));

test("the same seed gives the same answers", async () => {
  const runs: string[] = [];
  for (let i = 0; i < 2; i++) {
    await withRecursor(7, async (ask) => {
      const replies = [];
      for (const name of ["www.half.lab.", "www.wrongid.lab.", "chain1.shop.example.", "www.nxns.lab."])
        replies.push((await ask(name, RRType.A)).message);
      runs.push(JSON.stringify(replies));
    });
  }
  assert.equal(runs[0], runs[1]);
});

test("a name tells whether servers above it were asked for more than they need to hear [rfc9156]", async () => {
  const told: string[] = [];
  for (const how of ["relaxed", "strict", "off"] as const)
    await withRecursor(
      8,
      async (ask) => {
        const { answers } = (await ask(MINIMISATION_NAME, RRType.TXT)).message;
        told.push(`${how}: ${answers.map(({ type, rdata }) => rdataToText(type, rdata)).join()}`);
      },
      how,
    );
  assert.match(told.join("\n"), /^relaxed: "HOORAY.*\nstrict: "HOORAY.*\noff: "NO/);
});
