import assert from "node:assert/strict";
import { test } from "node:test";
import { simRuntime } from "@sotto/dns/testing";
import type { ProgramIo } from "../../operations/index.ts";
import { runStubStatus } from "./status.ts";

const STATUS = {
  answers: { answered: 0, fromCache: 0, failed: 0, refused: 0 },
  zones: [{ zone: ".", profile: "strict", choice: "ordered", state: "untried", upstreams: [] }],
};

/** A process whose output is kept and whose signals the test gives. */
class FakeProcess implements ProgramIo {
  readonly out: string[] = [];
  readonly err: string[] = [];
  hear: ((signal: NodeJS.Signals) => void) | undefined = undefined;
  readonly stdout = { write: (text: string) => this.out.push(text) };
  readonly stderr = { write: (text: string) => this.err.push(text) };

  onSignal(_signals: readonly NodeJS.Signals[], heard: (signal: NodeJS.Signals) => void): () => void {
    this.hear = heard;
    return () => {
      this.hear = undefined;
    };
  }
}

test("the status is asked for once, as a page or as JSON", async () => {
  for (const [json, expected] of [
    [
      false,
      /^clients {7}no answer\n\neverything: profile strict, ordered; now · not asked yet\nreplies {7}none yet\n$/,
    ],
    [true, /^\{"answers":.*\}\n$/],
  ] as const) {
    const io = new FakeProcess();
    const { clock } = simRuntime(1);
    assert.equal(await runStubStatus(async () => STATUS, { json, watch: false }, clock, io), 0);
    assert.equal(io.out.length, 1);
    assert.match(io.out[0] ?? "", expected);
    assert.equal(io.hear, undefined);
  }
});

test("watching shows it every two seconds until a signal ends it at once", async () => {
  const io = new FakeProcess();
  const { clock } = simRuntime(1);
  const watching = runStubStatus(async () => STATUS, { json: true, watch: true }, clock, io);
  await clock.advance(5000);
  assert.equal(io.out.length, 3);
  io.hear?.("SIGINT");
  assert.equal(await watching, 0);
  assert.equal(io.out.length, 3);
  assert.deepEqual(clock.pendingTimers, [], "nothing keeps the process");
});

test("a stub that is not there is told", async () => {
  const io = new FakeProcess();
  const { clock } = simRuntime(1);
  const nobody = (): Promise<never> => Promise.reject(new Error("stub.sock: nobody listens"));
  assert.equal(await runStubStatus(nobody, { json: false, watch: true }, clock, io), 2);
  assert.deepEqual(io.err, ["sotto stub status: stub.sock: nobody listens\n"]);
});
