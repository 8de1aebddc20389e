import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "@sotto/dns/testing";
import { concatOctets, frameMessage } from "@sotto/dns/wire";
import { Admission } from "./admission.ts";
import { SERVER_LIMITS_DEFAULT, type ServerLimits } from "./limits.ts";
import type { MessageHandler } from "./message-handler.ts";
import { ServerConnection } from "./server-connection.ts";

type Call = (answer: Uint8Array) => void;

/** Connections under one admission, whose answers the test gives when it likes, in the call. */
class Bench {
  readonly admission: Admission;
  /** Ids of queries that the handler got, in order. */
  readonly asked: number[] = [];
  readonly calls = new Map<number, Call>();
  /** Memory that messages came in. */
  readonly memories = new Set<ArrayBufferLike>();
  /** Above: the handler answers within `then`. */
  atOnceFrom = Number.POSITIVE_INFINITY;
  #handling = 0;
  deepest = 0;
  readonly #limits: ServerLimits;
  readonly #deferred: (() => void)[] = [];

  constructor(limits: Partial<ServerLimits>) {
    this.#limits = { ...SERVER_LIMITS_DEFAULT, ...limits };
    this.admission = new Admission(this.#limits, new SimClock());
  }

  connect(): ServerConnection {
    const origin = { transport: "tcp", remote: undefined, local: undefined, security: undefined } as const;
    const terms = { limits: this.#limits, admission: this.admission };
    const nothing = (): undefined => undefined;
    const host = {
      write: nothing,
      unsentOctets: () => 0,
      end: nothing,
      reset: nothing,
      pause: nothing,
      resume: nothing,
      defer: (run: () => void) => void this.#deferred.push(run),
      setTimer: nothing,
      onEnded: nothing,
    };
    return new ServerConnection(origin, terms, this.#handler, host, () => 0);
  }

  readonly #handler: MessageHandler = {
    answer: (octets) => {
      const id = ((octets[0] ?? 0) << 8) | (octets[1] ?? 0);
      this.asked.push(id);
      this.memories.add(octets.buffer);
      this.deepest = Math.max(this.deepest, this.#handling + 1);
      // biome-ignore lint/suspicious/noThenProperty: as simple as a LaterAnswer may be.
      return { then: (call: Call) => this.#wait(id, call) };
    },
  };

  #wait(id: number, call: Call): void {
    if (id >= this.atOnceFrom) call(query(id));
    else this.calls.set(id, call);
  }

  /** As a handler would that finds out what it answers to one query while it looks at another. */
  answerWhileHandling(id: number): void {
    this.#handling++;
    this.answer(id);
    this.#handling--;
  }

  answer(id: number): void {
    const call = this.calls.get(id);
    this.calls.delete(id);
    call?.(query(id));
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 5; i++) {
      await Promise.resolve();
      for (const run of this.#deferred.splice(0)) run();
    }
  }
}

function query(id: number): Uint8Array {
  const octets = new Uint8Array(17);
  octets[0] = id >>> 8;
  octets[1] = id & 0xff;
  return octets;
}

function joined(...ids: number[]): Uint8Array {
  return concatOctets(ids.map((id) => frameMessage(query(id))));
}

// An answer that is given in the call gave its place away in the call, too: the next connection's query came to a handler that was in
// the middle of another one, and the front end had a client's cache hit half finished in the buffer that the next one was put into.
test("who is given a turn reads on when the call that freed the place is over", async () => {
  const bench = new Bench({ inFlightTotalMax: 1 });
  bench.connect().receive(joined(1));
  bench.connect().receive(joined(2, 3));
  assert.deepEqual(bench.asked, [1, 2]);
  bench.answer(2);
  bench.answerWhileHandling(1);
  assert.deepEqual([bench.asked, bench.deepest], [[1, 2], 1]);
  await bench.settle();
  assert.deepEqual([bench.asked, bench.deepest], [[1, 2, 3], 1]);
});

// Each of them was resumed within the answer of the one before: some thousands were more than the stack holds.
test("however many connections wait, and are answered at once, all get their turn", async () => {
  const bench = new Bench({ inFlightTotalMax: 1 });
  bench.connect().receive(joined(1));
  bench.atOnceFrom = 0x8000;
  for (let i = 0; i < 5000; i++) {
    bench.atOnceFrom = Number.POSITIVE_INFINITY;
    const id = 2 + i;
    bench.connect().receive(joined(id, 0x8000 + i, 0x8000 + i));
  }
  assert.equal(bench.admission.inFlight, 5001);
  bench.atOnceFrom = 0x8000;
  for (let id = 1; id <= 5001; id++) bench.answer(id);
  await bench.settle();
  assert.equal(bench.asked.length, 15_001);
  assert.equal(bench.admission.inFlight, 0);
});

// What was left of a chunk was copied after each message: two thousand queries in 64 KiB cost 60 MB.
test("a chunk that is looked at a message at a time is copied a few times only, and not kept for its end", async () => {
  const bench = new Bench({ inFlightTotalMax: 1 });
  const count = 2000;
  const ids = Array.from({ length: count }, (_, i) => i);
  const chunk = joined(...ids);
  bench.connect().receive(chunk);
  for (const id of ids) {
    bench.answer(id);
    await bench.settle();
  }
  assert.deepEqual(bench.asked, ids);
  let copied = 0;
  for (const memory of bench.memories) if (memory !== chunk.buffer) copied += memory.byteLength;
  assert.ok(copied <= 2 * chunk.length, `${copied} octets were copied of ${chunk.length}`);
  const smallest = Math.min(...[...bench.memories].map(({ byteLength }) => byteLength));
  assert.ok(smallest < 100, `the last message keeps ${smallest} octets`);
});
