/**
 * Our stub, as a daemon and as a library, comes back within a retry interval and loses no query that its deadline did not end,
 * with real servers in network namespaces. `npm run evidence:recovery` plays all of it, longer, with three servers and beside Stubby.
 */
import assert from "node:assert/strict";
import { GOAL_MS, misses } from "../../scripts/evidence/recovery-page.ts";
import type { ServerName } from "../../scripts/evidence/recovery-programs.ts";
import { playWorld } from "../../scripts/evidence/recovery-run.ts";
import { peerTest } from "./peers.ts";

const PROGRAMS = ["unshare", "ip", "ss"] as const;

function recovers(title: string, servers: readonly ServerName[], events: readonly string[]): void {
  peerTest(title, [...PROGRAMS, ...servers], async (context) => {
    const results = await playWorld(
      { servers, stubs: ["sotto stub", "StubResolver"], events, lastsMsMax: 3000, observeMsMax: 15_000 },
      ({ event, cells }) => {
        for (const { stub, firstGoodMs, gapMs, lost } of cells)
          context.diagnostic(
            `${event}, ${stub}: back after ${firstGoodMs} ms, gap ${gapMs} ms, lost ${lost}`,
          );
      },
    );
    assert.deepEqual(
      results.map(({ event }) => event),
      events,
    );
    // Nothing lasts longer than clients wait here, so that nothing at all may be lost.
    const lost = results.flatMap(({ cells }) => cells.map((cell) => cell.lost));
    assert.deepEqual([misses(results), lost.filter((count) => count > 0)], [[], []], `goal: ${GOAL_MS} ms`);
  });
}

recovers(
  "cables, routers, addresses and connections that go away for a while cost no query",
  ["unbound"],
  ["link-down", "black-hole", "address-change", "idle-flow-forgotten"],
);
recovers(
  "servers that die, renew their keys or hang for a while cost no query",
  ["kresd"],
  ["killed", "backup-pin", "server-asleep"],
);
