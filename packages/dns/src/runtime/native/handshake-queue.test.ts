import assert from "node:assert/strict";
import { test } from "node:test";
import { HandshakeQueue } from "./handshake-queue.ts";
import type { Task } from "./native-loop.ts";

/** A loop whose turns the test makes. */
class Turns {
  turn = 1;
  #tasks: Task[] = [];

  nextTurn(task: Task): void {
    this.#tasks.push(task);
  }

  get planned(): number {
    return this.#tasks.length;
  }

  next(): void {
    this.turn++;
    const tasks = this.#tasks;
    this.#tasks = [];
    for (const task of tasks) task.run();
  }
}

function queueOf(turns: Turns): { add: (name: string) => void; done: string[] } {
  const queue = new HandshakeQueue(turns);
  const done: string[] = [];
  return { add: (name) => queue.add({ shakeHands: () => void done.push(name) }), done };
}

test("two handshakes go on at once, others in the turns to come, in order", () => {
  const turns = new Turns();
  const { add, done } = queueOf(turns);
  for (const name of ["a", "b", "c", "d", "e"]) add(name);
  assert.deepEqual(done, ["a", "b"]);
  turns.next();
  assert.deepEqual(done, ["a", "b", "c", "d"]);
  turns.next();
  assert.deepEqual(done, ["a", "b", "c", "d", "e"]);
});

test("a handshake alone needs no turn of its own", () => {
  const turns = new Turns();
  const { add, done } = queueOf(turns);
  add("a");
  assert.deepEqual([done, turns.planned], [["a"], 0]);
});

test("who comes later does not overtake who waits", () => {
  const turns = new Turns();
  const { add, done } = queueOf(turns);
  for (const name of ["a", "b", "c"]) add(name);
  turns.turn++;
  add("d");
  assert.deepEqual(done, ["a", "b"]);
  turns.next();
  assert.deepEqual(done, ["a", "b", "c", "d"]);
});

test("a turn that has done its part in waiting ones does no new ones", () => {
  const turns = new Turns();
  const { add, done } = queueOf(turns);
  for (const name of ["a", "b", "c", "d"]) add(name);
  turns.next();
  add("e");
  assert.deepEqual(done, ["a", "b", "c", "d"]);
  turns.next();
  assert.deepEqual(done, ["a", "b", "c", "d", "e"]);
});
