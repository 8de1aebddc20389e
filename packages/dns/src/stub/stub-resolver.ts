/** Asks recursive resolvers by a usage profile, for programs: the library's front door. */
import { rootAnchors, type TrustAnchor, TrustAnchors, Validator } from "@sotto/dns/dnssec";
import { DnsError, type Runtime, type StopSignal } from "@sotto/dns/runtime";
import { nodeRuntime, systemResolvConf } from "@sotto/dns/runtime/node";
import {
  Exchanger,
  type ExchangerOptions,
  type UpstreamChoice,
  UpstreamPool,
  type UpstreamStanding,
} from "@sotto/dns/transport";
import {
  decodeRdataOf,
  type Message,
  Name,
  Rcode,
  type RdataMnemonic,
  type RRType,
  rrTypeFromText,
  tryParseName,
} from "@sotto/dns/wire";
import type { AddressStore } from "./address-memory.ts";
import { AnswerCache } from "./answer-cache.ts";
import { answerOf, withoutStrangers } from "./answer-of.ts";
import { judgeReply } from "./answer-validation.ts";
import { type Answerers, Asking, toAnswer, whatOf } from "./asking.ts";
import { checkOptions, checkQuery } from "./check-options.ts";
import { Flights } from "./flights.ts";
import { type Hosts, NO_HOSTS } from "./hosts-file.ts";
import { hostsReader } from "./hosts-reader.ts";
import { queryOf } from "./internal-query.ts";
import { localAnswer } from "./local-answers.ts";
import { profiledUpstreams } from "./profiled-upstreams.ts";
import { type QuestionKey, QuestionKeys } from "./question-key.ts";
import { parseResolvConf } from "./resolv-conf.ts";
import { type SearchOptions, searchCandidates } from "./search-list.ts";
import type { Asker, QueryOptions, StubAnswer, TypedAnswer } from "./stub-answer.ts";
import { lintUpstream } from "./upstream-lint.ts";
import { readUpstream, type UpstreamSpec } from "./upstream-spec.ts";
import { type Discovery, hasCredentials, type UpstreamManners, type UsageProfile } from "./usage-profile.ts";

/** All fields are optional: without any, the system's servers are asked, encrypted where they can. */
export interface StubResolverOptions extends UpstreamManners {
  /** Default: the name servers of resolv.conf. */
  readonly upstreams?: readonly (string | UpstreamSpec)[] | undefined;
  /** Default `strict` when every upstream has a name or a pin, else `opportunistic` (RFC 8310 §5). */
  readonly profile?: UsageProfile | undefined;
  /**
   * Who is asked for the addresses of upstreams without one, as `tls://dns.example`, and for nothing else (RFC 8310 §7.2), when no other
   * upstream can be: upstreams with addresses, asked as they are written, or `system` for those of resolv.conf. Default: `system`
   * with the opportunistic profile when no upstream has an address, else none, so that nothing leaves in clear unasked.
   */
  readonly bootstrap?: "system" | readonly (string | UpstreamSpec)[] | undefined;
  /** Keeps addresses that were good for the next start. Default: they are kept in memory. */
  readonly addressStore?: AddressStore | undefined;
  /**
   * `verified`: upstreams of which only the address is given are asked for their designated resolvers (RFC 9462), which are used before
   * themselves when their certificate is for that address. Default: `verified` with the opportunistic profile. The strict profile cannot
   * rest on it: what such an upstream says of itself comes in clear.
   */
  readonly discovery?: Discovery | undefined;
  /** Default `ordered`. */
  readonly choice?: UpstreamChoice | undefined;
  /** Milliseconds for a question with everything that it takes. Default {@link TIMEOUT_MS_DEFAULT}. */
  readonly timeoutMs?: number | undefined;
  /** Memory for answers, bytes; 0: none are kept. Default {@link CACHE_BYTES_DEFAULT}. */
  readonly cacheBytesMax?: number | undefined;
  /** Validates locally, from the root's built-in anchors or the given ones. Default false. */
  readonly validate?: boolean | readonly TrustAnchor[] | undefined;
  /** Domains for names that are not fully qualified, `system` for those of resolv.conf. Default: none. */
  readonly search?: "system" | readonly string[] | undefined;
  readonly ndots?: number | undefined;
  /** The hosts file: the system's, read again when it was changed, the text of one, or none. Default `system`. */
  readonly hosts?: "system" | "none" | { readonly text: string } | undefined;
  readonly connection?: ExchangerOptions | undefined;
}

