import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "@sotto/dns/testing";
import { OutcomeTally } from "../server/index.ts";
import { nothingTold } from "./merged-reports.ts";
import {
  makeWorkerMemory,
  ReportReader,
  ReportWriter,
  tallyCells,
  type WorkerReport,
} from "./worker-memory.ts";

function reportOf(connections: number, listeners = 1): WorkerReport<unknown> {
  const listener = {
    key: "udp 192.0.2.1 53",
    transport: "udp" as const,
    local: { address: "192.0.2.1", port: 53 },
    certificates: [],
    counters: { received: 1 },
  };
  return {
    status: { ...nothingTold(new SimClock()), connections },
    listeners: Array.from({ length: listeners }, () => listener),
    own: undefined,
    utilisation: 0,
    connectionsGiven: 0,
    connectionsTaken: 0,
    connectionsLost: 0,
  };
}

function connectionsOf(reader: ReportReader<unknown>): number | undefined {
  return reader.latest?.status.connections;
}

test("the latest report is read, and each is a sign of life", () => {
  const memory = makeWorkerMemory();
  const [reader, writer] = [new ReportReader(memory), new ReportWriter(memory)];
  assert.equal(connectionsOf(reader), undefined);
  writer.write(reportOf(1));
  const { beat } = reader;
  assert.equal(connectionsOf(reader), 1);
  writer.write(reportOf(2));
  assert.equal(connectionsOf(reader), 2);
  assert.notEqual(reader.beat, beat);
});

test("a report that is being written is not read: the one before it counts", () => {
  const memory = makeWorkerMemory();
  const [reader, writer] = [new ReportReader(memory), new ReportWriter(memory)];
  writer.write(reportOf(1));
  assert.equal(connectionsOf(reader), 1);
  // The writer died after its first step.
  Atomics.add(new Int32Array(memory), 0, 1);
  assert.equal(connectionsOf(reader), 1);
  reader.forget();
  assert.equal(connectionsOf(reader), undefined);
  writer.write(reportOf(3));
  assert.equal(connectionsOf(reader), 3);
});

test("a report without room leaves out its listeners", () => {
  const memory = makeWorkerMemory();
  const [reader, writer] = [new ReportReader(memory), new ReportWriter(memory)];
  writer.write(reportOf(4, 10_000));
  assert.equal(connectionsOf(reader), 4);
  assert.deepEqual(reader.latest?.listeners, []);
});

test("counts are seen while they are made, apart from reports", () => {
  const memory = makeWorkerMemory();
  const tally = new OutcomeTally(tallyCells(memory));
  new ReportWriter(memory).write(reportOf(1));
  tally.count("tls", "answered from cache");
  tally.count("internal", "bug");
  const seen = new OutcomeTally(tallyCells(memory)).counters;
  assert.deepEqual([seen.tls["answered from cache"], seen.internal.bug, seen.udp.answered], [1, 1, 0]);
  assert.throws(() => new OutcomeTally(new Float64Array(3)), RangeError);
});
