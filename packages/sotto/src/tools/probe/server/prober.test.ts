/** Probes in virtual time of targets that play with the prober's patience. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ByteStream, Network } from "@sotto/dns/runtime";
import { type SimWorld, simRuntime } from "@sotto/dns/testing";
import {
  encodeMessage,
  FrameReader,
  frameMessage,
  makeEdns,
  makeKeepalive,
  makeMessage,
  setUint16,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import type { Cell } from "../model.ts";
import { probePath } from "../path/index.ts";
import { SERVER_ROWS } from "../rows-server.ts";
import {
  PATIENCE_CAREFUL,
  PATIENCE_THOROUGH,
  PROBE_NAMES_DEFAULT,
  type ProbeOptions,
} from "./probe-options.ts";
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

test("a probe whose listener throws leaves no timer behind either", async () => {
  const world = simRuntime(1);
  await serve(world, (stream, query) => void stream.write(frameMessage(replyTo(query))));
  const runtime = world.runtimeOf(["192.0.2.1"]);
  for (const probe of [probeServer, probePath]) {
    const probing = probe({ ...TARGET, transports: ["tcp"] }, OPTIONS, runtime, ({ row }) => {
      if (row === "tls") throw new Error("nobody reads this");
    });
    await assert.rejects(world.clock.runUntil(probing, 3_600_000), /nobody reads this/);
    assert.deepEqual(
      world.clock.pendingTimers.filter((name) => name.startsWith("probe-")),
      [],
    );
  }
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

test("a probe that is stopped while its socket is opened sends nothing from it", async () => {
  const world = simRuntime(1);
  const stop = new AbortController();
  let queries = 0;
  await world.network
    .host([LOCAL.address])
    .bindDatagram(
      { local: LOCAL, connectTo: undefined, reusePort: false },
      { onMessage: () => queries++, onError: () => undefined },
    );
  const runtime = world.runtimeOf(["192.0.2.1"]);
  const bindDatagram: Network["bindDatagram"] = async (options, handlers) => {
    const socket = await runtime.network.bindDatagram(options, handlers);
    stop.abort();
    return socket;
  };
  const network = { ...runtime.network, bindDatagram };
  const { tookMs } = await world.clock.runUntil(
    probeServer(
      { ...TARGET, transports: ["udp"] },
      { ...OPTIONS, signal: stop.signal },
      { ...runtime, network },
      () => undefined,
    ),
    3_600_000,
  );
  assert.equal(queries, 0);
  assert.ok(tookMs < PATIENCE_CAREFUL.replyMs, `took ${tookMs} ms`);
  assert.equal(world.network.use.datagramSockets, 1, "only the target's is open");
});

/** As {@link serve}, with a keepalive option that promises so much, in units of 100 ms. */
function replyWithKeepalive(query: Uint8Array, units: number): Uint8Array {
  const message = tryDecodeMessage(query);
  // DNS Stateful Operations are no message that our codec reads.
  if (!message.ok || message.value.edns === undefined) return replyTo(query);
  const edns = makeEdns({ options: [makeKeepalive(units)] });
  return encodeMessage(makeMessage({ ...message.value, isResponse: true, edns })).slice();
}

// The end that the prober itself made was told as the server's: broken, because it had promised ten seconds.
test("an idle connection that is given up by the prober was not closed by the server", async () => {
  const world = simRuntime(1);
  const stop = new AbortController();
  await serve(world, (stream, query) => void stream.write(frameMessage(replyWithKeepalive(query, 100))));
  world.clock.startTimer("stop", 5000, () => stop.abort());
  const runtime = world.runtimeOf(["192.0.2.1"]);
  const options = { ...OPTIONS, signal: stop.signal };
  const { cells } = await world.clock.runUntil(
    probeServer({ ...TARGET, transports: ["tcp"] }, options, runtime, () => undefined),
    3_600_000,
  );
  assert.match(cellOf(cells, "idle-timeout").observed, /still open after [345]/);
  assert.equal(cellOf(cells, "keepalive").verdict, "released");
  assert.match(cellOf(cells, "keepalive").observed, /not waited out/);
});

// A failure in it was nobody's: it ended the process while other rows were under way.
test("whatever the network throws, every row has a cell and the probe ends", async () => {
  const world = simRuntime(1);
  await serve(world, (stream, query) => void stream.write(frameMessage(replyTo(query))));
  const runtime = world.runtimeOf(["192.0.2.1"]);
  let connects = 0;
  const connect: Network["connect"] = (options) =>
    connects++ === 0 ? runtime.network.connect(options) : Promise.reject(new TypeError("no such thing"));
  const network = { ...runtime.network, connect };
  const { cells } = await world.clock.runUntil(
    probeServer({ ...TARGET, transports: ["tcp"] }, OPTIONS, { ...runtime, network }, () => undefined),
    3_600_000,
  );
  assert.equal(cells.length, SERVER_ROWS.length);
  for (const row of ["idle-timeout", "pipelining", "keepalive"]) {
    assert.equal(cellOf(cells, row).verdict, "not testable", row);
    assert.match(cellOf(cells, row).observed, /the prober failed: no such thing/);
  }
});

// Each reply began the wait for the next one anew: 200 queries in flight were a row of eight minutes.
test("a target that answers a query every two seconds holds a probe no longer than its time and a row", async () => {
  const world = simRuntime(1);
  const lastMs = new WeakMap<ByteStream, number>();
  await serve(world, (stream, query) => {
    const nowMs = world.clock.nowMs();
    const atMs = Math.max(nowMs, lastMs.get(stream) ?? 0) + 2000;
    lastMs.set(stream, atMs);
    world.clock.startTimer("late", atMs - nowMs, () => void stream.write(frameMessage(replyTo(query))));
  });
  const runtime = world.runtimeOf(["192.0.2.1"]);
  const patience = { ...PATIENCE_THOROUGH, probeMs: 20_000, idleMs: 10_000 };
  const { tookMs, cells } = await world.clock.runUntil(
    probeServer(
      { ...TARGET, transports: ["tcp"] },
      { ...OPTIONS, isThorough: true, patience },
      runtime,
      () => undefined,
    ),
    3_600_000,
  );
  assert.ok(tookMs < 20_000 + 16_000, `took ${tookMs} ms`);
  assert.match(cells.map(({ observed }) => observed).join("\n"), /and so were 15 s more for this row/);
});

function cellOf(cells: readonly Cell[], row: string): Cell {
  const cell = cells.find((one) => one.row === row);
  assert.ok(cell, row);
  return cell;
}
