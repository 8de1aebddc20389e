/**
 * The designated resolvers of one resolver that is known by address only (RFC 9462): asked for before anything else, renewed by
 * TTL and on another network. What comes back is worth nothing before a certificate for that address was seen.
 */
import { DnsError, type Runtime, type StopSignal } from "@sotto/dns/runtime";
import type { Responder, UpstreamLookup } from "@sotto/dns/transport";
import { RRType } from "@sotto/dns/wire";
import { AddressMemory } from "./address-memory.ts";
import { answerOf } from "./answer-of.ts";
import { firstToSucceed } from "./attempts.ts";
import { DESIGNATION_OWNER, type Designation, designationsIn } from "./designation.ts";
import { lookUpMeta } from "./meta-lookup.ts";
import { SingleFetch, type Waiting } from "./single-fetch.ts";
import { UpstreamAddresses } from "./upstream-addresses.ts";

export interface DesignationsOptions {
  /** The resolver that designates. */
  readonly address: string;
  /** Ways to it, best protected first. */
  readonly sources: readonly Responder[];
  /** Changes when the machine is on another network. */
  networkEpoch(): number;
}

/** Where a designated resolver may be. */
export interface DesignatedEndpoint {
  readonly address: string;
  readonly port: number;
}

interface Known {
  /** Empty: nobody is designated, or that is not known. */
  readonly endpoints: readonly DesignatedEndpoint[];
  /** Why there are none. */
  readonly problem: DnsError | undefined;
  readonly atMs: number;
  readonly refreshAtMs: number;
  readonly networkEpoch: number;
}

export class Designations {
  readonly #options: DesignationsOptions;
  readonly #runtime: Runtime;
  readonly #fetching: SingleFetch<void>;
  #known: Known | undefined = undefined;
  /** The certificate was not for this resolver. */
  #rejection: { readonly problem: DnsError; readonly atMs: number; readonly known: Known } | undefined =
    undefined;

  constructor(options: DesignationsOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    const run = async (signal: StopSignal, deadlineMs: number): Promise<void> =>
      this.#note(await this.#discover(signal, deadlineMs));
    const what = `the designated resolvers of ${options.address}`;
    this.#fetching = new SingleFetch({ what, timeoutMs: DISCOVERY_MS, run }, runtime.clock);
  }

  /** Those that are known now; empty: none. */
  get endpoints(): readonly DesignatedEndpoint[] {
    return this.#known?.endpoints ?? [];
  }