export class StubResolver implements Asker, AsyncDisposable {
  /** The profile in force. */
  readonly profile: UsageProfile;
  readonly #runtime: Runtime;
  readonly #exchanger: Exchanger;
  readonly #answerers: Answerers;
  readonly #flights: Flights<QuestionKey, StubAnswer>;
  readonly #keys: QuestionKeys;
  readonly #validator: Validator | undefined;
  readonly #hosts: () => Hosts;
  readonly #search: SearchOptions;
  readonly #searchesByDefault: boolean;
  readonly #timeoutMs: number;
  #isClosed = false;

  /** Throws ERR_CONFIG that tells what is wrong; sends nothing yet. */
  constructor(options: StubResolverOptions = {}, runtime: Runtime = nodeRuntime()) {
    checkOptions(options);
    this.#runtime = runtime;
    const given = options.upstreams?.map(readUpstream);
    const needsSystem = given === undefined || options.search === "system" || options.bootstrap === "system";
    const hasNamesOnly = given?.every(({ address }) => address === undefined) === true;
    const system = parseResolvConf(needsSystem || hasNamesOnly ? systemResolvConf() : "");
    const plans = given ?? system.servers.map(readUpstream);
    for (const plan of plans)
      for (const problem of lintUpstream(plan))
        runtime.events.publish("stub.upstream-lint", { upstream: plan.label, problem });
    this.profile = options.profile ?? (plans.every(hasCredentials) ? "strict" : "opportunistic");
    const bootstrap = options.bootstrap ?? (this.profile === "opportunistic" && hasNamesOnly ? "system" : []);
    this.#exchanger = new Exchanger({ sharesUdpSockets: true, ...options.connection }, runtime);
    const trustAnchors = options.trustAnchors ?? anchorsOf(options.validate);
    const manners = { ...options, trustAnchors };
    const upstreams = profiledUpstreams(
      {
        plans,
        profile: this.profile,
        manners,
        bootstrap: (bootstrap === "system" ? system.servers : bootstrap).map(readUpstream),
        discovery: options.discovery ?? (this.profile === "opportunistic" ? "verified" : "off"),
        addressStore: options.addressStore,
        validates: options.validate !== undefined && options.validate !== false,
      },
      this.#exchanger,
      runtime,
    );
    const patienceMs = options.outagePatienceMs ?? Number.POSITIVE_INFINITY;
    const cacheBytesMax = options.cacheBytesMax ?? CACHE_BYTES_DEFAULT;
    this.#answerers = {
      pool: new UpstreamPool({ upstreams, choice: options.choice, patienceMs }, runtime),
      cache:
        cacheBytesMax > 0
          ? new AnswerCache(cacheBytesMax, () => this.#exchanger.networkEpoch, runtime.clock)
          : undefined,
    };
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS_DEFAULT;
    this.#flights = new Flights(runtime.clock);
    this.#keys = new QuestionKeys(runtime.random);
    this.#validator = makeValidator(options.validate, runtime);
    this.#hosts = hostsReader(options.hosts);
    this.#searchesByDefault = options.search !== undefined;
    this.#search = {
      domains: options.search === "system" ? system.search : (options.search ?? []).map(domainOf),
      ndots: options.ndots ?? (options.search === "system" ? system.ndots : 1),
    };
  }

  /** What is known of each upstream and of each way to it, in the configured order. */
  get upstreams(): UpstreamStanding[] {
    return this.#answerers.pool.standings();
  }

  query(name: string | Name, type: RRType | string, options: QueryOptions = {}): Promise<StubAnswer> {
    try {
      if (this.#isClosed) throw new DnsError("ERR_CLOSED", "the resolver is closed");
      const qtype = typeof type === "string" ? rrTypeFromText(type) : type;
      if (qtype === undefined)
        throw new DnsError("ERR_CONFIG", `${JSON.stringify(type)} is not a record type`);
      checkQuery(name, qtype, options);
      const deadlineMs = this.#runtime.clock.nowMs() + (options.timeoutMs ?? this.#timeoutMs);
      const candidates = this.#candidates(name, qtype, options);
      const [only] = candidates;
      return only !== undefined && candidates.length === 1
        ? this.#told(only, qtype, this.#answer(only, qtype, options, deadlineMs))
        : this.#best(candidates, name, qtype, options, deadlineMs);
    } catch (problem) {
      return Promise.reject(problem);
    }
  }

  /** The first candidate with records; else what tells most. */
  async #best(
    candidates: readonly Name[],
    name: string | Name,
    type: RRType,
    options: QueryOptions,
    deadlineMs: number,
  ): Promise<StubAnswer> {
    let first: StubAnswer | undefined;
    for (const candidate of candidates) {
      const answer = await this.#told(candidate, type, this.#answer(candidate, type, options, deadlineMs));
      // What somebody has broken must not send us on to a name that is theirs.
      if (answer.records.length > 0 || answer.security === "bogus") return answer;
      const isThere = answer.message.rcode !== Rcode.NXDomain;
      // A name that exists without the type is still a better answer than that another one does not exist.
      if (first === undefined || (isThere && first.message.rcode === Rcode.NXDomain)) first = answer;
    }
    if (first === undefined)
      throw new DnsError("ERR_NAME_MALFORMED", `${JSON.stringify(String(name))} is not a domain name`);
    return first;
  }

  /**
   * As {@link query}, with the records as typed fields: `(await stub.resolve("example.com", "MX")).values[0].exchange`. Rejects with
   * ERR_REPLY_UNUSABLE when a record is malformed.
   */
  async resolve<M extends RdataMnemonic>(
    name: string | Name,
    mnemonic: M,
    options?: QueryOptions,
  ): Promise<TypedAnswer<M>> {
    const answer = await this.query(name, mnemonic, options);
    const values = answer.records.map(({ owner, rdata }) => {
      const fields = decodeRdataOf(mnemonic, rdata);
      if (!fields.ok)
        throw new DnsError("ERR_REPLY_UNUSABLE", `${mnemonic} of ${owner}: ${fields.problem}`, {
          stage: "query",
        });
      return fields.value;
    });
    return { ...answer, values };
  }

  /**
   * The machine is on another network: connections are opened anew, and what was learnt of servers is forgotten, as are answers that
   * neither came from an upstream that proved who it is nor were validated.
   */
  networkChanged(): void {
    this.#exchanger.networkChanged();
  }

  /** Forgets answers: of one name and everything below it, or all. */
  flush(name?: string): void {
    const below = name === undefined ? undefined : tryParseName(name);
    if (below?.ok !== false) this.#answerers.cache?.flush(below?.value);
  }

  /** Gives up what is under way and closes all connections. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#flights.close();
    await this.#exchanger.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Publishes `stub.answered` and `stub.failed`, when somebody listens. */
  #told(name: Name, type: RRType, answering: Promise<StubAnswer>): Promise<StubAnswer> {
    const { events } = this.#runtime;
    return events.wants("stub.answered") || events.wants("stub.failed")
      ? this.#telling(name, type, answering)
      : answering;
  }

  async #telling(name: Name, type: RRType, answering: Promise<StubAnswer>): Promise<StubAnswer> {
    const { events, clock } = this.#runtime;
    const startMs = clock.nowMs();
    try {
      const answer = await answering;
      const tookMs = clock.nowMs() - startMs;
      events.publish("stub.answered", { name: name.toString(), type, tookMs, answer });
      return answer;
    } catch (error) {
      events.publish("stub.failed", { name: name.toString(), type, tookMs: clock.nowMs() - startMs, error });
      throw error;
    }
  }

  #candidates(name: string | Name, type: RRType, options: QueryOptions): readonly Name[] {
    if (name instanceof Name) return [name];
    const domains = (options.search ?? this.#searchesByDefault) ? this.#search.domains : [];
    const candidates = searchCandidates(name, { ...this.#search, domains });
    if (candidates.length < 2) return candidates;
    // What is answered here is not looked for in a domain, where others would learn of it and could answer (RFC 7686 §2).
    const bare = tryParseName(name);
    const isOurs = bare.ok && localAnswer(bare.value, type, this.#hostsFor(options)) !== undefined;
    return isOurs ? [bare.value] : candidates;
  }

  #hostsFor({ hosts }: QueryOptions): Hosts {
    return hosts === false ? NO_HOSTS : this.#hosts();
  }

  #answer(name: Name, type: RRType, options: QueryOptions, deadlineMs: number): Promise<StubAnswer> {
    const local = localAnswer(name, type, this.#hostsFor(options));
    if (local !== undefined) return Promise.resolve(fromHere(local, name, type));
    const { dnssecOk = this.#validator !== undefined, checkingDisabled = false, signal } = options;
    const key = this.#keys.of(name, type, { dnssecOk, checkingDisabled });
    const validator = checkingDisabled ? undefined : this.#validator;
    return validator === undefined
      ? this.#unjudged(key, deadlineMs, signal)
      : this.#judged(key, validator, deadlineMs, signal);
  }

  #unjudged(key: QuestionKey, deadlineMs: number, signal: StopSignal | undefined): Promise<StubAnswer> {
    const cached = this.#answerers.cache?.find(key.text);
    return cached === undefined
      ? this.#flights.join(key, new Asking(key, this.#answerers, deadlineMs, signal))
      : Promise.resolve(cached);
  }

  #judged(
    key: QuestionKey,
    validator: Validator,
    deadlineMs: number,
    signal: StopSignal | undefined,
  ): Promise<StubAnswer> {
    const cached = this.#answerers.cache?.find(key.text);
    if (cached !== undefined) return Promise.resolve(cached);
    const answerers = this.#answerers;
    return this.#flights.join(key, {
      deadlineMs,
      signal,
      get what() {
        return whatOf(key, answerers);
      },
      run: (own, untilMs) => this.#judgedOf(key, validator, own, untilMs),
      finish: (answer: StubAnswer) => {
        answerers.cache?.store(key.text, key.name, answer);
        return answer;
      },
    });
  }

  async #judgedOf(
    asked: QuestionKey,
    validator: Validator,
    signal: StopSignal,
    deadlineMs: number,
  ): Promise<StubAnswer> {
    const query = queryOf(asked.name, asked.type, asked.dnssecOk, true);
    const reply = await this.#answerers.pool.respond(query, { signal, deadlineMs });
    const ask = async (name: Name, type: RRType): Promise<Message | undefined> => {
      try {
        // Keys and digests, which many answers share.
        return (await this.#unjudged(this.#keys.of(name, type, SIGNED), deadlineMs, signal)).message;
      } catch (cause) {
        if (!DnsError.is(cause)) throw cause;
        return undefined;
      }
    };
    const verdict = await judgeReply(reply.message, asked.name, asked.type, validator, ask);
    const { status } = verdict;
    if (status === "bogus") {
      // RFC 4035 §5.5: what is bogus is not given, and why it is not is told (RFC 8914).
      const message = {
        ...reply.message,
        authenticData: false,
        rcode: Rcode.ServFail,
        answers: [],
        authorities: [],
        additionals: [],
      };
      return { ...toAnswer(reply, asked, message, status), extendedErrors: verdict.errors, ttlSeconds: 0 };
    }
    // AD speaks of the whole section (RFC 4035 §3.2.3): what was not judged has no place in it.
    const judged = withoutStrangers(reply.message, answerOf(reply.message, asked.name, asked.type));
    const answer = toAnswer(
      reply,
      asked,
      { ...judged, rcode: verdict.rcode, authenticData: status === "secure" },
      status,
    );
    return status === "secure"
      ? { ...answer, ttlSeconds: Math.min(answer.ttlSeconds, verdict.ttlSecondsMax) }
      : answer;
  }
}

