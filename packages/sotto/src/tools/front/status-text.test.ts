import assert from "node:assert/strict";
import { test } from "node:test";
import type { FrontStatus } from "../../compose/index.ts";
import { frontStatusText } from "./status-text.ts";

const STATUS = {
  queries: {},
  front: { forwarded: 0, stale: 0, delayed: 0, teed: 0, transfers: 0, unusable: 0 },
  connections: 0,
  pending: 0,
  patience: 1,
  pools: [],
  rules: { rules: [], sets: [], clients: { overLimit: 0, banned: 0 } },
};

function textOf(parts: object): string {
  // The page looks at no more than this.
  return frontStatusText({ ...STATUS, ...parts } as unknown as FrontStatus, (_, text) => text);
}

// Limits of clients were counted, and shown to nobody who did not ask for JSON.
test("queries over limits, of banned clients, delayed and copied ones are told where there are some", () => {
  assert.doesNotMatch(textOf({}), /limit|delayed|copies/);
  const { rules, front } = STATUS;
  const text = textOf({
    rules: { ...rules, clients: { overLimit: 12, banned: 3 } },
    front: { ...front, delayed: 4, teed: 5 },
  });
  assert.match(text, /^limits {4}12 over the limit of a client, 3 of banned clients$/m);
  assert.match(text, /4 delayed, 5 copies$/m);
});

test("messages that are no good queries are told, too", () => {
  const row = { answered: 1, "answered from cache": 2, refused: 3, dropped: 4, failed: 5 };
  const usual = { ...row, malformed: 0, "not implemented": 0, bug: 0 };
  const queries = { udp: { ...usual, malformed: 6, "not implemented": 7 }, tcp: usual, internal: usual };
  assert.match(
    textOf({ queries }),
    /^queries {3}6 answered \(4 from cache\), 6 refused, 8 dropped, 10 failed, 6 malformed, 7 not implemented$/m,
  );
});

test("a set tells how many of its lines are left out, and why a change is not in force", () => {
  const set = { name: "ads", entries: 7, bad: 1, unsupported: 2, problem: undefined };
  const sets = [
    set,
    { ...set, name: "b", bad: 0, unsupported: 0 },
    { ...set, name: "c", problem: "no file" },
  ];
  const text = textOf({ rules: { ...STATUS.rules, sets } });
  assert.match(text, /ads +7 +in force, 3 lines left out\nb +7 +in force\nc +7 +no file/);
});

test("workers have a row each where there are several", () => {
  assert.doesNotMatch(textOf({}), /worker/);
  const one = { state: "serving", utilisation: 0.257, connections: 3, inFlight: 1, queries: 40, crashes: 0 };
  const workers = [
    { ...one, worker: 0 },
    { ...one, worker: 1, state: "down", utilisation: 0, connections: 0, inFlight: 0, crashes: 2 },
  ];
  const text = textOf({ workers });
  assert.match(text, /^✓ 0 +serving +26 % +3 +1 +40 +0$/m);
  assert.match(text, /^✗ 1 +down +0 % +0 +0 +40 +2$/m);
});
