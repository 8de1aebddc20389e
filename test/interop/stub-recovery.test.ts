/**
 * Our stub, as a daemon and as a library, comes back within a retry interval and loses no query that its deadline did not end, and
 * strict means strict meanwhile, with real servers in network namespaces. `npm run evidence:recovery` plays all of it, longer, with three servers and beside Stubby.
 */
import assert from "node:assert/strict";
import { GOAL_MS, misses } from "../../scripts/evidence/recovery-page.ts";
import type { ServerName } from "../../scripts/evidence/recovery-programs.ts";
import { playWorld } from "../../scripts/evidence/recovery-run.ts";
import { peerTest } from "./peers.ts";

const PROGRAMS = ["unshare", "ip", "ss", "tshark", "unbound"] as const;

function recovers(title: string, servers: readonly ServerName[], events: readonly string[]): void {
  peerTest(title, [...PROGRAMS, ...servers], async (context) => {
    const stubs = ["sotto stub", "StubResolver"] as const;
    const { results, captured } = await playWorld(
      { servers, stubs, events, lastsMsMax: 3000, observeMsMax: 15_000, captures: true },
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
    // RFC 8310 §5: whatever happens, the servers would have answered in clear and were not asked to.
    assert.ok(captured !== undefined && captured.packets > 100 && captured.control > 0, "the capture works");
    assert.equal(captured.inClear, 0);
  });
}

recovers(
  "cables, routers, addresses and connections that go away for a while cost no query and leak none [8310-6.6-c]",
  ["unbound"],
  ["link-down", "black-hole", "address-change", "idle-flow-forgotten"],
);
recovers(
  "servers that die, renew their keys or hang for a while cost no query and leak none [8310-6.6-c]",
  ["kresd"],
  ["killed", "backup-pin", "server-asleep"],
);
recovers(
  "sleep and reloads cost no query and leak none [8310-6.6-c]",
  ["unbound"],
  ["stub-asleep", "reload"],
);
