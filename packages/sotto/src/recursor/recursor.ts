/**
 * The iterative resolver: answers any question of class IN by walking from the root. Does not validate and does not
 * minimise names; README says where both go. Does no access control: that is the server's.
 */
import { InfraCache, type RRset, RRsetCache } from "@sotto/dns/cache";
import {
  failsSentinel,
  keyTagsOf,
  NSEC3_ITERATIONS_MAX_DEFAULT,
  type SignedRRset,
  type SkewPolicy,
  type TrustAnchor,
  TrustAnchors,
  Validator,
} from "@sotto/dns/dnssec";
import { type Runtime, SharedWaits, type StopSignal, type Wait } from "@sotto/dns/runtime";
import type { Query, QueryContext, Reply, Responder } from "@sotto/dns/transport";
import {
  EdeCode,
  isMetaType,
  type MessageView,
  makeEdns,
  type Name,
  Name as NameClass,
  type Parsed,
  type Question,
  Rcode,
  RRClass,
  RRType,
  UDP_PAYLOAD_OCTETS_DEFAULT,
} from "@sotto/dns/wire";
import { dumpCache, linesOf, loadCache } from "./cache-text.ts";
import { ConfiguredZones, type ForwardedZone, type StubZone } from "./configured-zones.ts";
import { DelegationCache, zoneSideName } from "./delegation.ts";
import { DenialCache } from "./denial-cache.ts";
import { ErrorReports, reportsOverTcp } from "./error-reports.ts";
import type { Exchange } from "./inquiry.ts";
import { Iteration } from "./iteration.ts";
import type { Shared } from "./iteration-state.ts";
import { Mesh, type Work } from "./mesh.ts";
import type { Outcome, Sought } from "./outcome.ts";
import { RootServers } from "./priming.ts";
import type { MinimisationMode } from "./qname-minimisation.ts";
import { withRemainingTtls } from "./remaining-ttls.ts";
import { emptyReply, replyOf } from "./reply.ts";
import { ROOT_HINTS, type RootHint } from "./root-hints.ts";
import { aliasTarget } from "./scrubber.ts";
import type { AddressFamily } from "./server-selection.ts";
import { StaleAnswers, type StaleOptions } from "./stale-answers.ts";
import { soughtText } from "./trace.ts";
import { type IsUnwanted, wantedAddresses, withoutUnwanted } from "./unwanted-records.ts";
import { type JudgedOutcome, ValidatedAnswers } from "./validated-answers.ts";

export interface RecursorOptions {
  /** Where to start; at least one. Default: the servers of the public root. */
  readonly rootHints?: readonly RootHint[];
  /** Port of authoritative servers. Default 53. */
  readonly port?: number;
  /** Sends DNS cookies (RFC 7873). Default true. */
  readonly cookies?: boolean;
  /** Spells names in queries over UDP in random case. Default false. */
  readonly caseRandomisation?: boolean;
  /** Largest UDP reply asked for, octets. Default 1232. */
  readonly ednsPayloadOctets?: number;
  /** Address families for queries to authoritative servers. Default: both. */
  readonly families?: readonly AddressFamily[];
  /** Longest time for one resolution, milliseconds. Default {@link DEADLINE_MS_DEFAULT}. */
  readonly deadlineMs?: number;
  /** Memory for record sets and delegations together, bytes. Default {@link CACHE_BYTES_DEFAULT}. */
  readonly cacheBytesMax?: number;
  /** Bounds on what is kept, seconds; see `RRsetCacheOptions` for the defaults. */
  readonly ttlSecondsMin?: number;
  readonly ttlSecondsMax?: number;
  readonly negativeTtlSecondsMin?: number | undefined;
  readonly negativeTtlSecondsMax?: number;
  /** How much of names servers are told (RFC 9156). Default `relaxed`. */
  readonly qnameMinimisation?: MinimisationMode;
  /** Takes glue from outside of a server's zone (RFC 5452 §6 warns of it). Default false. */
  readonly trustsAllGlue?: boolean;
  /** Zones whose servers are given. Default: none. */
  readonly stubZones?: readonly StubZone[];
  /** Names that are asked of other resolvers. Default: none. */
  readonly forwardZones?: readonly ForwardedZone[];
  /** A validated NXDOMAIN answers for names below it (RFC 8020). Default true. */
  readonly nxdomainCut?: boolean;
  /** Validated denial records answer for other names (RFC 8198). Default true. */
  readonly aggressiveDenial?: boolean;
  /** Absent: nothing stale is given. */
  readonly stale?: StaleOptions | undefined;
  /** Records that must not come from outside. Absent: all may. */
  readonly isUnwanted?: IsUnwanted | undefined;
  /** Tells agents of zones what fails there (RFC 9567). Default false. */
  readonly errorReporting?: boolean;
  /** Absent: nothing is validated. */
  readonly validation?: ValidationOptions | undefined;
}

