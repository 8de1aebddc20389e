import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError, type StopSignal } from "@sotto/dns/runtime";
import { SimClock } from "@sotto/dns/testing";
import { type FlightKey, Flights, type FlightWork } from "./flights.ts";

const WAITER = { deadlineMs: 1000, signal: undefined, what: "a name" };

/** The same for equal numbers, with a few hashes only. */
function numbered(number: number): FlightKey & { readonly number: number } {
  return {
    hash: number % 1000,
    number,
    isSame: (other: FlightKey) => "number" in other && other.number === number,
  };
}

function bench(): {
  clock: SimClock;
  flights: Flights<FlightKey, string>;
  join: (withinMs: number, signal?: AbortSignal) => Promise<string>;
  land: (value: string) => void;
  started: () => number;
  givenUp: () => number;
} {
  const clock = new SimClock();
  const flights = new Flights<FlightKey, string>(clock);
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
      flights.join(numbered(7), {
        ...{ deadlineMs: clock.nowMs() + withinMs, signal, what: "it" },
        run: work,
        finish: (value) => value,
      }),
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
  const work: FlightWork<string, string> = {
    ...WAITER,
    run: () => new Promise(() => undefined),
    finish: (value) => value,
  };
  for (const keyOf of [(): FlightKey => numbered(1), numbered]) {
    const clock = new SimClock();
    const flights = new Flights<FlightKey, string>(clock);
    const waiting = Array.from({ length: 10_000 }, (_, i) => flights.join(keyOf(i), work));
    await assert.rejects(flights.join(keyOf(10_000), work), { code: "ERR_QUOTA_EXCEEDED" });
    flights.close();
    const settled = Promise.allSettled(waiting);
    await clock.advance(1000);
    const outcomes = await settled;
    assert.ok(outcomes.every(({ status }) => status === "rejected"));
  }
});

test("different work with the same hash is kept apart, however much there is", async () => {
  const flights = new Flights<FlightKey & { readonly number: number }, number>(new SimClock());
  const landings: (() => void)[] = [];
  const join = (number: number): Promise<number> =>
    flights.join(numbered(number), {
      ...WAITER,
      run: () => new Promise<number>((resolve) => landings.push(() => resolve(number / 1000))),
      finish: (thousands) => thousands * 1000,
    });
  const numbers = Array.from({ length: 40 }, (_, i) => i * 1000);
  const waiting = [...numbers, ...numbers.slice(0, 10)].map(join);
  assert.equal(landings.length, 40, "the first of them are found again");
  for (const land of landings.reverse()) land();
  assert.deepEqual(await Promise.all(waiting), [...numbers, ...numbers.slice(0, 10)]);
});

test("who waits learns of an answer that nothing can be made of", async () => {
  const flights = new Flights<FlightKey, string>(new SimClock());
  const broken = (): string => {
    throw new DnsError("ERR_REPLY_UNUSABLE", "nobody can read it");
  };
  const work = { ...WAITER, run: () => Promise.resolve("octets"), finish: broken };
  await assert.rejects(flights.join(numbered(1), work), { code: "ERR_REPLY_UNUSABLE" });
});
