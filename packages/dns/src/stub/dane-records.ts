/**
 * The TLSA records of an upstream (RFC 8310 §8.2): fetched, validated here from trust anchors down, kept for their TTL and
 * renewed before it ends. Where they come from does not matter for their truth, only for who learns the upstream's name:
 * other upstreams that proved who they are, then the upstream itself by the opportunistic profile, as RFC 8310 §8.2.1 allows
 * for these queries.
 */
import { type TrustAnchor, TrustAnchors, Validator, type Verdict } from "@sotto/dns/dnssec";
import { DnsError, type Runtime, type StopSignal } from "@sotto/dns/runtime";
import { type Responder, type TlsaRecord, usableTlsa } from "@sotto/dns/transport";
import { type Message, type Name, parseName, RRType } from "@sotto/dns/wire";
import { answerOf } from "./answer-of.ts";
import { bogusReason, lookUpMeta } from "./meta-lookup.ts";
import { SingleFetch, type Waiting } from "./single-fetch.ts";

/** What is known of an upstream's TLSA records. */
export type TlsaKnowledge =
  /** Secure and usable. */
  | { readonly kind: "records"; readonly records: readonly TlsaRecord[] }
  /** Securely denied, or nothing that counts: not signed, or of no kind that is known (RFC 6698 §4.1). */
  | { readonly kind: "none"; readonly why: string }
  /** RFC 7671 §10: neither there nor not there. */
  | { readonly kind: "failed"; readonly problem: DnsError };

export interface DaneRecordsOptions {
  /** Authentication domain name. */
  readonly name: string;
  readonly port: number;
  /** Whom to ask, one after the other until one gives what can be validated; at least one. */
  readonly sources: readonly Responder[];
  anchors(): readonly TrustAnchor[];
  /** Changes when the machine is on another network. */
  networkEpoch(): number;
}

interface Known {
  readonly knowledge: TlsaKnowledge;
  readonly atMs: number;
  readonly networkEpoch: number;
  refreshAtMs: number;
  untilMs: number;
}

export class DaneRecords {
  readonly owner: Name;
  readonly #options: DaneRecordsOptions;
  readonly #runtime: Runtime;
  readonly #fetching: SingleFetch<Known>;
  #known: Known | undefined = undefined;

  constructor(options: DaneRecordsOptions, runtime: Runtime) {
    this.owner = parseName(`_${options.port}._tcp.${options.name}`);
    this.#options = options;
    this.#runtime = runtime;
    const run = async (signal: StopSignal, deadlineMs: number): Promise<Known> => {
      this.#known = this.#keep(await this.#lookUp(signal, deadlineMs));
      return this.#known;
    };
    const what = `the TLSA records of ${this.owner}`;
    this.#fetching = new SingleFetch({ what, timeoutMs: FETCH_MS, run }, runtime.clock);
  }

  /** Rejects only when the caller's time is over. */
  async find(waiting: Waiting): Promise<TlsaKnowledge> {
    const nowMs = this.#runtime.clock.nowMs();
    const known = this.#known;
    if (known !== undefined && nowMs < known.untilMs && !this.#isOfOtherNetwork(known)) {
      if (nowMs >= known.refreshAtMs) this.#fetching.start();
      return known.knowledge;
    }
    return (await this.#fetching.wait(waiting)).knowledge;
  }

  /**
   * The upstream has another key than the records say: they are fetched anew next time, and true is returned, unless they
   * are fresh. Keys change together with their records (RFC 7671 §8.1), which are known here a TTL later.
   */
  doubt(): boolean {
    const nowMs = this.#runtime.clock.nowMs();
    if (this.#known === undefined || nowMs - this.#known.atMs < DOUBT_MS) return false;
    this.#known.untilMs = nowMs;
    return true;
  }

  /** A failure says nothing about another network. */
  #isOfOtherNetwork({ knowledge, networkEpoch }: Known): boolean {
    return knowledge.kind === "failed" && networkEpoch !== this.#options.networkEpoch();
  }

  /** What was known before stays when it cannot be renewed, to the end of its time. */
  #keep({ knowledge, ttlSeconds }: Fetched): Known {
    const nowMs = this.#runtime.clock.nowMs();
    const before = this.#known;
    if (
      knowledge.kind === "failed" &&
      before !== undefined &&
      before.knowledge.kind !== "failed" &&
      nowMs < before.untilMs
    ) {
      before.refreshAtMs = nowMs + FAILURE_MS;
      return before;
    }
    const keepMs =
      knowledge.kind === "failed" ? failureMs(knowledge.problem) : 1000 * keptSeconds(ttlSeconds);
    return {
      knowledge,
      atMs: nowMs,
      networkEpoch: this.#options.networkEpoch(),
      refreshAtMs: nowMs + keepMs * REFRESH_AT,
      untilMs: nowMs + keepMs,
    };
  }

