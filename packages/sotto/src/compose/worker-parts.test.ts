import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock, simRuntime } from "@sotto/dns/testing";
import { loadConfig } from "../config/index.ts";
import { tryListeners } from "./listener-trial.ts";
import { mergeStatus, nothingTold } from "./merged-reports.ts";
import { resolverReports } from "./resolver-reports.ts";
import { shareOf } from "./resolver-worker.ts";
import { dumpOfAll } from "./worker-dump.ts";
import { WorkerEvents } from "./worker-events.ts";
import type { EventLine } from "./worker-messages.ts";

test("what the whole server may have is shared out, and what a client may have is not", () => {
  const loaded = loadConfig(
    "limits: { connections: 5, handshakes: 1 }\ncache: { size: 10MiB }\n",
    "sotto.yaml",
  );
  assert.ok(loaded.ok);
  const { limits, cache } = shareOf(loaded.config, 3);
  assert.deepEqual([limits.connectionsMax, limits.handshakesMax], [2, 1], "at least one each");
  assert.equal(cache.sizeBytes, Math.ceil((10 * 1024 * 1024) / 3));
  assert.equal(limits.connectionsPerAddressMax, loaded.config.limits.connectionsPerAddressMax);
});

test("events go in batches, in order, so many and no more", async () => {
  const clock = new SimClock();
  const sent: { lines: readonly EventLine[]; dropped: number }[] = [];
  const options = {
    wants: (name: string) => name !== "quiet",
    send: (lines: readonly EventLine[], dropped: number) => void sent.push({ lines, dropped }),
  };
  const events = new WorkerEvents({ ...options, speaksForAll: false }, clock);
  events.publish("quiet", {});
  events.publish("tickets.rotated", {});
  for (let i = 0; i < 300; i++) events.publish("server.bug", { i });
  assert.equal(sent.length, 0);
  await clock.advance(50);
  assert.deepEqual(
    sent.map(({ lines, dropped }) => [lines.length, dropped]),
    [[256, 44]],
  );
  assert.deepEqual(sent[0]?.lines[1], ["server.bug", '{"i":1}']);
  const first = new WorkerEvents({ ...options, speaksForAll: true }, clock);
  first.publish("tickets.rotated", { rotationMs: 1 });
  first.flush();
  assert.deepEqual(sent[1]?.lines, [["tickets.rotated", '{"rotationMs":1}']]);
  assert.deepEqual(clock.pendingTimers, []);
});

test("a dump has each set once, with its signatures, and one head", async () => {
  const texts = [
    ["; sotto cache 1\n", "a.\t9\tIN\tA\t192.0.2.1\n", "a.\t9\tIN\tRRSIG\tA 8 1\n"],
    [
      "; sotto cache 1\n",
      "a.\t5\tIN\tA\t192.0.2.1\n",
      "a.\t5\tIN\tRRSIG\tA 8 1\n",
      "a.\t5\tIN\tMX\t1 b.\n",
      "a.\t5\tIN\tMX\t2 c.\n",
    ],
  ];
  // Answers to `dump`, the only call that is made.
  const workers = texts.map((lines) => ({
    call: (_: string, { isFirst }: { isFirst: boolean }) => Promise.resolve(isFirst ? lines : []),
  })) as unknown as Parameters<typeof dumpOfAll>[0];
  const lines: string[] = [];
  for await (const line of dumpOfAll(workers, 1)) lines.push(line);
  assert.deepEqual(lines, [...(texts[0] ?? []), "a.\t5\tIN\tMX\t1 b.\n", "a.\t5\tIN\tMX\t2 c.\n"]);
});

test("patience is the least, what is known the most, everything else the sum", () => {
  const clock = new SimClock();
  const nothing = nothingTold(clock);
  const { merge, left } = resolverReports(clock);
  const { authorities } = merge([]);
  const merged = mergeStatus(
    [0.5, 1].map((patience) => ({ status: { ...nothing, inFlight: 2, patience } })),
    nothing,
  );
  assert.deepEqual([merged.inFlight, merged.patience], [4, 0.5]);
  assert.deepEqual(mergeStatus([], nothing), nothing);
  const told = [7, 4].map((works) => ({
    authorities: { ...authorities, encrypted: 3, known: { works, fails: 0, probing: 0 } },
    upstreams: [],
  }));
  const own = merge(told);
  assert.deepEqual([own.authorities.encrypted, own.authorities.known.works], [6, 7]);
  const [first] = told;
  assert.ok(first);
  assert.deepEqual(left(first).authorities, { ...authorities, encrypted: 3 }, "the dead know nothing");
  assert.deepEqual(merge([]), { authorities, upstreams: [], portal: undefined });
});

test("the trial finds out that an address is taken, and leaves what is ours alone", async () => {
  const world = simRuntime(1);
  const runtime = world.runtimeOf(["192.0.2.1"]);
  const loaded = loadConfig("listen: [{ transport: tcp, address: 192.0.2.1 }]\n", "sotto.yaml");
  assert.ok(loaded.ok);
  await world.clock.runUntil(tryListeners(loaded.config, [], runtime));
  const options = {
    local: { address: "192.0.2.1", port: 53 },
    tls: undefined,
    handshakeTimeoutMs: 1000,
    reusePort: false,
  };
  const taken = await runtime.network.listen(options, {
    onStream: () => undefined,
    onFailure: () => undefined,
  });
  await assert.rejects(
    world.clock.runUntil(tryListeners(loaded.config, [], runtime)),
    /cannot listen on tcp 192\.0\.2\.1 port 53/,
  );
  await world.clock.runUntil(tryListeners(loaded.config, [], runtime, new Set(["tcp 192.0.2.1 53"])));
  await taken.close();
});