  /** True while it is known that there is none. */
  get isNone(): boolean {
    const known = this.#known;
    if (known === undefined || known.endpoints.length > 0 || this.#isOfOtherNetwork(known)) return false;
    return this.#fetching.isUnderWay || this.#runtime.clock.nowMs() < known.refreshAtMs;
  }

  /** Why those that are known must not be used: RFC 9462 §4.2, until the resolver is asked anew. */
  get rejection(): DnsError | undefined {
    const known = this.#known;
    if (known === undefined || this.#rejection?.known !== known || this.#isOfOtherNetwork(known))
      return undefined;
    return this.#runtime.clock.nowMs() < known.refreshAtMs ? this.#rejection.problem : undefined;
  }

  get lookup(): UpstreamLookup {
    const { endpoints } = this;
    const name = `${DESIGNATION_OWNER} at ${this.#options.address}`;
    const { atMs, problem } = this.#known ?? { atMs: 0, problem: undefined };
    const agoMs = this.#runtime.clock.nowMs() - atMs;
    return {
      name,
      port: endpoints[0]?.port ?? TLS_PORT,
      addresses: endpoints.map(({ address }) => address),
      from: endpoints.length === 0 ? undefined : this.#options.address,
      lastFailure: problem && {
        atMs,
        agoMs,
        code: problem.code,
        stage: problem.stage,
        problem: problem.message,
      },
    };
  }

  /** Rejects when there is nobody. Who was rejected comes only after the resolver was asked anew. */
  async find(waiting: Waiting): Promise<readonly DesignatedEndpoint[]> {
    const known = this.#known;
    if (known === undefined || this.#isOfOtherNetwork(known)) await this.#fetching.wait(waiting);
    else if (this.#runtime.clock.nowMs() >= known.refreshAtMs) {
      if (this.#rejection?.known === known) await this.#fetching.wait(waiting);
      else this.#fetching.start();
    }
    const { endpoints } = this;
    if (endpoints.length > 0) return endpoints;
    throw this.#known?.problem ?? this.#nobody("nothing is known yet");
  }

  /**
   * Nobody there had a certificate for the resolver's address: they are not used, and the resolver is not asked again before the TTL
   * of its records ends, or an hour, which is as long as RFC 9462 §4.2 lets an attacker who is gone matter.
   */
  reject(problem: DnsError): void {
    const known = this.#known;
    if (known === undefined || this.#rejection?.known === known) return;
    const nowMs = this.#runtime.clock.nowMs();
    this.#known = { ...known, refreshAtMs: Math.min(known.refreshAtMs, nowMs + REJECTED_MS_MAX) };
    this.#rejection = { problem, atMs: nowMs, known: this.#known };
  }

  #isOfOtherNetwork({ networkEpoch }: Known): boolean {
    return networkEpoch !== this.#options.networkEpoch();
  }

  /** What is known stays when the resolver does not answer, but not on another network. */
  #note(found: Found): void {
    const nowMs = this.#runtime.clock.nowMs();
    const before = this.#known;
    const { endpoints, problem, ttlSeconds } = found;
    const networkEpoch = this.#options.networkEpoch();
    const keeps = ttlSeconds === undefined && before !== undefined && !this.#isOfOtherNetwork(before);
    const ofRejected = keeps && this.#rejection?.known === before;
    const [least, most] = endpoints.length > 0 ? FOUND_SECONDS : NONE_SECONDS;
    const keepMs = ttlSeconds === undefined ? FAILURE_MS : 1000 * Math.min(Math.max(ttlSeconds, least), most);
    const refreshAtMs = nowMs + keepMs;
    this.#known = keeps
      ? { ...before, problem, refreshAtMs }
      : { endpoints, problem, atMs: nowMs, refreshAtMs, networkEpoch };
    if (ofRejected && this.#rejection !== undefined)
      this.#rejection = { ...this.#rejection, known: this.#known };
    const { address } = this.#options;
    if (JSON.stringify(before?.endpoints ?? []) !== JSON.stringify(this.#known.endpoints))
      this.#runtime.events.publish("stub.designation", { address, endpoints: this.#known.endpoints });
  }

  async #discover(signal: StopSignal, deadlineMs: number): Promise<Found> {
    const { sources, address } = this.#options;
    let failure: DnsError | undefined;
    // Who speaks TLS is asked over it, and in clear when that takes long.
    const tries = sources.map((source) => async (own: StopSignal) => {
      const question = { owner: DESIGNATION_OWNER, type: RRType.SVCB, validator: undefined };
      const answer = await lookUpMeta(source, { ...question, signal: own, deadlineMs });
      if (answer.kind === "answer") return answer.message;
      throw answer.cause ?? this.#nobody(answer.why);
    });
    const mayGoOn = (cause: unknown): boolean => {
      if (DnsError.is(cause)) failure = cause;
      return DnsError.is(cause) && !signal.aborted;
    };
    try {
      const message = await firstToSucceed(
        { tries, patienceMs: SOURCE_MS, signal, mayGoOn },
        this.#runtime.clock,
      );
      const { ttlSeconds } = answerOf(message, DESIGNATION_OWNER, RRType.SVCB);
      const endpoints = await this.#endpointsOf(designationsIn(message), { signal, deadlineMs });
      const problem = endpoints.length > 0 ? undefined : this.#nobody(`${address} names none`);
      return { endpoints, problem, ttlSeconds };
    } catch (cause) {
      if (!DnsError.is(cause)) throw cause;
      const problem = this.#nobody((failure ?? cause).message, failure ?? cause);
      return { endpoints: [], problem, ttlSeconds: undefined };
    }
  }

  /** Addresses that came along, else those that the resolver tells of the name. */
  async #endpointsOf(designations: readonly Designation[], waiting: Waiting): Promise<DesignatedEndpoint[]> {
    const endpoints: DesignatedEndpoint[] = [];
    for (const { target, port, addresses } of designations) {
      const found = addresses.length > 0 ? addresses : await this.#addressesOf(target.toString(), waiting);
      endpoints.push(...found.map((address) => ({ address, port })));
    }
    return endpoints.slice(0, ENDPOINTS_MAX);
  }

  async #addressesOf(name: string, waiting: Waiting): Promise<readonly string[]> {
    const { sources, address, networkEpoch } = this.#options;
    const lookup = new UpstreamAddresses(
      {
        name,
        sources: sources.map((responder) => ({ label: address, responder })),
        memory: new AddressMemory(undefined, [], this.#runtime),
        validator: () => undefined,
        networkEpoch,
      },
      this.#runtime,
    );
    try {
      await lookup.find(waiting, "any");
      return lookup.told;
    } catch (cause) {
      // Another designated resolver may be found.
      if (!DnsError.is(cause)) throw cause;
      return [];
    }
  }

  #nobody(why: string, cause?: DnsError): DnsError {
    const text = `no designated resolver of ${this.#options.address} is known: ${why}`;
    return new DnsError(cause?.code ?? "ERR_REPLY_UNUSABLE", text, { cause, stage: "resolve" });
  }
}

interface Found {
  readonly endpoints: readonly DesignatedEndpoint[];
  readonly problem: DnsError | undefined;
  /** Undefined: the resolver did not tell. */
  readonly ttlSeconds: number | undefined;
}

/** RFC 7858 §3.1, for people. */
const TLS_PORT = 853;
/** The first query waits for it: less than half of its time. */
const DISCOVERY_MS = 2000;
/** More than connecting and a handshake take nearly everywhere. */
const SOURCE_MS = 500;
/** A TTL of 0 would mean a question for each query. */
const FOUND_SECONDS = [60, 86_400] as const;
/** Resolvers without any are the rule; RFC 9462 §8 lets clients ask again now and then. */
const NONE_SECONDS = [300, 3600] as const;
const FAILURE_MS = 30_000;
const REJECTED_MS_MAX = 3_600_000;
const ENDPOINTS_MAX = 8;