  async #lookUp(signal: StopSignal, deadlineMs: number): Promise<Fetched> {
    const { sources } = this.#options;
    const { clock } = this.#runtime;
    let last: Fetched | undefined;
    for (const [i, source] of sources.entries()) {
      const nowMs = clock.nowMs();
      // Each source gets its share of the time that is left.
      const untilMs = nowMs + (deadlineMs - nowMs) / (sources.length - i);
      last = await this.#lookUpAt(source, signal, untilMs);
      if (last.knowledge.kind !== "failed") return last;
    }
    return last ?? failed(new DnsError("ERR_CONFIG", `nobody can be asked for ${this.owner}`));
  }

  async #lookUpAt(source: Responder, signal: StopSignal, deadlineMs: number): Promise<Fetched> {
    const { owner } = this;
    const question = { owner, type: RRType.TLSA, validator: this.#validator(), signal, deadlineMs };
    const answer = await lookUpMeta(source, question);
    if (answer.kind === "failed") return failed(this.#notToBeHad(answer.cause, answer.why));
    return this.#judged(answer.message, answer.verdict);
  }

  #judged(message: Message, verdict: Verdict): Fetched {
    const { records, ttlSeconds } = answerOf(message, this.owner, RRType.TLSA);
    switch (verdict.status) {
      case "bogus": {
        const problem = `the TLSA records of ${this.owner} are bogus: ${bogusReason(verdict)}`;
        return failed(new DnsError("ERR_TLS_NOT_AUTHENTICATED", problem, { stage: "authenticate" }));
      }
      case "insecure":
      case "indeterminate":
        return none(`the zone of ${this.owner} is not signed`, ttlSeconds);
      case "secure": {
        const keepSeconds = Math.min(ttlSeconds, verdict.ttlSecondsMax);
        if (records.length === 0) return none(`${this.owner} has no TLSA records`, keepSeconds);
        const usable = usableTlsa(records.map(({ rdata }) => rdata));
        return usable.length === 0
          ? none(`no TLSA record of ${this.owner} can be used`, keepSeconds)
          : { knowledge: { kind: "records", records: usable }, ttlSeconds: keepSeconds };
      }
    }
  }

  /** A new one each time: the anchors may be others now, and it is not often. */
  #validator(): Validator {
    const { clock } = this.#runtime;
    return new Validator({
      anchors: new TrustAnchors(this.#options.anchors(), []),
      nowSeconds: () => Math.floor(clock.wallMs() / 1000),
      uptimeSeconds: () => clock.nowMs() / 1000,
    });
  }

  #notToBeHad(cause: DnsError | undefined, why: string): DnsError {
    // Only the end of its time gives a fetch up.
    const code = cause?.code === "ERR_ABORTED" ? "ERR_TIMEOUT" : (cause?.code ?? "ERR_REPLY_UNUSABLE");
    return new DnsError(code, `the TLSA records of ${this.owner} are not to be had: ${why}`, {
      cause,
      stage: "resolve",
    });
  }
}

interface Fetched {
  readonly knowledge: TlsaKnowledge;
  readonly ttlSeconds: number;
}

function keptSeconds(ttlSeconds: number): number {
  return Math.min(Math.max(ttlSeconds, TTL_SECONDS_MIN), TTL_SECONDS_MAX);
}

/** Servers that cannot be reached are remembered below, with a patience for each kind of failure. */
function failureMs({ cause }: DnsError): number {
  return cause === undefined ? FAILURE_MS : 0;
}

function failed(problem: DnsError): Fetched {
  return { knowledge: { kind: "failed", problem }, ttlSeconds: 0 };
}

function none(why: string, ttlSeconds: number): Fetched {
  return { knowledge: { kind: "none", why }, ttlSeconds };
}

/** As long as a query of the stub by default: keys of three zones, one after the other. */
const FETCH_MS = 5000;
/** As often as a server that nobody can stand in for is tried: what it says of the records is wrong for so long. */
const FAILURE_MS = 2000;
/** A TTL of 0 would mean a fetch for each query; connections live as long. */
const TTL_SECONDS_MIN = 30;
const TTL_SECONDS_MAX = 86_400;
/** In the last tenth of their time, like other answers that are asked for often. */
const REFRESH_AT = 0.9;
/** Records that are younger are not fetched anew because of what a server, or somebody in its place, presented. */
const DOUBT_MS = 10_000;
