import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError, type StopSignal } from "@sotto/dns/runtime";
import { SimClock } from "@sotto/dns/testing";
import { Flights } from "./flights.ts";

function bench(): {
  clock: SimClock;
  flights: Flights<string>;
  join: (withinMs: number, signal?: AbortSignal) => Promise<string>;
  land: (value: string) => void;
  started: () => number;
  givenUp: () => number;
} {
  const clock = new SimClock();
  const flights = new Flights<string>(clock);
  const landings: ((value: string) => void)[] = [];
  let started = 0;
  let givenUp = 0;
  const work = (signal: StopSignal): Promise<string> => {
    started++;
    return new Promise((resolve, reject) => {
      landings.push(resolve);
      signal.addEventListener("abort", () => {
        givenUp++;
        reject(new DnsError("ERR_ABORTED", "given up"));
      });
    });
  };
  return {
    clock,
    flights,
    join: (withinMs, signal) =>
      flights.join("key", { deadlineMs: clock.nowMs() + withinMs, signal, what: "it" }, work),
    land: (value) => {
      for (const resolve of landings) resolve(value);
    },
    started: () => started,
    givenUp: () => givenUp,
  };
}

test("work is done once for all who wait as long", async () => {
  const { join, land, started } = bench();
  const waiting = [join(1000), join(1000), join(500)];
  land("done");
  assert.deepEqual(await Promise.all(waiting), ["done", "done", "done"]);
  assert.equal(started(), 1);
});

test("whoever may wait longer has work of his own", async () => {
  const { clock, join, land, started } = bench();
  const short = join(1000);
  const long = join(5000);
  assert.equal(started(), 2);
  const failed = assert.rejects(short, (error) => DnsError.is(error, "ERR_TIMEOUT"));
  await clock.advance(1000);
  await failed;
  land("late");
  assert.equal(await long, "late");
});

test("work is given up when nobody waits any more, and only then", async () => {
  const { join, givenUp, started } = bench();
  const [first, second] = [new AbortController(), new AbortController()];
  const waiting = [join(1000, first.signal), join(1000, second.signal)];
  first.abort();
  await assert.rejects(waiting[0] ?? Promise.resolve(), (error) => DnsError.is(error, "ERR_ABORTED"));
  assert.equal(givenUp(), 0);
  second.abort();
  await assert.rejects(waiting[1] ?? Promise.resolve(), (error) => DnsError.is(error, "ERR_ABORTED"));
  assert.equal(givenUp(), 1);
  await assert.rejects(join(1000, AbortSignal.abort()), (error) => DnsError.is(error, "ERR_ABORTED"));
  assert.equal(started(), 1, "who has given up before starts nothing");
});

test("closing gives up everything", async () => {
  const { flights, join } = bench();
  const waiting = join(1000);
  flights.close();
  await assert.rejects(waiting, (error) => DnsError.is(error, "ERR_ABORTED"));
});

test("ten thousand may wait for one answer and ten thousand questions be under way, and one more is told so at once", async () => {
  const waiter = { deadlineMs: 1000, signal: undefined, what: "a name" };
  const never = (): Promise<string> => new Promise(() => undefined);
  for (const keyOf of [(): string => "one", (i: number): string => String(i)]) {
    const clock = new SimClock();
    const flights = new Flights<string>(clock);
    const waiting = Array.from({ length: 10_000 }, (_, i) => flights.join(keyOf(i), waiter, never));
    await assert.rejects(flights.join(keyOf(10_000), waiter, never), { code: "ERR_QUOTA_EXCEEDED" });
    flights.close();
    const settled = Promise.allSettled(waiting);
    await clock.advance(1000);
    const outcomes = await settled;
    assert.ok(outcomes.every(({ status }) => status === "rejected"));
  }
});
