/**
 * What is known of authorities that can be asked over TLS (RFC 9539 §4.5), as a table without I/O: who is asked encrypted, who
 * is tried beside a clear query, and who is left alone for a day. Times are wall time, because the table outlives the program.
 */
import type { Clock } from "@sotto/dns/runtime";
import { type Parsed, parsed, problem } from "@sotto/dns/wire";

/** How the next query goes: `probe` in clear, and once more encrypted to find out. */
export type EncryptionChoice = "encrypted" | "probe" | "clear";

/**
 * How asking encrypted failed: no connection (`connect`: refused or unreachable; `timeout`: not in time), no TLS, no reply
 * over a connection that stands (`silence`), or a broken one.
 */
export type EncryptionFailure = "connect" | "timeout" | "handshake" | "silence" | "query";

/** Counters since the start, good enough to publish: what was begun is the sum of what became of it and what is under way. */
export interface EncryptionCounters {
  /** Queries to authorities that were answered encrypted. */
  encrypted: number;
  /** Queries that went in clear because the server is not known to encrypt. */
  clear: number;
  /** Queries that were asked in clear because a server that had encrypted did not answer so. */
  fellBack: number;
  readonly probes: Record<"started" | "succeeded" | "inconclusive" | EncryptionFailure, number>;
  /** Servers that had encrypted and stopped, by what was seen of it. */
  readonly lost: Record<EncryptionFailure, number>;
}

/** What is known besides when asking encrypted has failed. */
export interface Circumstances {
  /** Wall milliseconds when it was begun. */
  readonly sinceMs: number;
  /** The same server answered the same question in clear. */
  readonly isAnsweredInClear: boolean;
  /** Somebody was heard of meanwhile, so that the network works. */
  readonly isNetworkAlive: boolean;
}

interface Entry {
  status: "works" | "fails";
  /** Wall milliseconds of the last encrypted reply, or of the last failure. */
  atMs: number;
}

