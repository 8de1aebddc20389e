/**
 * What is known of authorities that can be asked over TLS (RFC 9539 §4.5), as a table without I/O: who is asked encrypted, who
 * is tried beside a clear query, and who is left alone for a day. Times are wall time, because the table outlives the program.
 */
import type { Clock } from "@sotto/dns/runtime";
import { type Parsed, parsed, problem } from "@sotto/dns/wire";

/** How the next query goes: `probe` in clear, and once more encrypted to find out. */
export type EncryptionChoice = "encrypted" | "probe" | "clear";

/** Where a probe failed. */
export type ProbeFailure = "connect" | "handshake" | "timeout" | "query";

/** Counters since the start, good enough to publish (RFC 9539 §4.6.11 wants statistics to be kept). */
export interface EncryptionCounters {
  /** Queries to authorities that were answered encrypted. */
  encrypted: number;
  /** Queries that went in clear because the server is not known to encrypt. */
  clear: number;
  /** Queries that were asked in clear because a server that had encrypted did not answer so. */
  fellBack: number;
  readonly probes: Record<"started" | "succeeded" | ProbeFailure, number>;
}

interface Entry {
  status: "works" | "fails";
  /** Wall milliseconds of the last encrypted reply, or of the last failure. */
  atMs: number;
}

export class AuthorityEncryption {
  readonly #entries = new Map<string, Entry>();
  readonly #probing = new Set<string>();
  readonly #clock: Clock;
  readonly counters: EncryptionCounters = {
    encrypted: 0,
    clear: 0,
    fellBack: 0,
    probes: { started: 0, succeeded: 0, connect: 0, handshake: 0, timeout: 0, query: 0 },
  };
  /** Grows with every change that is worth keeping. */
  revision = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Addresses that are known to encrypt now, and those that are left alone. */
  get known(): { readonly works: number; readonly fails: number } {
    let works = 0;
    for (const entry of this.#entries.values()) if (this.#isFresh(entry) && entry.status === "works") works++;
    const fails = [...this.#entries.values()].filter((one) => one.status === "fails" && this.#isFresh(one));
    return { works, fails: fails.length };
  }

  /** RFC 9539 §4.6.1 to §4.6.3. */
  choose(address: string): EncryptionChoice {
    const entry = this.#entries.get(address);
    if (entry !== undefined && this.#isFresh(entry)) return entry.status === "works" ? "encrypted" : "clear";
    const isBusy = this.#probing.has(address) || this.#probing.size >= PROBES_MAX;
    return isBusy ? "clear" : "probe";
  }

  noteProbe(address: string): void {
    this.#probing.add(address);
    this.counters.probes.started++;
  }

  /** An encrypted reply came (RFC 9539 §4.6.9); what it says does not matter. */
  noteReply(address: string): void {
    if (this.#probing.delete(address)) this.counters.probes.succeeded++;
    const known = this.#entries.get(address);
    // Every reply prolongs; only what changes much is worth writing down.
    const isNews = known?.status !== "works" || this.#clock.wallMs() - known.atMs > RENEWAL_MS;
    this.#set(address, { status: "works", atMs: this.#clock.wallMs() }, isNews);
  }

  /** RFC 9539 §4.6.5 to §4.6.7: then it is left alone for the damping time. */
  noteFailure(address: string, where: ProbeFailure): void {
    if (this.#probing.delete(address)) this.counters.probes[where]++;
    this.#set(address, { status: "fails", atMs: this.#clock.wallMs() }, true);
  }

  /** A probe that says nothing about the server: we end, or have no room. */
  forgetProbe(address: string): void {
    this.#probing.delete(address);
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
