import assert from "node:assert/strict";
import { test } from "node:test";
import { BackendNews } from "./backend-news.ts";

const ONE = { pool: "main", backend: "one" };

test("a backend that all workers see die and come back is three lines, not three of each", () => {
  const news = new BackendNews();
  const told: string[] = [];
  const say = (worker: number, state: string, backend = ONE): void => {
    if (news.isNews(worker, `front.backend.${state}`, backend)) told.push(`${worker} ${state}`);
  };
  for (const state of ["down", "starting", "up"]) for (const worker of [0, 1, 2]) say(worker, state);
  assert.deepEqual(told, ["0 down", "2 starting", "2 up"]);
  say(1, "draining", { ...ONE, backend: "two" });
  assert.deepEqual(told.slice(3), ["1 draining"], "another backend is another one");
});

test("one worker that sees less than the others is told, and so is its end", () => {
  const news = new BackendNews();
  assert.ok(news.isNews(0, "front.backend.not-authenticated", ONE));
  assert.ok(news.isNews(0, "front.backend.down", ONE));
  assert.ok(!news.isNews(1, "front.backend.up", ONE));
  news.died(0);
  assert.ok(news.isNews(1, "front.backend.up", ONE));
  assert.ok(!news.isNews(1, "front.backend.up", ONE));
  news.reloaded();
  assert.ok(news.isNews(1, "front.backend.up", ONE));
});

test("everything else is told", () => {
  const news = new BackendNews();
  for (const name of ["server.bug", "server.bug", "front.client.banned"]) assert.ok(news.isNews(0, name, {}));
});
