/**
 * Keeps trust anchors up to date (RFC 5011): asks each anchor's zone for its keys when it is time, hands over what is
 * trusted after it, and has it written down. What follows from an answer is decided in `@sotto/dns/dnssec`; asking,
 * files and the validator are given from outside.
 */
import {
  type AlgorithmPolicy,
  anchorOf,
  anchorStateToText,
  beginTrustPoint,
  followKeySet,
  keySetJudge,
  keyTagsOf,
  QUERY_INTERVAL_SECONDS_MAX,
  type RolloverEvent,
  SignalSchedule,
  type SignedRRset,
  type SkewPolicy,
  type TrustAnchor,
  TrustAnchors,
  type TrustPoint,
} from "@sotto/dns/dnssec";
import type { Runtime, Timer } from "@sotto/dns/runtime";
import type { Name, Question } from "@sotto/dns/wire";

export interface AnchorKeeperOptions {
  /** As configured; several for one zone count together. */
  readonly anchors: readonly TrustAnchor[];
  /** What an earlier run wrote down; zones that are not configured any more stay in the file as they are. */
  readonly known: readonly TrustPoint[];
  readonly policy: AlgorithmPolicy;
  readonly skew: SkewPolicy;
  /**
   * Asks the zone's servers, past the cache, for DNSKEY. The set is wanted whatever the validator thinks of it: it may
   * revoke the very keys that would have to sign it. Undefined: no answer.
   */
  readonly fetchKeys: (zone: Name) => Promise<SignedRRset | undefined>;
  /** What is trusted at the zone from now on; undefined: as if nothing were configured there (RFC 5011 §5). */
  readonly replace: (zone: Name, anchor: TrustAnchor | undefined) => void;
  /** Writes the state down, whole or not at all. */
  readonly save: (text: string) => Promise<void>;
  /** Asks a question whose name tells the zone's servers what is trusted here (RFC 8145 §5). Absent: nothing is told. */
  readonly signal?: (question: Question) => void;
}

export class AnchorKeeper {
  readonly #options: AnchorKeeperOptions;
  readonly #runtime: Runtime;
  /** By zone; a point is replaced whole after each query. */
  readonly #points = new Map<string, TrustPoint>();
  readonly #unconfigured: readonly TrustPoint[];
  readonly #timers = new Map<string, Timer>();
  readonly #queries = new Set<Promise<void>>();
  readonly #signals = new SignalSchedule();
  #isClosed = false;

  constructor(options: AnchorKeeperOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    const known = new Map(options.known.map((point) => [point.zone.key, point]));
    const configured = new TrustAnchors(options.anchors, []);
    for (const zone of configured.zones) {
      const anchor = configured.at(zone);
      if (anchor === undefined) continue;
      this.#points.set(zone.key, beginTrustPoint(anchor, known.get(zone.key), this.#nowSeconds()));
      known.delete(zone.key);
    }
    this.#unconfigured = [...known.values()];
  }

  /** What is known of each zone, for people and tests. */
  get points(): readonly TrustPoint[] {
    return [...this.#points.values()];
  }

  /** Hands over what is trusted at each zone now, and begins to ask. */
  start(): void {
    for (const point of this.#points.values()) {
      this.#options.replace(point.zone, anchorOf(point));
      this.#wait(point);
    }
  }

  /** Ends all waiting. Queries that are under way change nothing any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    await Promise.all(this.#queries);
  }

  #nowSeconds(): number {
    return Math.floor(this.#runtime.clock.wallMs() / 1000);
  }

  #wait(point: TrustPoint): void {
    const delaySeconds = this.#delayOf(point);
    if (delaySeconds === undefined || this.#isClosed) return;
    const fire = (): void => {
      const query = this.#ask(point).finally(() => this.#queries.delete(query));
      this.#queries.add(query);
    };
    this.#timers.set(
      point.zone.key,
      this.#runtime.clock.startTimer("trust anchor", delaySeconds * 1000, fire, true),
    );
  }

  /** Seconds until the next query, a little sooner by chance, so that not all resolvers ask at once. */
  #delayOf({ times }: TrustPoint): number | undefined {
    const { askedSeconds, nextSeconds } = times;
    if (nextSeconds === undefined) return undefined;
    const intervalSeconds = nextSeconds - (askedSeconds ?? nextSeconds);
    // RFC 5011 §2.3: no more often than once an hour.
    const soonerSecondsMax = Math.min(intervalSeconds * JITTER, intervalSeconds - QUERY_INTERVAL_SECONDS_MIN);
    const sooner = soonerSecondsMax < 1 ? 0 : this.#runtime.random.below(Math.floor(soonerSecondsMax) + 1);
    const delaySeconds = nextSeconds - sooner - this.#nowSeconds();
    // The wall clock may have been set back since that was written down.
    return Math.min(Math.max(0, delaySeconds), QUERY_INTERVAL_SECONDS_MAX);
  }

