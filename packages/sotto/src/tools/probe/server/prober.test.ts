/** Probes in virtual time of targets that play with the prober's patience. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ByteStream } from "@sotto/dns/runtime";
import { type SimWorld, simRuntime } from "@sotto/dns/testing";
import { FrameReader, frameMessage, setUint16 } from "@sotto/dns/wire";
import { PATIENCE_CAREFUL, PROBE_NAMES_DEFAULT, type ProbeOptions } from "./probe-options.ts";
import { probeServer } from "./probe-server.ts";

const LOCAL = { address: "198.51.100.1", port: 53 };
const TARGET = { text: "target", address: LOCAL.address };
const OPTIONS: ProbeOptions = { isThorough: false, names: PROBE_NAMES_DEFAULT, signal: undefined };

/** The query as its own reply. */
function replyTo(query: Uint8Array): Uint8Array {
  const reply = query.slice();
  setUint16(reply, 2, 0x8180);
  return reply;
}

/** Serves TCP; `answer` is called with each query. */
async function serve(
  world: SimWorld,
  answer: (stream: ByteStream, query: Uint8Array) => void,
): Promise<void> {
  const options = { local: LOCAL, tls: undefined, handshakeTimeoutMs: 1000, reusePort: false };
  await world.network.host([LOCAL.address]).listen(options, {
    onStream: (stream) => {
      const frames = new FrameReader();
      stream.setHandlers({
        onData: (octets) =>
          void frames.push(octets, (query) => {
            answer(stream, query.slice());
            return true;
          }),
        onEnd: () => stream.end(),
        onClose: () => undefined,
        onDrain: () => undefined,
      });
    },
    onFailure: () => undefined,
  });
}

// Each message that nobody had asked for began the wait for a reply anew, so that one query could take 32 waits and one row an hour.
test("a target that sends strays for ever holds a probe no longer than a silent one", async () => {
  const world = simRuntime(1);
  let streams = 0;
  await serve(world, (stream, query) => {
    streams++;
    // The first says that it is there at all.
    if (streams === 1) {
      stream.write(frameMessage(replyTo(query)));
      return;
    }
    const stray = replyTo(query);
    setUint16(stray, 0, 0xffff);
    for (let i = 1; i <= 40; i++)
      world.clock.startTimer("stray", i * 2000, () => void stream.write(frameMessage(stray)));
  });
  const runtime = world.runtimeOf(["192.0.2.1"]);
  const { tookMs } = await world.clock.runUntil(
    probeServer({ ...TARGET, transports: ["tcp"] }, OPTIONS, runtime, () => undefined),
    3_600_000,
  );
  assert.ok(tookMs < PATIENCE_CAREFUL.probeMs + 30_000, `took ${tookMs} ms`);
});

test("a probe leaves no timer behind", async () => {
  const world = simRuntime(1);
  await serve(world, (stream, query) => void stream.write(frameMessage(replyTo(query))));
  const runtime = world.runtimeOf(["192.0.2.1"]);
  await world.clock.runUntil(
    probeServer({ ...TARGET, transports: ["tcp"] }, OPTIONS, runtime, () => undefined),
    3_600_000,
  );
  assert.deepEqual(
    world.clock.pendingTimers.filter((name) => name.startsWith("probe-")),
    [],
  );
});

// Its wait could not be stopped when the stop had come before it, and the rest of the row was sent all the same.
test("a probe over UDP that is stopped sends nothing more, and ends at once", async () => {
  const world = simRuntime(1);
  const stop = new AbortController();
  let queries = 0;
  const socket = await world.network.host([LOCAL.address]).bindDatagram(
    { local: LOCAL, connectTo: undefined, reusePort: false },
    {
      onMessage: (octets, remote) => {
        queries++;
        // The sixth is in the middle of a row.
        if (queries < 6) socket.send(replyTo(octets), remote);
        else stop.abort();
      },
      onError: () => undefined,
    },
  );
  const runtime = world.runtimeOf(["192.0.2.1"]);
  const options = { ...OPTIONS, signal: stop.signal };
  const { tookMs } = await world.clock.runUntil(
    probeServer({ ...TARGET, transports: ["udp"] }, options, runtime, () => undefined),
    3_600_000,
  );
  assert.equal(queries, 6);
  assert.ok(tookMs < PATIENCE_CAREFUL.replyMs, `took ${tookMs} ms`);
});