/** What answers are validated with. */
export interface ValidationOptions {
  readonly anchors: readonly TrustAnchor[];
  /** Names at and below which nothing is validated (RFC 7646). */
  readonly negativeAnchors?: readonly Name[];
  /** Seconds since 1970 that stand still, for replays; absent: the clock's. */
  readonly fixedNowSeconds?: number | undefined;
  /** Take signatures over SHA-1. Default true. */
  readonly sha1?: boolean;
  /** See `AlgorithmPolicy`. */
  readonly dsa?: boolean;
  /** See `ValidatorOptions`. */
  readonly skew?: SkewPolicy;
  readonly nsec3IterationsMax?: number;
  readonly wantsEveryAlgorithm?: boolean;
  readonly takesStripped?: boolean;
}

/** Numbers for metrics and for people. */
export interface RecursorUse {
  /** Resolutions under way. */
  readonly runs: number;
  readonly rrsets: RRsetCache["use"];
  readonly delegations: DelegationCache["use"];
  readonly servers: number;
}

/** What is known about a name. */
export interface NameKnowledge {
  /** The closest zone whose servers are known. */
  readonly zone: string;
  readonly servers: readonly { readonly name: string; readonly addresses: readonly string[] }[];
  /** As lines of a master file. */
  readonly records: readonly string[];
  /** Of all names: questions that failed lately, zones whose keys are known. */
  readonly failures: number;
  readonly zonesValidated: number;
}

export class Recursor implements Responder {
  readonly #shared: Shared;
  readonly #answers: ValidatedAnswers;
  readonly #validator: Validator | undefined;
  readonly #deadlineMs: number;
  readonly #forwardPatienceMs: number;
  readonly #reports: ErrorReports | undefined;
  readonly #iterations = new Set<Iteration>();
  /** Until their time is up. */
  readonly #clients: SharedWaits;
  #isClosed = false;

