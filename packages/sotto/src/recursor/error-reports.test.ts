import assert from "node:assert/strict";
import { test } from "node:test";
import { type SimClock, simRuntime } from "@sotto/dns/testing";
import type { ExchangeRequest } from "@sotto/dns/transport";
import {
  EdeCode,
  EdnsOptionCode,
  makeEdns,
  makeMessage,
  makeReportChannel,
  parseName,
  RRType,
  rrTypeToText,
} from "@sotto/dns/wire";
import { answer, FakeAuthorities, queryOf, referral, rr } from "./authorities.test-support.ts";
import { ErrorReports, reportQuestion } from "./error-reports.ts";
import type { FailureReason } from "./outcome.ts";
import { Recursor, type RecursorOptions } from "./recursor.ts";

const AGENT = "agent.test.";

interface Bench {
  readonly clock: SimClock;
  readonly reports: ErrorReports;
  /** What was asked of agents. */
  readonly asked: string[];
  /** The zone's server says so in a reply. */
  hear(zone: string, agent: string): void;
  fail(name: string, parts?: { code?: EdeCode; reason?: FailureReason; isCircumstantial?: boolean }): void;
  /** Ends what is under way. */
  answerAll(): void;
}

/** Zones are the last label of a name; `alias.…` leads to `end.other.`. */
function bench(): Bench {
  const world = simRuntime(1);
  const asked: string[] = [];
  const waiting: (() => void)[] = [];
  const reports = new ErrorReports({
    zoneOf: ({ name }) => name.suffix(1),
    aliasOf: (name) => (name.toString().startsWith("alias.") ? parseName("end.other.") : undefined),
    ask: ({ name, type }) => {
      asked.push(`${name} ${rrTypeToText(type)}`);
      return new Promise((resolve) => waiting.push(() => resolve(undefined)));
    },
    runtime: world.runtimeOf(["192.0.2.253"]),
  });
  return {
    clock: world.clock,
    reports,
    asked,
    hear: (zone, agent) => {
      const options = [makeReportChannel(parseName(agent))];
      reports.noteReply(parseName(zone), makeMessage({ edns: makeEdns({ options }) }));
    },
    fail: (name, { code = EdeCode.SignatureExpired, reason = "bogus", isCircumstantial = false } = {}) => {
      const extendedErrors = [{ code, text: "" }];
      const failure = { kind: "failed", reason, isCircumstantial, extendedErrors } as const;
      reports.noteFailure({ name: parseName(name), type: RRType.A }, failure);
    },
    answerAll: () => {
      for (const settle of waiting.splice(0)) settle();
    },
  };
}

test("a report says type, name and error, between labels of its own, to the agent [9567-6.1.1-a]", () => {
  const b = bench();
  b.hear("example.", AGENT);
  b.fail("Broken.example.");
  assert.deepEqual(b.asked, ["_er.1.broken.example.7._er.agent.test. TXT"]);
});

test("a report longer than a name may be is not sent [9567-6.1.1-b]", () => {
  const label = "x".repeat(49);
  const agent = parseName(AGENT);
  // 3 + 2 + 2 + 3 octets and the agent's 12 are added to the name without its root.
  const longest = parseName(`${label}.${label}.${label}.${label}.${"y".repeat(23)}.example.`);
  const room = 255 - agent.wire.length - "_er.1.7._er.".length;
  assert.equal(longest.wire.length - 1 > room, true);
  assert.equal(reportQuestion({ name: longest, type: RRType.A }, 7, agent), undefined);
  const fits = parseName(`${label}.${label}.${label}.${label}.${"y".repeat(room - 201)}.`);
  assert.equal(reportQuestion({ name: fits, type: RRType.A }, 7, agent)?.name.wire.length, 255);
  const longer = parseName(`${label}.${label}.${label}.${label}.${"y".repeat(room - 200)}.`);
  assert.equal(reportQuestion({ name: longer, type: RRType.A }, 7, agent), undefined);
});

test("no agent, a malformed one and one inside of what is broken get nothing [9567-6.1-c 9567-8.1-a]", () => {
  const b = bench();
  b.fail("www.example.");
  b.hear("example.", ".");
  b.fail("www.example.");
  const options = [{ code: EdnsOptionCode.ReportChannel, data: Uint8Array.of(5, 1) }];
  b.reports.noteReply(parseName("example."), makeMessage({ edns: makeEdns({ options }) }));
  b.fail("www.example.");
  b.hear("example.", "agent.example.");
  b.fail("www.example.");
  b.hear("example.", "example.");
  b.fail("www.example.");
  assert.deepEqual(b.asked, []);
});

test("only the zone that failed counts, and only for an hour", async () => {
  const b = bench();
  b.hear("test.", "agent.example.");
  b.fail("www.example.");
  assert.deepEqual(b.asked, []);
  await b.clock.advance(3_599_000);
  b.fail("one.test.");
  await b.clock.advance(1000);
  b.fail("two.test.");
  assert.deepEqual(b.asked, ["_er.1.one.test.7._er.agent.example. TXT"]);
});

