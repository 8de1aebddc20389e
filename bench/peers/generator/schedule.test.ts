import assert from "node:assert/strict";
import { test } from "node:test";
import { Backlog, Schedule } from "./schedule.ts";

function allDue(schedule: Schedule, nowMs: number): number[] {
  const due: number[] = [];
  for (let ms = schedule.next(nowMs); ms !== undefined; ms = schedule.next(nowMs)) due.push(ms);
  return due;
}

test("queries are due evenly, and those of a pause when they were, not when it ended", () => {
  const schedule = new Schedule(500);
  assert.deepEqual(allDue(schedule, 100), [100]);
  assert.deepEqual(allDue(schedule, 101.9), []);
  assert.deepEqual(allDue(schedule, 107), [102, 104, 106]);
  assert.equal(schedule.count, 4);
});

test("a backlog gives the longest waiting first, over and over in the same room", () => {
  const backlog = new Backlog(3);
  for (let ms = 0; ms < 10; ms++) {
    assert.equal(backlog.push(ms), true);
    assert.equal(backlog.push(ms + 0.5), true);
    assert.equal(backlog.peek(), ms);
    assert.deepEqual([backlog.shift(), backlog.shift()], [ms, ms + 0.5]);
    assert.equal(backlog.count, 0);
  }
  assert.deepEqual([backlog.peek(), backlog.shift()], [undefined, undefined]);
});

test("a full backlog takes nothing until one has left", () => {
  const backlog = new Backlog(2);
  assert.deepEqual(
    [1, 2, 3].map((ms) => backlog.push(ms)),
    [true, true, false],
  );
  assert.equal(backlog.shift(), 1);
  assert.equal(backlog.push(4), true);
  assert.deepEqual([backlog.shift(), backlog.shift(), backlog.count], [2, 4, 0]);
  assert.throws(() => new Backlog(0), /room for one/);
});
