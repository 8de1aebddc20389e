/**
 * The addresses of an upstream that is configured by name only (RFC 8310 §7.2): looked up, renewed by TTL, and kept when they
 * cannot be renewed. They prove nothing: a forged address leads to a server without the right certificate.
 */
import type { Validator } from "@sotto/dns/dnssec";
import { DnsError, type Runtime, type StopSignal, stopWith, type Timer } from "@sotto/dns/runtime";
import type { Responder, UpstreamLookup } from "@sotto/dns/transport";
import { addressToText, type Name, parseName, RRType } from "@sotto/dns/wire";
import type { AddressMemory } from "./address-memory.ts";
import { answerOf } from "./answer-of.ts";
import { firstToSucceed } from "./attempts.ts";
import { bogusReason, lookUpMeta, type MetaAnswer } from "./meta-lookup.ts";
import { SingleFetch, type Waiting } from "./single-fetch.ts";

/** Somebody who can be asked. */
export interface AddressSource {
  /** For people. */
  readonly label: string;
  readonly responder: Responder;
}

export interface UpstreamAddressesOptions {
  /** Domain name. */
  readonly name: string;
  /** Asked one after the other, until one knows an address; at least one. */
  readonly sources: readonly AddressSource[];
  readonly memory: AddressMemory;
  /** The same policy as for other questions (RFC 8310 §7.2); undefined: nothing is validated. */
  validator(): Validator | undefined;
  /** Changes when the machine is on another network. */
  networkEpoch(): number;
}

interface Known {
  readonly addresses: readonly string[];
  readonly from: string;
  readonly atMs: number;
  readonly refreshAtMs: number;
  readonly networkEpoch: number;
}

interface Failed {
  readonly problem: DnsError;
  readonly atMs: number;
  readonly networkEpoch: number;
}

export class UpstreamAddresses {
  readonly owner: Name;
  readonly #options: UpstreamAddressesOptions;
  readonly #runtime: Runtime;
  readonly #fetching: SingleFetch<void>;
  #known: Known | undefined = undefined;
  /** Undefined after a lookup that was answered. */
  #failed: Failed | undefined = undefined;
  /** Somebody asked here for these addresses while they were looked up. */
  #wasAskedHere = false;

  constructor(options: UpstreamAddressesOptions, runtime: Runtime) {
    this.owner = parseName(options.name);
    this.#options = options;
    this.#runtime = runtime;
    const run = (signal: StopSignal, deadlineMs: number): Promise<void> => this.#find(signal, deadlineMs);
    const what = `the addresses of ${options.name}`;
    this.#fetching = new SingleFetch({ what, timeoutMs: FETCH_MS, run }, runtime.clock);
  }

  /** Those that were told last; those that were good before as long as none was. */
  get told(): readonly string[] {
    return this.#known?.addresses ?? this.#good;
  }

  /** With those that were good before besides, for whoever has to prove who it is there. */
  get current(): readonly string[] {
    const { told } = this;
    return [...told, ...this.#good.filter((address) => !told.includes(address))];
  }

  get #good(): readonly string[] {
    return this.#options.memory.lastGood(this.#options.name);
  }

  /** Who told the addresses. */
  get from(): string | undefined {
    return this.#known?.from ?? (this.current.length > 0 ? "last good" : undefined);
  }

