/**
 * An epoll set, watched by one poll handle of Node's loop, which wakes it and does nothing else: what is ready is handled in a callback of
 * Node's own (an immediate of the same turn). There exceptions, microtasks and ticks are what they are everywhere, and a thread that is being ended
 * from outside is not called any more, where a call from C would end the process.
 */
import type { Foreign } from "./foreign.ts";
import { Block } from "./memory.ts";
import { systemProblem } from "./sockets.ts";
import type { ThreadEnd } from "./thread-end.ts";

/** Bits of epoll_ctl(2). */
export const Ready = { In: 1, Out: 4, Error: 8, HangUp: 16 } as const;

/** One per thread. */
export class EventSet {
  readonly #foreign: Foreign;
  readonly #end: ThreadEnd;
  readonly #set: number;
  readonly #setWord: bigint;
  readonly #events: Block;
  readonly #change: Block;
  /** 32-bit words of one `struct epoll_event`, and where its data begins: the structure is packed on x64 only. */
  readonly #eventWords: number;
  readonly #dataWord: number;
  /** From malloc, and never freed: libuv uses it until the loop of this thread is gone. */
  readonly #handle: bigint;
  #holders = 0;
  #errno = 0;
  #isClosed = false;

  constructor(foreign: Foreign, end: ThreadEnd, arch: string) {
    this.#foreign = foreign;
    this.#end = end;
    const { calls, ffi } = foreign;
    this.#eventWords = arch === "x64" ? 3 : 4;
    this.#dataWord = this.#eventWords - 2;
    this.#events = new Block(foreign, Number(EVENTS_MAX) * this.#eventWords * 4);
    this.#change = new Block(foreign, this.#eventWords * 4);
    this.#set = calls.epoll_create1(EPOLL_CLOEXEC);
    this.#setWord = BigInt(Math.max(0, this.#set));
    if (this.#set < 0) throw new Error(`epoll_create1: errno ${foreign.errno[0]}`);
    this.#handle = calls.malloc(calls.uv_handle_size(UV_POLL));
    // Looks at the handle, which is the first of three arguments, and changes nothing.
    const callback = calls.uv_is_active.pointer;
    const isInitialised = calls.uv_poll_init(ffi.getCurrentEventLoop(), this.#handle, this.#set) === 0;
    try {
      if (!isInitialised || calls.uv_poll_start(this.#handle, UV_READABLE, callback) !== 0)
        throw new Error("libuv does not watch an epoll set");
      end.makeInternal(this.#handle);
    } catch (problem) {
      // An open handle would end the process with its thread.
      if (isInitialised) calls.uv_close(this.#handle, NULL);
      calls.close(this.#setWord, NULL);
      throw problem;
    }
    calls.uv_unref(this.#handle);
    end.plan("close", this.#set);
    end.plan("uv_poll_stop", this.#handle);
  }

  /** Watches a descriptor; `slot` and `generation` come back with its events. False when the system has no room. */
  add(fd: number, ready: number, slot: number, generation: number): boolean {
    return this.#control(EPOLL_CTL_ADD, fd, ready, slot, generation);
  }

  change(fd: number, ready: number, slot: number, generation: number): void {
    this.#control(EPOLL_CTL_MOD, fd, ready, slot, generation);
  }

  remove(fd: number): void {
    this.#control(EPOLL_CTL_DEL, fd, 0, 0, 0);
  }

  #control(what: bigint, fd: number, ready: number, slot: number, generation: number): boolean {
    // Its number may be somebody else's by now.
    if (this.#isClosed) return true;
    const { words } = this.#change;
    words[0] = ready;
    words[this.#dataWord] = slot;
    words[this.#dataWord + 1] = generation;
    const { calls } = this.#foreign;
    const isDone = calls.epoll_ctl(this.#setWord, what, BigInt(fd), this.#change.address) === 0;
    if (!isDone) this.#errno = this.#foreign.errno[0] ?? 0;
    return isDone;
  }

  /** Why the last watch was refused. */
  get problem(): Error {
    return systemProblem(this.#errno, "epoll_ctl");
  }

  /** How many events there are now; they are read by index until the next call. */
  take(): number {
    if (this.#isClosed) return 0;
    const { calls } = this.#foreign;
    return Math.max(0, calls.epoll_wait(this.#setWord, this.#events.address, EVENTS_MAX, NO_WAIT));
  }

  readyAt(index: number): number {
    return this.#events.words[index * this.#eventWords] ?? 0;
  }

  slotAt(index: number): number {
    return this.#events.words[index * this.#eventWords + this.#dataWord] ?? 0;
  }

  generationAt(index: number): number {
    return this.#events.words[index * this.#eventWords + this.#dataWord + 1] ?? 0;
  }

  /** The process does not end as long as somebody holds. */
  hold(): void {
    if (this.#holders++ === 0 && !this.#isClosed) this.#foreign.calls.uv_ref(this.#handle);
  }

  release(): void {
    if (--this.#holders === 0 && !this.#isClosed) this.#foreign.calls.uv_unref(this.#handle);
  }

  /** At the end of the process: nobody is called any more. */
  stop(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#end.forget("uv_poll_stop", this.#handle);
    this.#foreign.calls.uv_poll_stop(this.#handle);
  }

  /** At the end of a thread, whose loop must have no open handle. Without a callback: there is nobody left to be told. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#end.forget("uv_poll_stop", this.#handle);
    this.#end.forget("close", this.#set);
    this.#foreign.calls.uv_close(this.#handle, NULL);
    this.#foreign.calls.close(this.#setWord, NULL);
  }
}

/** Events of one turn; more come in the next one. */
const EVENTS_MAX = 256n;
/** Milliseconds. */
const NO_WAIT = 0n;

// Constants of Linux and libuv, from their headers.
const NULL = 0n;
const EPOLL_CLOEXEC = 0o2_000_000;
const EPOLL_CTL_ADD = 1n;
const EPOLL_CTL_DEL = 2n;
const EPOLL_CTL_MOD = 3n;
const UV_POLL = 8;
const UV_READABLE = 1;
