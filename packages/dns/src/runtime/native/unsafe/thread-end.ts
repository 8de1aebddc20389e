/**
 * What has to be done when a worker thread is ended from outside: no JavaScript of it runs any more, but Node calls functions of C that
 * were named before, each with one argument. Without this its sockets would stay open and take connections for ever.
 * In the main thread sockets end with the process.
 */
import { isMainThread } from "node:worker_threads";
import type { Foreign } from "./foreign.ts";

/** What can be done: with a descriptor, an `SSL`, or a poll handle. */
export type LastAct = "close" | "SSL_free" | "uv_poll_stop";

/** One per thread. */
export class ThreadEnd {
  readonly #foreign: Foreign;
  readonly #isolate: bigint;

  constructor(foreign: Foreign) {
    this.#foreign = foreign;
    this.#isolate = foreign.calls._ZN2v87Isolate10GetCurrentEv();
  }

  /** The loop goes on a little after the last JavaScript, in the main thread, too: nothing must call it then. */
  #isNeeded(act: LastAct): boolean {
    return !isMainThread || act === "uv_poll_stop";
  }

  /** From now on it is to be done, the latest first. */
  plan(act: LastAct, argument: bigint | number): void {
    if (!this.#isNeeded(act)) return;
    const { calls } = this.#foreign;
    calls._ZN4node25AddEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_(
      this.#isolate,
      calls[act].pointer,
      BigInt(argument),
    );
  }

  /** It has been done, or is about to be. */
  forget(act: LastAct, argument: bigint | number): void {
    if (!this.#isNeeded(act)) return;
    const { calls } = this.#foreign;
    calls._ZN4node28RemoveEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_(
      this.#isolate,
      calls[act].pointer,
      BigInt(argument),
    );
  }

  /**
   * A loop with an open handle ends the whole process with its thread, unless libuv takes the handle for one of its own. The flag that
   * says so stands in a part of the structure that libuv does not promise: it is looked at first whether two others are where
   * they should be. Throws when they are not.
   */
  makeInternal(handle: bigint): void {
    if (isMainThread) return;
    const { ffi, calls } = this.#foreign;
    const flags = (): number => ffi.getUint32(handle, HANDLE_FLAGS_AT);
    const referenced = flags();
    calls.uv_unref(handle);
    const unreferenced = flags();
    if ((referenced & ~HANDLE_ACTIVE) !== HANDLE_REF || unreferenced !== (referenced & ~HANDLE_REF))
      throw new Error("libuv's handles are not laid out as they were");
    ffi.setUint32(handle, HANDLE_FLAGS_AT, unreferenced | HANDLE_INTERNAL);
  }
}

/** Offset of `flags` in `uv_handle_t`, on 64-bit systems. */
const HANDLE_FLAGS_AT = 88;
const HANDLE_ACTIVE = 0x4;
const HANDLE_REF = 0x8;
const HANDLE_INTERNAL = 0x10;