  constructor(options: RecursorOptions, exchange: Exchange, runtime: Runtime) {
    const { clock } = runtime;
    this.#clients = new SharedWaits({ name: "recursor client deadline" }, clock);
    const isUnwanted = options.isUnwanted ?? (() => false);
    const cacheBytesMax = options.cacheBytesMax ?? CACHE_BYTES_DEFAULT;
    const delegationBytes = Math.floor(cacheBytesMax / DELEGATION_SHARE);
    const staleBytes = options.stale === undefined ? 0 : Math.floor(cacheBytesMax / STALE_SHARE);
    const bytesMax = cacheBytesMax - delegationBytes - staleBytes;
    const rrsets = new RRsetCache({ ...options, bytesMax }, clock);
    const iterationsMax = options.validation?.nsec3IterationsMax ?? NSEC3_ITERATIONS_MAX_DEFAULT;
    this.#validator = options.validation && makeValidator(options.validation, runtime);
    const isValidated = (name: Name): boolean => this.#validator?.anchors.closest(name) !== undefined;
    const isAggressive = options.validation !== undefined && options.aggressiveDenial !== false;
    const denials = isAggressive ? new DenialCache(rrsets, iterationsMax, isValidated, clock) : undefined;
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS_DEFAULT;
    this.#forwardPatienceMs = Math.max(
      0,
      ...(options.forwardZones ?? []).map(({ patienceMs = 0 }) => patienceMs),
    );
    this.#shared = {
      exchange: options.cookies === false ? reportsOverTcp(exchange) : exchange,
      runtime,
      rrsets,
      denials,
      trustsAllGlue: options.trustsAllGlue ?? false,
      trustsForwarders: options.validation === undefined,
      isSigned: (delegation) => this.#validator?.expectsSignatures(delegation.zone, delegation.ds) === true,
      admit: (message, delegation) => {
        this.#reports?.noteReply(delegation.zone, message);
        if (options.isUnwanted === undefined) return message;
        return withoutUnwanted(message, isUnwanted, this.#shared.isSigned(delegation));
      },
      admitForwarded: (message, name) => withoutUnwanted(message, isUnwanted, isValidated(name)),
      addressesOf: (rrset) => wantedAddresses(rrset, isUnwanted),
      hasNxdomainCut: (name) => options.nxdomainCut !== false && isValidated(name),
      infra: new InfraCache({}, clock),
      delegations: new DelegationCache(delegationBytes, clock),
      roots: new RootServers(options.rootHints ?? ROOT_HINTS, clock),
      mesh: new Mesh(
        (run) => this.#resolve(run),
        this.#deadlineMs,
        clock,
        (sought, failure) => this.#reports?.noteFailure(sought, failure),
      ),
      configured: new ConfiguredZones(options.stubZones ?? [], options.forwardZones ?? []),
      asking: {
        port: options.port ?? 53,
        cookies: options.cookies ?? true,
        mixCase: options.caseRandomisation ?? false,
        edns: makeEdns({
          dnssecOk: true,
          udpPayloadOctets: options.ednsPayloadOctets ?? UDP_PAYLOAD_OCTETS_DEFAULT,
        }),
      },
      patience: new SharedWaits({ name: "recursor patience" }, clock),
      minimisation: options.qnameMinimisation ?? "relaxed",
      families: options.families ?? ["ipv4", "ipv6"],
    };
    const { mesh, delegations } = this.#shared;
    const isTimely = (rrset: RRset): boolean => this.#validator?.hasTimelySignature(rrset) === true;
    const stale = options.stale && new StaleAnswers(options.stale, staleBytes, isTimely, clock);
    this.#answers = new ValidatedAnswers({
      mesh,
      rrsets,
      delegations,
      validator: this.#validator,
      denials,
      stale,
      runtime,
    });
    this.#reports = options.errorReporting === true ? this.#makeReports(runtime) : undefined;
  }

  #makeReports(runtime: Runtime): ErrorReports {
    const { delegations, configured, rrsets } = this.#shared;
    return new ErrorReports({
      zoneOf: (sought) => {
        const side = zoneSideName(sought);
        const zones = [delegations.findClosest(side)?.zone, configured.closest(side, new Set())?.name];
        const known = zones.filter((zone) => zone !== undefined);
        return known.sort((a, b) => b.labelCount - a.labelCount)[0] ?? NameClass.root;
      },
      aliasOf: (name) => {
        const alias = rrsets.find(name, RRType.CNAME);
        return alias && aliasTarget(alias);
      },
      ask: (report) => this.#answers.ask(report, false),
      runtime,
    });
  }

  get use(): RecursorUse {
    const { mesh, rrsets, delegations, infra } = this.#shared;
    return { runs: mesh.size, rrsets: rrsets.use, delegations: delegations.use, servers: infra.serverCount };
  }

  /** Answers one query. What cannot be found out is SERVFAIL with extended errors, in time for the client. */
  respond({ view }: Query, context: QueryContext): Promise<Reply> {
    const refused = refusal(view);
    if (refused !== undefined) return Promise.resolve(refused);
    // How a client spells a name is nobody's business, and the same question is asked once (RFC 4343 §3).
    const sought: Sought = { name: view.qname.toLowerCase(), type: view.qtype };
    // Who may ask without RD is the server's to say; nothing is asked of others for it (RFC 1034 §4.3.1).
    const judge = (): Promise<JudgedOutcome> =>
      !view.recursionDesired
        ? this.#answers.peek(sought, view.checkingDisabled)
        : context.isRefresh === true
          ? this.#answers.refresh(sought)
          : this.#answers.ask(sought, view.checkingDisabled);
    const answer =
      this.#forwardPatienceMs === 0 ? this.#untilDeadline(judge(), context) : this.#patiently(judge, context);
    return answer.then((judged) => {
      if (this.#failsSentinel(view, judged)) return emptyReply(view, Rcode.ServFail, []);
      return replyOf(withRemainingTtls(judged, this.#shared.runtime.clock.nowMs()), view);
    });
  }

  /** Asks for the keys of a zone, past the cache and whatever the validator thinks of them. */
  async fetchKeys(zone: Name): Promise<SignedRRset | undefined> {
    const { mesh } = this.#shared;
    const sought: Sought = { name: zone, type: RRType.DNSKEY };
    const answered = await mesh.askAgain(mesh.begin(sought), sought, NOBODY);
    return answered?.outcome.kind === "answer" ? answered.outcome.rrsets[0] : undefined;
  }

  /** What is trusted at a zone from now on; undefined: nothing that was configured there. */
  replaceAnchor(zone: Name, anchor: TrustAnchor | undefined): void {
    this.#validator?.anchors.replace(zone, anchor);
    this.#validator?.flush(zone);
  }

  /** What is trusted now; empty without validation. */
  get trustAnchors(): readonly TrustAnchor[] {
    return this.#validator?.anchors.all ?? [];
  }

  /** Asks a question whose answer nobody waits for. */
  tell({ name, type }: Question): void {
    this.#shared.mesh.prime({ name, type });
  }

  /** RFC 8509: who asks for certain names finds out which root keys are trusted here. */
  #failsSentinel(view: MessageView, { security }: JudgedOutcome): boolean {
    const anchor = this.#validator?.anchors.at(NameClass.root);
    if (anchor === undefined || security !== "secure") return false;
    const { qname, qtype, checkingDisabled } = view;
    return failsSentinel({ qname, qtype, isSecure: true, checkingDisabled }, keyTagsOf(anchor));
  }

  /**
   * Forgets what is known of a name, of one type only when one is given, or of everything at and below it; tells how many
   * record sets and denials. What follows from other records (keys, denials, failures) is forgotten for all that is below.
   */
  flush(name: Name, what: "zone" | "name" | RRType = "zone"): number {
    const flushed = this.#shared.rrsets.flush(name, what);
    this.#shared.mesh.failures.clear();
    this.#answers.flush(name);
    this.#validator?.flush(name);
    if (what !== "zone") return flushed;
    this.#shared.delegations.flush(name);
    this.#reports?.flush(name);
    if (name.isRoot) this.#shared.roots.forget();
    return flushed;
  }

  /** The record sets that clients may be given, as lines of a master file. */
  dump(): Generator<string> {
    return dumpCache(this.#shared.rrsets);
  }

  /** Takes over what {@link dump} gave; see {@link loadCache}. */
  load(text: string): Parsed<number> {
    return loadCache(text, this.#shared.rrsets);
  }

  /** What is known about a name, for people. */
  lookUp(name: Name): NameKnowledge {
    const { delegations, rrsets, mesh } = this.#shared;
    const cut = delegations.findClosest(name);
    return {
      zone: cut?.zone.toString() ?? ".",
      servers: (cut?.servers ?? []).map((server) => ({
        name: server.name.toString(),
        addresses: server.addresses,
      })),
      records: [...rrsets.all()].filter(({ owner }) => owner.equals(name)).flatMap(linesOf),
      failures: mesh.failures.size,
      zonesValidated: this.#validator?.zoneCount ?? 0,
    };
  }

  /** Ends all resolutions; their clients get SERVFAIL. The exchanger is its owner's to close. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const iteration of this.#iterations) iteration.stop();
    await this.#shared.mesh.settled();
  }

  #resolve(run: Work): Promise<Outcome> {
    const iteration = new Iteration(run, this.#shared);
    this.#iterations.add(iteration);
    if (this.#isClosed) iteration.stop();
    const end = (outcome: Outcome): Outcome => {
      this.#iterations.delete(iteration);
      return outcome;
    };
    return iteration.resolve().then(end, (cause: unknown) => {
      this.#iterations.delete(iteration);
      // Only a bug comes here. Whoever waits gets it as it is; the event tells those who watch.
      const question = soughtText(run.sought);
      const details = {
        clientQuestion: soughtText(run.clientSought),
        question,
        reason: "bug",
        text: String(cause),
      };
      this.#shared.runtime.events.publish("recursor.failed", { ...details, queries: run.quota.queries });
      throw cause;
    });
  }

  /** Who joined others that had waited longer for a forwarder, and gave up, goes on waiting for as long as they did. */
  async #patiently(judge: () => Promise<JudgedOutcome>, context: QueryContext): Promise<JudgedOutcome> {
    const { clock } = this.#shared.runtime;
    const untilMs = clock.nowMs() + this.#forwardPatienceMs;
    let answer = await this.#untilDeadline(judge(), context);
    for (let i = 0; i < WAITS_MAX && isForwarderAway(answer) && clock.nowMs() < untilMs; i++) {
      const deadlineMs = Math.min(context.deadlineMs, untilMs + REPLY_MARGIN_MS);
      const later = await this.#untilDeadline(judge(), { signal: context.signal, deadlineMs });
      if (later !== tooLate) answer = later;
    }
    return answer;
  }

  /** The outcome, or a failure when the client's time is up or it has gone: the run goes on for the cache. */
  #untilDeadline(outcome: Promise<JudgedOutcome>, context: QueryContext): Promise<JudgedOutcome> {
    const waitMs = context.deadlineMs - REPLY_MARGIN_MS - this.#shared.runtime.clock.nowMs();
    // One promise where a race of two makes six.
    return new Promise((resolve, reject) => {
      const client = new WaitingClient(resolve, context.signal, this.#clients);
      client.begin(waitMs);
      outcome.then(
        (judged) => client.end(judged),
        (problem: unknown) => {
          reject(problem);
          client.end(tooLate);
        },
      );
    });
  }
}

/** Somebody who waits for an outcome for as long as its time is not up, and it is still there. */
class WaitingClient implements Wait {
  dueMs = 0;
  waitIndex = -1;
  readonly #resolve: (judged: JudgedOutcome) => void;
  readonly #signal: StopSignal;
  readonly #all: SharedWaits;

  constructor(resolve: (judged: JudgedOutcome) => void, signal: StopSignal, all: SharedWaits) {
    this.#resolve = resolve;
    this.#signal = signal;
    this.#all = all;
  }

  begin(waitMs: number): void {
    this.#all.add(this, waitMs);
    if (this.#signal.aborted) this.#giveUp();
    else this.#signal.addEventListener("abort", this.#giveUp, { once: true });
  }

  readonly #giveUp = (): void => this.end(tooLate);

  onDue(): void {
    this.#giveUp();
  }

  /** Again: nothing. */
  end(judged: JudgedOutcome): void {
    this.#all.remove(this);
    this.#signal.removeEventListener("abort", this.#giveUp);
    this.#resolve(judged);
  }
}

/** Questions that no walk from the root can answer. */
function refusal(view: MessageView): Reply | undefined {
  if (view.qclass !== RRClass.IN && view.qclass !== RRClass.ANY) {
    return emptyReply(view, Rcode.Refused, [
      { code: EdeCode.NotSupported, text: "only class IN is resolved" },
    ]);
  }
  const { qtype } = view;
  if (qtype === RRType.AXFR || qtype === RRType.IXFR) {
    return emptyReply(view, Rcode.Refused, [{ code: EdeCode.NotSupported, text: "no zone transfers here" }]);
  }
  if (qtype !== RRType.ANY && isMetaType(qtype)) {
    // RFC 9824 §3.5 wants FORMERR with this code for NXNAME; no other meta type can be looked up either.
    return emptyReply(view, Rcode.FormErr, [{ code: EdeCode.InvalidQueryType, text: "" }]);
  }
  return undefined;
}

const NOBODY: ReadonlySet<string> = new Set();

function isForwarderAway({ outcome }: JudgedOutcome): boolean {
  return outcome.kind === "failed" && outcome.reason === "no reachable forwarder";
}

const tooLate: JudgedOutcome = {
  outcome: {
    kind: "failed",
    reason: "deadline",
    isCircumstantial: true,
    extendedErrors: [{ code: EdeCode.NoReachableAuthority, text: "no answer in time" }],
  },
  security: "indeterminate",
  extendedErrors: [],
};

function makeValidator(options: ValidationOptions, { clock }: Runtime): Validator {
  const { fixedNowSeconds, skew, nsec3IterationsMax } = options;
  return new Validator({
    anchors: new TrustAnchors(options.anchors, options.negativeAnchors ?? []),
    uptimeSeconds: () => clock.nowMs() / 1000,
    nowSeconds: () => fixedNowSeconds ?? Math.floor(clock.wallMs() / 1000),
    policy: { sha1: options.sha1 ?? true, dsa: options.dsa ?? false },
    ...(skew === undefined ? {} : { skew }),
    wantsEveryAlgorithm: options.wantsEveryAlgorithm ?? false,
    takesStripped: options.takesStripped ?? false,
    ...(nsec3IterationsMax === undefined ? {} : { nsec3IterationsMax }),
  });
}

/** Clients such as dig wait five seconds and ask again: the second try finds the result of the first. */
const DEADLINE_MS_DEFAULT = 8000;
/** More than two take only those that fail at once, for which there is no point in another. */
const WAITS_MAX = 2;
/** Time for the SERVFAIL to get through the server before its own deadline. */
const REPLY_MARGIN_MS = 50;
/** 16 MiB hold about 20 000 sets. */
const CACHE_BYTES_DEFAULT = 16 * 1024 * 1024;
/** One eighth of the memory is for delegations: there are far fewer of them than of answers. */
const DELEGATION_SHARE = 8;
/** With stale answers a third is for those: each is there beside the fresh one. */
const STALE_SHARE = 3;