function fromHere(message: Message, name: Name, type: RRType): StubAnswer {
  const reply = { message, security: "insecure", protection: "local", extendedErrors: [] } as const;
  return toAnswer(reply, { name, type }, message, "insecure");
}

function makeValidator(validate: StubResolverOptions["validate"], { clock }: Runtime): Validator | undefined {
  if (validate === undefined || validate === false) return undefined;
  return new Validator({
    anchors: new TrustAnchors(anchorsOf(validate), []),
    nowSeconds: () => Math.floor(clock.wallMs() / 1000),
    uptimeSeconds: () => clock.nowMs() / 1000,
  });
}

function anchorsOf(validate: StubResolverOptions["validate"]): readonly TrustAnchor[] {
  return validate === undefined || typeof validate === "boolean" ? rootAnchors() : validate;
}

function domainOf(text: string): Name {
  const name = tryParseName(text);
  if (!name.ok) throw new DnsError("ERR_CONFIG", `search domain ${JSON.stringify(text)}: ${name.problem}`);
  return name.value;
}

/** Keys and digests, as they are wanted for validation. */
const SIGNED = { dnssecOk: true, checkingDisabled: true } as const;
/** What resolv.conf(5) waits for one server. */
const TIMEOUT_MS_DEFAULT = 5000;
const CACHE_BYTES_DEFAULT = 4 * 1024 * 1024;