  get lastFailure(): UpstreamLookup["lastFailure"] {
    if (this.#failed === undefined) return undefined;
    const { atMs, problem } = this.#failed;
    const agoMs = this.#runtime.clock.nowMs() - atMs;
    return { atMs, agoMs, code: problem.code, stage: problem.stage, problem: problem.message };
  }

  /** True while nothing is known and the last lookup failed just now. */
  get isBackedOff(): boolean {
    return this.current.length === 0 && this.#recentFailure() !== undefined;
  }

  /**
   * Settles when there is an address, at once when some are known; `fresh` does not mean those of old, as long as others may be told.
   * Rejects as the lookup does, or at the caller's end of time.
   */
  async find(waiting: Waiting, which: "any" | "fresh"): Promise<void> {
    if (this.#known !== undefined || (which === "any" && this.#good.length > 0)) {
      if (this.#isDue()) this.#fetching.start();
      return;
    }
    try {
      const failure = this.#recentFailure();
      if (failure !== undefined) throw failure.problem;
      await this.#fetching.wait(waiting);
    } catch (cause) {
      if (this.#good.length === 0 || !DnsError.is(cause)) throw cause;
    }
  }

  /** Nobody answered at these addresses: tells whether there are others now. */
  async renew(waiting: Waiting): Promise<boolean> {
    const before = this.current;
    const isFresh = this.#known !== undefined && this.#runtime.clock.nowMs() - this.#known.atMs < DOUBT_MS;
    if (isFresh || this.#recentFailure() !== undefined) return false;
    try {
      await this.#fetching.wait(waiting);
    } catch (cause) {
      if (!DnsError.is(cause)) throw cause;
      return false;
    }
    return this.current.some((address) => !before.includes(address));
  }

  /** A client asks for these addresses before they are known: who was asked for them may have passed the question on to us. */
  selfReference(): DnsError {
    this.#wasAskedHere = true;
    return new DnsError(
      "ERR_UNREACHABLE",
      `the address of ${this.#options.name} is not known yet, so that it cannot be asked for it`,
      { stage: "resolve" },
    );
  }

  #recentFailure(): Failed | undefined {
    const failed = this.#failed;
    if (failed === undefined || failed.networkEpoch !== this.#options.networkEpoch()) return undefined;
    const patienceMs = this.current.length === 0 ? FAILURE_MS : RENEWAL_FAILURE_MS;
    return this.#runtime.clock.nowMs() - failed.atMs < patienceMs ? failed : undefined;
  }

  #isDue(): boolean {
    if (this.#recentFailure() !== undefined) return false;
    if (this.#known === undefined || this.#known.networkEpoch !== this.#options.networkEpoch()) return true;
    return this.#runtime.clock.nowMs() >= this.#known.refreshAtMs;
  }

  async #find(signal: StopSignal, deadlineMs: number): Promise<void> {
    this.#wasAskedHere = false;
    const found = await this.#lookUp(signal, deadlineMs);
    if (DnsError.is(found)) throw this.#noteFailure(found);
    this.#noteFound(found);
  }

  #noteFound(found: Found): void {
    const { clock, events } = this.#runtime;
    const nowMs = clock.nowMs();
    const keepMs = 1000 * Math.min(Math.max(found.ttlSeconds, TTL_SECONDS_MIN), TTL_SECONDS_MAX);
    const before = this.#known?.addresses.join(" ");
    const { addresses, from } = found;
    const networkEpoch = this.#options.networkEpoch();
    this.#known = { addresses, from, atMs: nowMs, refreshAtMs: nowMs + keepMs * REFRESH_AT, networkEpoch };
    this.#failed = undefined;
    if (before !== addresses.join(" "))
      events.publish("stub.addresses", { name: this.#options.name, addresses, from });
  }

  #noteFailure(problem: DnsError): DnsError {
    const isFirst = this.#failed === undefined;
    const networkEpoch = this.#options.networkEpoch();
    this.#failed = { problem, atMs: this.#runtime.clock.nowMs(), networkEpoch };
    const { code, stage, message } = problem;
    const inUse = this.current;
    // That it goes on failing is no news.
    if (isFirst)
      this.#runtime.events.publish("stub.addresses-failed", { code, stage, problem: message, inUse });
    return problem;
  }

  /** The next source is asked, too, when one has not told for a while: upstreams may be what is broken. */
  async #lookUp(signal: StopSignal, deadlineMs: number): Promise<Found | DnsError> {
    const { sources, name } = this.#options;
    const problems: string[] = [];
    let cause: DnsError | undefined;
    const tries = sources.map((source) => async (own: StopSignal): Promise<Found> => {
      const found = await this.#lookUpAt(source, own, deadlineMs);
      if ("addresses" in found) return found;
      problems.push(`${source.label}: ${found.why}`);
      cause = found.cause ?? cause;
      throw NOTHING;
    });
    const mayGoOn = (problem: unknown): boolean => problem === NOTHING && !signal.aborted;
    try {
      return await firstToSucceed({ tries, patienceMs: SOURCE_MS, signal, mayGoOn }, this.#runtime.clock);
    } catch (problem) {
      if (problem !== NOTHING) throw problem;
    }
    const loop = this.#wasAskedHere ? LOOP : "";
    // Only the end of its time gives a fetch up.
    const code = cause?.code === "ERR_ABORTED" ? "ERR_TIMEOUT" : (cause?.code ?? "ERR_REPLY_UNUSABLE");
    const text = `no address of ${name} is to be had: ${problems.join("; ")}${loop}`;
    return new DnsError(code, text, { cause, stage: "resolve" });
  }

  async #lookUpAt(
    { label, responder }: AddressSource,
    signal: StopSignal,
    deadlineMs: number,
  ): Promise<Found | Nothing> {
    const validator = this.#options.validator();
    const enough = stopWith(signal);
    const asked = {
      owner: this.owner,
      validator,
      signal: enough,
      deadlineMs,
    };
    const answers = await this.#whenUseful(
      TYPES.map(async (type) => this.#judged(await lookUpMeta(responder, { ...asked, type }), type)),
    );
    enough.abort();
    const found = answers.filter((answer) => hasAddresses(answer));
    const addresses = inTurns(found.map((answer) => answer.addresses)).slice(0, ADDRESSES_MAX);
    if (addresses.length > 0)
      return { addresses, from: label, ttlSeconds: Math.min(...found.map(({ ttlSeconds }) => ttlSeconds)) };
    const nothing = answers.find((answer) => answer !== undefined && "why" in answer);
    return nothing ?? { why: `${this.#options.name} has no address`, cause: undefined };
  }

  /** All of them, or what has come a moment after the first that is of use (RFC 8305 §3). */
  #whenUseful(asked: readonly Promise<Found | Nothing>[]): Promise<readonly (Found | Nothing | undefined)[]> {
    const answers: (Found | Nothing | undefined)[] = asked.map(() => undefined);
    const { promise, resolve, reject } = Promise.withResolvers<typeof answers>();
    let timer: Timer | undefined;
    let waiting = asked.length;
    for (const [i, one] of asked.entries())
      one.then((answer) => {
        answers[i] = answer;
        waiting--;
        if (waiting === 0) {
          timer?.cancel();
          resolve(answers);
        } else if (hasAddresses(answer))
          timer = this.#runtime.clock.startTimer("other family", OTHER_FAMILY_MS, () => resolve(answers));
      }, reject);
    return promise;
  }

  #judged(answer: MetaAnswer, type: RRType): Found | Nothing {
    if (answer.kind === "failed") return answer;
    const { message, verdict } = answer;
    // RFC 4035 §5.5: what is bogus is not used, for this as for anything else.
    if (verdict.status === "bogus")
      return {
        why: `the addresses of ${this.#options.name} are bogus: ${bogusReason(verdict)}`,
        cause: undefined,
      };
    const { records, ttlSeconds } = answerOf(message, this.owner, type);
    const octets = type === RRType.A ? 4 : 16;
    const addresses = records.flatMap(({ rdata }) => (rdata.length === octets ? addressToText(rdata) : []));
    const keepSeconds =
      verdict.status === "secure" ? Math.min(ttlSeconds, verdict.ttlSecondsMax) : ttlSeconds;
    return { addresses, ttlSeconds: keepSeconds, from: "" };
  }
}

interface Found {
  readonly addresses: readonly string[];
  readonly from: string;
  readonly ttlSeconds: number;
}

interface Nothing {
  readonly why: string;
  readonly cause: DnsError | undefined;
}

function hasAddresses(answer: Found | Nothing | undefined): answer is Found {
  return answer !== undefined && "addresses" in answer && answer.addresses.length > 0;
}

/** One of each list, then the second of each (RFC 8305 §4). */
function inTurns(lists: readonly (readonly string[])[]): string[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  const inOrder = Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list[i] ?? []));
  return [...new Set(inOrder.flat())];
}