  async #ask(before: TrustPoint): Promise<void> {
    const { zone } = before;
    const rrset = await this.#keysOf(zone);
    if (this.#isClosed) return;
    const nowSeconds = this.#nowSeconds();
    const { policy, skew } = this.#options;
    const { point, events } = followKeySet(
      before,
      rrset,
      nowSeconds,
      keySetJudge({ nowSeconds, policy, skew }),
    );
    this.#points.set(zone.key, point);
    const anchor = anchorOf(point);
    if (!isSameAnchor(anchorOf(before), anchor)) this.#options.replace(zone, anchor);
    for (const event of events) this.#tell(point, event);
    this.#wait(point);
    const question = anchor && this.#signals.take(anchor, nowSeconds);
    if (question !== undefined) this.#options.signal?.(question);
    await this.#save();
  }

  async #keysOf(zone: Name): Promise<SignedRRset | undefined> {
    try {
      return await this.#options.fetchKeys(zone);
    } catch (cause) {
      this.#runtime.events.publish("server.bug", { where: "trust anchors", error: String(cause) });
      return undefined;
    }
  }

  async #save(): Promise<void> {
    try {
      await this.#options.save(anchorStateToText([...this.#points.values(), ...this.#unconfigured]));
    } catch (cause) {
      const problem = cause instanceof Error ? cause.message : String(cause);
      const consequence = "after a restart trust anchors are as they were last written";
      this.#runtime.events.publish("anchors.not-saved", { problem, consequence });
    }
  }

  #tell({ zone, times, keys }: TrustPoint, event: RolloverEvent): void {
    const { events } = this.#runtime;
    const zoneText = zone.toString();
    switch (event.kind) {
      case "key changed": {
        const { keyTag, algorithm, from, to } = event;
        const untilSeconds = keys.find(
          ({ key }) => key.tag === keyTag && key.algorithm === algorithm,
        )?.untilSeconds;
        const details = { zone: zoneText, keyTag, algorithm, from, to };
        events.publish(
          "anchors.key-changed",
          untilSeconds === undefined ? details : { ...details, untilSeconds },
        );
        return;
      }
      case "not validated": {
        const { failures, nextSeconds } = times;
        events.publish("anchors.not-validated", { zone: zoneText, why: event.why, failures, nextSeconds });
        return;
      }
      case "no room":
        events.publish("anchors.no-room", { zone: zoneText, keyTag: event.keyTag });
        return;
      case "trust point deleted": {
        const consequence = "answers at and below it are not validated any more";
        events.publish("anchors.deleted", { zone: zoneText, why: "all its keys are revoked", consequence });
        return;
      }
    }
  }
}

/** Keys and digests of an anchor only come and go, and do not change: tags and how many there are tell enough. */
function isSameAnchor(a: TrustAnchor | undefined, b: TrustAnchor | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.ds.length === b.ds.length && a.keys.length === b.keys.length && `${keyTagsOf(a)}` === `${keyTagsOf(b)}`
  );
}

/** RFC 5011 §2.3. */
const QUERY_INTERVAL_SECONDS_MIN = 3600;
/** Unbound's tenth. */
const JITTER = 0.1;