export class AuthorityEncryption {
  readonly #entries = new Map<string, Entry>();
  readonly #probing = new Set<string>();
  /** Servers that encrypt and are silent just now: no longer than what is under way there. */
  readonly #doubted = new Set<string>();
  readonly #clock: Clock;
  readonly counters: EncryptionCounters = {
    encrypted: 0,
    clear: 0,
    fellBack: 0,
    probes: { started: 0, succeeded: 0, inconclusive: 0, ...NO_FAILURES },
    lost: { ...NO_FAILURES },
  };
  /** Grows with every change that is worth keeping. */
  revision = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Addresses that are known to encrypt now, those that are left alone, and those that are being tried. */
  get known(): { readonly works: number; readonly fails: number; readonly probing: number } {
    let works = 0;
    let fails = 0;
    for (const entry of this.#entries.values()) {
      if (!this.#isFresh(entry)) continue;
      if (entry.status === "works") works++;
      else fails++;
    }
    return { works, fails, probing: this.#probing.size };
  }

  /** RFC 9539 §4.6.1 to §4.6.3. */
  choose(address: string): EncryptionChoice {
    const entry = this.#entries.get(address);
    if (entry !== undefined && this.#isFresh(entry)) return entry.status === "works" ? "encrypted" : "clear";
    const isBusy = this.#probing.has(address) || this.#probing.size >= PROBES_MAX;
    return isBusy ? "clear" : "probe";
  }

  /** True while a server that encrypts has gone silent: others need not wait to find that out, too. */
  isDoubted(address: string): boolean {
    return this.#doubted.has(address);
  }

  noteProbe(address: string): void {
    this.#probing.add(address);
    this.counters.probes.started++;
  }

  /** An encrypted reply came (RFC 9539 §4.6.9); what it says does not matter. */
  noteReply(address: string): void {
    this.#doubted.delete(address);
    if (this.#probing.delete(address)) this.counters.probes.succeeded++;
    const known = this.#entries.get(address);
    // Every reply prolongs; only what changes much is worth writing down.
    const isNews = known?.status !== "works" || this.#clock.wallMs() - known.atMs > RENEWAL_MS;
    this.#set(address, { status: "works", atMs: this.#clock.wallMs() }, isNews);
  }

  /** A query since then has not been answered encrypted and still may be. One slow name among others says nothing. */
  noteSilence(address: string, sinceMs: number): void {
    if (!this.#hasRepliedSince(address, sinceMs)) this.#doubted.add(address);
  }

  /**
   * RFC 9539 §4.6.5 to §4.6.7: then it is left alone for the damping time. What may just as well be a question that nobody
   * answers, or our own network, is not held against it.
   */
  noteFailure(address: string, failure: EncryptionFailure, circumstances: Circumstances): void {
    if (!this.#isConclusive(address, failure, circumstances)) {
      this.noteNothing(address);
      return;
    }
    const { probes, lost } = this.counters;
    this.#doubted.delete(address);
    const known = this.#entries.get(address);
    if (this.#probing.delete(address)) probes[failure]++;
    else if (known?.status === "works") lost[failure]++;
    this.#set(address, { status: "fails", atMs: this.#clock.wallMs() }, true);
  }

  /** What was under way says nothing about the server: we end, or have no room. */
  noteNothing(address: string): void {
    this.#doubted.delete(address);
    if (this.#probing.delete(address)) this.counters.probes.inconclusive++;
  }

  /** The table as text: a line per address. */
  toText(): string {
    const lines = [...this.#entries]
      .filter(([, entry]) => this.#isFresh(entry))
      .map(([address, { status, atMs }]) => `${address} ${status} ${Math.floor(atMs / 1000)}\n`);
    return `${HEAD}\n${lines.join("")}`;
  }

  /** Takes over what an earlier run knew; a problem when the text is not ours, and then nothing is taken. */
  tryLoad(text: string): Parsed<number> {
    const [head, ...lines] = text.split("\n");
    if (head !== HEAD) return problem(`the first line is not ${JSON.stringify(HEAD)}`);
    const entries: [string, Entry][] = [];
    for (const [i, line] of lines.entries()) {
      if (line === "") continue;
      const [, address, status, seconds] = LINE.exec(line) ?? [];
      if (address === undefined || (status !== "works" && status !== "fails"))
        return problem(`line ${i + 2} is not ADDRESS works|fails SECONDS`);
      // A time to come is somebody's broken clock; it must not last for ever.
      const atMs = Math.min(Number(seconds) * 1000, this.#clock.wallMs());
      entries.push([address, { status, atMs }]);
    }
    for (const [address, entry] of entries.slice(-ADDRESSES_MAX)) this.#entries.set(address, entry);
    return parsed(this.#entries.size);
  }

  #isConclusive(address: string, failure: EncryptionFailure, circumstances: Circumstances): boolean {
    const { sinceMs, isAnsweredInClear, isNetworkAlive } = circumstances;
    switch (failure) {
      case "connect":
      case "timeout":
        return isAnsweredInClear || isNetworkAlive;
      case "silence":
        return isAnsweredInClear && !this.#hasRepliedSince(address, sinceMs);
      default:
        return true;
    }
  }

  #hasRepliedSince(address: string, sinceMs: number): boolean {
    const entry = this.#entries.get(address);
    return entry?.status === "works" && entry.atMs > sinceMs;
  }

  #isFresh({ status, atMs }: Entry): boolean {
    const ageMs = this.#clock.wallMs() - atMs;
    return ageMs >= 0 && ageMs < (status === "works" ? PERSISTENCE_MS : DAMPING_MS);
  }

  #set(address: string, entry: Entry, isNews: boolean): void {
    if (isNews) this.revision++;
    // The oldest leave first, and what is used is young.
    this.#entries.delete(address);
    this.#entries.set(address, entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= ADDRESSES_MAX) break;
      this.#entries.delete(oldest);
    }
  }
}

const NO_FAILURES: Readonly<Record<EncryptionFailure, number>> = {
  connect: 0,
  timeout: 0,
  handshake: 0,
  silence: 0,
  query: 0,
};
const HEAD = "sotto authority encryption 1";
const LINE = /^([0-9a-fA-F:.]+) (works|fails) (\d{1,12})$/;
const DAY_MS = 86_400_000;
/** RFC 9539 §4.3: for so long a server that answered encrypted is asked that way only. */
const PERSISTENCE_MS = 3 * DAY_MS;
/** RFC 9539 §4.3: for so long a server that could not is not tried again. */
const DAMPING_MS = DAY_MS;
/** What a restart may forget of a server that goes on answering. */
const RENEWAL_MS = 3_600_000;
/** Handshakes beside each other: a cold start must not look like a scan. */
const PROBES_MAX = 32;
/** About 150 octets each: 15 MB. */
const ADDRESSES_MAX = 100_000;
