import assert from "node:assert/strict";
import { test } from "node:test";
import { questions, ZONE, zoneText } from "./zone.ts";

test("all names that are asked are in the zone, but for those that shall not exist", () => {
  const owners = new Set(
    zoneText("192.0.2.1")
      .split("\n")
      .map((line) => line.split(" ")[0]),
  );
  const asked = questions();
  assert.equal(asked.length, 10_000);
  assert.equal(new Set(asked.map(({ name }) => name)).size, 10_000);
  const absent = asked.filter(({ name }) => !owners.has(name.slice(0, -ZONE.length - 1)));
  assert.equal(absent.length, 300);
  assert.ok(absent.every(({ name }) => name.startsWith("none")));
});

test("the order is mixed, and always the same", () => {
  const names = questions().map(({ name }) => name);
  assert.deepEqual(
    questions().map(({ name }) => name),
    names,
  );
  assert.ok(new Set(names.slice(0, 100).map((name) => name.replace(/\d.*/, ""))).size >= 3);
});