test("nothing is sent about reports, nor about limits and policies of our own [9567-6.1-a]", () => {
  const b = bench();
  b.hear("example.", AGENT);
  b.fail("_er.1.www.test.7._er.example.");
  b.fail("_ER.1.www.test.7._er.example.");
  b.fail("a.example.", { code: EdeCode.Blocked, reason: "no reachable authority" });
  b.fail("b.example.", { isCircumstantial: true });
  b.fail("c.example.", { code: EdeCode.Other, reason: "quota" });
  b.fail("d.example.", { reason: "deadline", code: EdeCode.NoReachableAuthority });
  assert.deepEqual(b.asked, []);
});

test("behind an alias it is the last name that failed, and its zone that hears of it", () => {
  const b = bench();
  b.hear("example.", AGENT);
  b.hear("other.", AGENT);
  b.fail("alias.example.");
  assert.deepEqual(b.asked, ["_er.1.end.other.7._er.agent.test. TXT"]);
});

test("the same is not told again within a minute, and what is forgotten is not told at all", async () => {
  const b = bench();
  b.hear("example.", AGENT);
  b.fail("www.example.");
  b.fail("www.example.");
  assert.equal(b.asked.length, 1);
  await b.clock.advance(60_000);
  b.fail("www.example.");
  assert.equal(b.asked.length, 2);
  b.reports.flush(parseName("example."));
  b.fail("www.example.");
  assert.equal(b.asked.length, 2);
});

test("ten reports are under way at once, and sixty go out in a minute", async () => {
  const b = bench();
  b.hear("example.", AGENT);
  for (let i = 0; i < 11; i++) b.fail(`a${i}.example.`);
  assert.equal(b.asked.length, 10);
  for (let round = 0; round < 20; round++) {
    b.answerAll();
    await b.clock.advance(0);
    for (let i = 0; i < 10; i++) b.fail(`b${round * 10 + i}.example.`);
  }
  assert.equal(b.asked.length, 60);
  b.answerAll();
  await b.clock.advance(60_000);
  b.fail("next.example.");
  assert.equal(b.asked.length, 61);
});

/** A recursor whose `example.` fails when asked for `bad.example.`, after it named an agent. */
async function failing(options: RecursorOptions) {
  const world = simRuntime(1);
  const edns = makeEdns({ options: [makeReportChannel(parseName(AGENT))] });
  const requests: ExchangeRequest[] = [];
  const servers = new FakeAuthorities(
    {
      "192.0.2.1": (question) =>
        question.endsWith("example. A")
          ? referral(["example. 3600 NS ns.example."], ["ns.example. 3600 A 192.0.2.2"])
          : question.endsWith("TXT")
            ? referral(["test. 3600 NS ns.test."], ["ns.test. 3600 A 192.0.2.3"])
            : answer(". 3600 NS a.root.example."),
      "192.0.2.2": (question) =>
        question.startsWith("bad.") ? { rcode: 5, edns } : { ...answer("www.example. 60 A 192.0.2.9"), edns },
      "192.0.2.3": (question) => answer(`${question.replace(" TXT", "")} 60 TXT thanks`),
    },
    world.clock,
  );
  const exchange = servers.exchange.bind(servers);
  servers.exchange = (request) => {
    requests.push(request);
    return exchange(request);
  };
  const rootHints = [{ name: parseName("a.root.example."), address: "192.0.2.1" }];
  const recursor = new Recursor(
    { rootHints, qnameMinimisation: "off", ...options },
    servers,
    world.runtimeOf(["192.0.2.253"]),
  );
  const ask = (name: string) => {
    const context = { signal: new AbortController().signal, deadlineMs: world.clock.nowMs() + 10_000 };
    return world.clock.runUntil(recursor.respond(queryOf(name, RRType.A), context));
  };
  const replies = [await ask("www.example."), await ask("bad.example.")];
  await world.clock.advance(1000);
  const reports = servers.log.filter((line) => line.startsWith("192.0.2.3 "));
  return { replies, reports, requests };
}

test("a failure is reported with cookies or over TCP, and only when that is switched on [9567-6.1-a]", async () => {
  const name = "_er.1.bad.example.22._er.agent.test. TXT";
  assert.deepEqual((await failing({ errorReporting: true })).reports, [`192.0.2.3 ${name}`]);
  assert.deepEqual((await failing({ errorReporting: true, cookies: false })).reports, [
    `192.0.2.3 ${name} tcp`,
  ]);
  assert.deepEqual((await failing({})).reports, []);
});

test("the option is neither sent to servers nor passed on to clients [9567-6.1-b]", async () => {
  const { replies, requests } = await failing({ errorReporting: true });
  const given = requests.flatMap(({ edns }) => edns?.options ?? []);
  const told = replies.flatMap(({ message }) => message.edns?.options ?? []);
  for (const { code } of [...given, ...told]) assert.notEqual(code, EdnsOptionCode.ReportChannel);
  assert.deepEqual(
    replies[0]?.message.answers.map(({ rdata }) => [...rdata]),
    [[...rr("www.example. 60 A 192.0.2.9").rdata]],
  );
});
