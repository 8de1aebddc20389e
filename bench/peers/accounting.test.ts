import assert from "node:assert/strict";
import { test } from "node:test";
import { disturbanceOf, parseChildrenMs, parseIdleMs, type Snapshot, useBetween } from "./accounting.ts";

const [server, load, authority] = [100, 200, 300];
const place = { serverPid: server, loadPid: load, serverCore: 0, loadCore: 1 };

function snapshot(
  atMs: number,
  cpuMs: readonly [number, number, number],
  idleMs: readonly number[],
): Snapshot {
  const [own, ofLoad, ofAuthority] = cpuMs.map((ms) => ms * 1e6);
  return {
    atMs,
    cpuNs: { [server]: own ?? 0, [load]: ofLoad ?? 0, [authority]: ofAuthority ?? 0 },
    threadsNs: { 100: (own ?? 0) * 0.75, 101: (own ?? 0) * 0.25 },
    idleMs,
  };
}

test("idle time of cores is idle and iowait of their lines", () => {
  const stat = "cpu  9 9 9 9 9 9 9 0 0 0\ncpu0 1 2 3 400 5 0 0 0 0 0\ncpu1 1 2 3 50 0 0 0 7 0 0\nintr 1 2\n";
  assert.deepEqual(parseIdleMs(stat), [4050, 500]);
});

test("what nobody known used of a core is what is neither idle nor theirs", () => {
  const before = snapshot(0, [0, 0, 0], [0, 0]);
  const use = useBetween(before, snapshot(1000, [800, 500, 100], [150, 250]), place);
  assert.equal(use.serverMs, 800);
  assert.equal(use.loadMs, 500);
  assert.equal(use.busiestMs, 600);
  assert.ok(Math.abs(use.othersOnServerCore - 0.05) < 1e-9);
  assert.ok(Math.abs(use.othersOnLoadCore - 0.15) < 1e-9);
});

test("a measurement is disturbed when others had a tenth of one of both cores", () => {
  const base = { wallMs: 1000, serverMs: 500, loadMs: 500, busiestMs: 500 };
  assert.equal(disturbanceOf({ ...base, othersOnServerCore: 0.1, othersOnLoadCore: 0.1 }), undefined);
  assert.match(
    disturbanceOf({ ...base, othersOnServerCore: 0.2, othersOnLoadCore: 0 }) ?? "",
    /20 % of the server/,
  );
  assert.match(
    disturbanceOf({ ...base, othersOnServerCore: 0, othersOnLoadCore: 0.3 }) ?? "",
    /30 % of the load/,
  );
});

test("a server that ended counts as nothing, and none of it is negative", () => {
  const before = snapshot(0, [0, 0, 0], [0, 0]);
  const after: Snapshot = { atMs: 1000, cpuNs: {}, threadsNs: {}, idleMs: [1000, 1010] };
  const use = useBetween(before, after, place);
  assert.deepEqual([use.serverMs, use.busiestMs, use.othersOnServerCore, use.othersOnLoadCore], [0, 0, 0, 0]);
});

test("the time of children that ended stands behind the name, whatever the name is", () => {
  const fields = "R 1 2 3 4 -1 4194304 99 0 0 0 11 12 350 45 20 0 1 0 89574";
  for (const name of ["node", "a b", "x) R 9 (y"])
    assert.equal(parseChildrenMs(`4711 (${name}) ${fields}\n`), 3950, name);
});