/** What a source that does not tell an address rejects with; why is told together. */
const NOTHING = new DnsError("ERR_REPLY_UNUSABLE", "no address", { stage: "resolve" });
const LOOP =
  "; meanwhile it was asked for here, so that a bootstrap server probably forwards to this resolver: give the upstream's address instead";
/** A second more for an upstream than its answer takes on a bad day; the rest of the time is for who comes next. */
const SOURCE_MS = 1000;
/** RFC 8305 §4: IPv6 first. */
const TYPES = [RRType.AAAA, RRType.A] as const;
/** A server that drops questions of one type must not hold up the other; more than a round trip, and hardly felt. */
const OTHER_FAMILY_MS = 250;
/** As long as a query of the stub by default. */
const FETCH_MS = 5000;
/** As often as a server that nobody can stand in for is tried. */
const FAILURE_MS = 2000;
/** With addresses in hand there is no haste. */
const RENEWAL_FAILURE_MS = 30_000;
/** A TTL of 0 would mean a lookup for each query; an address that moves is noticed when nobody answers there. */
const TTL_SECONDS_MIN = 60;
const TTL_SECONDS_MAX = 86_400;
/** In the last tenth of their time, like other answers that are asked for often. */
const REFRESH_AT = 0.9;
/** Addresses that are younger are not looked up anew because nobody answers there. */
const DOUBT_MS = 10_000;
/** Nobody has more sites than that; each costs an attempt when all are dead. */
const ADDRESSES_MAX = 8;
