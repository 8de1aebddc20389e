/** Plays one seed: builds its world, asks what clients ask, and holds every reply and the end against the rules. */
import { MessageCache } from "@sotto/dns/cache";
import type { DatagramSocket, Network, Runtime } from "@sotto/dns/runtime";
import {
  FakeInternet,
  fakeCertificatePem,
  SeededRandom,
  type ServedZone,
  type SimNetworkOptions,
  type SimWorld,
  simRuntime,
} from "@sotto/dns/testing";
import type { QueryChannel } from "@sotto/dns/transport";
import {
  encodeMessage,
  makeEdns,
  makeMessage,
  Rcode,
  RRClass,
  rcodeToText,
  recordToText,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import { buildEngine } from "../../../packages/sotto/src/compose/recursor-daemon.ts";
import { loadConfig } from "../../../packages/sotto/src/config/index.ts";
import { AuthorityEncryption } from "../../../packages/sotto/src/recursor/index.ts";
import { UPSTREAM_QUERIES_MAX } from "../../../packages/sotto/src/recursor/quota.ts";
import { OutcomeTally } from "../../../packages/sotto/src/server/index.ts";
import { openAttacker } from "./attacker.ts";
import { describe, extendedErrorsOf, isMarkedStale, type Judged, problemsOf } from "./check-reply.ts";
import { countTrick, newFigures, type SeedFigures } from "./figures.ts";
import { Liar } from "./lies.ts";
import {
  type PlanMaterial,
  type PlannedQuery,
  type PlannedQuestion,
  planMaterial,
  planSeed,
  type SeedPlan,
} from "./seed-plan.ts";
import { exposedZones, Trust, type Worth, worthOfZones } from "./trust.ts";
import { Truth } from "./truth.ts";
import { TtlLedger } from "./ttl-ledger.ts";

/** What became of one seed. */
export interface SeedResult {
  readonly seed: number;
  /** What was wrong; empty: nothing. */
  readonly problems: readonly string[];
  readonly figures: SeedFigures;
  readonly trace: readonly string[];
}

/** The internet and what is known of it: built once for any number of seeds, because zones do not change. */
export class Stage {
  readonly internet: FakeInternet;
  readonly oldZones: readonly ServedZone[];
  readonly truth: Truth;
  readonly worths: ReadonlyMap<string, Worth>;
  readonly flawed: ReadonlySet<string>;
  readonly material: PlanMaterial;

  constructor() {
    const wallMs = simRuntime(0).clock.wallMs();
    const certificatePem = fakeCertificatePem({ subjectAltNames: ["DNS:nobody.looks.at.it"] });
    this.internet = FakeInternet.build({
      wallMs,
      tls: { port: 853, certificatePem, keyPem: "", isSpokenBy: ({ name }) => name.length % 3 === 0 },
    });
    this.oldZones = FakeInternet.build({ wallMs: wallMs - OLD_MS }).zones;
    const { zones, servers } = this.internet;
    this.truth = new Truth(zones);
    this.worths = worthOfZones(zones);
    this.flawed = new Set(
      zones.filter(({ zone }) => zone.answerFlaw !== undefined).map(({ origin }) => origin.toString()),
    );
    this.material = planMaterial(zones, servers, this.internet.names());
  }
}

export interface PlayOptions {
  /** Keeps what happened, for people. */
  readonly isTraced?: boolean;
  /** Replaces parts of the configuration, to show that the rules notice. */
  readonly sabotage?: Readonly<Record<string, unknown>>;
}

/** Plays it. */
export async function playSeed(seed: number, stage: Stage, options: PlayOptions = {}): Promise<SeedResult> {
  const play = new Play(planSeed(seed, stage.material), stage, options);
  try {
    await play.run();
  } catch (error) {
    play.problems.push(`broke: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  } finally {
    await stage.internet.close();
  }
  return { seed, problems: play.problems, figures: play.figures, trace: play.trace };
}

class Play {
  readonly problems: string[] = [];
  readonly trace: string[] = [];
  readonly figures = newFigures();
  readonly #plan: SeedPlan;
  readonly #stage: Stage;
  readonly #isTraced: boolean;
  readonly #sabotage: Readonly<Record<string, unknown>>;
  readonly #weather: Mutable<SimNetworkOptions>;
  readonly #world: SimWorld;
  readonly #ledger = new TtlLedger();
  readonly #trust: Trust;
  readonly #liar: Liar;
  readonly #outcomes = new OutcomeTally();
  readonly #encryption: AuthorityEncryption;
  readonly #engine: ReturnType<typeof buildEngine>;
  #isClosing = false;

  constructor(plan: SeedPlan, stage: Stage, { isTraced = false, sabotage = {} }: PlayOptions) {
    this.#plan = plan;
    this.#stage = stage;
    this.#isTraced = isTraced;
    this.#sabotage = sabotage;
    this.#weather = { ...plan.weather };
    this.#world = simRuntime(plan.seed, this.#weather);
    const { zones, servers } = stage.internet;
    const wrong = servers.filter(
      ({ name, behaviour }) => SAYS_WRONG.has(behaviour) || plan.liar.vices.get(name) === "lame",
    );
    const liars = new Set([...plan.liar.liars, ...wrong.map(({ name }) => name)]);
    const exposed = exposedZones(zones, servers, liars);
    this.#trust = new Trust(stage.worths, exposed, stage.flawed);
    this.#liar = new Liar(plan.liar, {
      random: new SeededRandom(plan.seed * 104_729 + 5),
      network: this.#world.network,
      oldZones: stage.oldZones,
      onSaid: (message, delayMs) => this.#ledger.note(message, this.#nowMs + delayMs),
      onTrick: (name, server) => {
        countTrick(this.figures, name);
        this.#tell(() => `  ${server.name} ${name}`);
      },
    });
    this.#encryption = new AuthorityEncryption(this.#world.clock);
    this.#engine = this.#buildEngine();
    this.#tell(() => `plan: ${planText(plan)}`);
  }

  get #nowMs(): number {
    return this.#world.clock.nowMs();
  }

  #tell(text: () => string): void {
    if (this.#isTraced) this.trace.push(`${(this.#nowMs / 1000).toFixed(3).padStart(12)} ${text()}`);
  }

  #buildEngine(): ReturnType<typeof buildEngine> {
    const { settings } = this.#plan;
    const loaded = loadConfig(
      JSON.stringify({ ...configOf(this.#plan, this.#stage), ...this.#sabotage }),
      "simulation",
    );
    if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join("; "));
    const { clock, random } = this.#world;
    const runtime: Runtime = {
      clock,
      random,
      network: this.#counted(this.#world.network.host(["192.0.2.253", "2001:db8:53::253"])),
      events: {
        wants: (name) => this.#isTraced || name === "server.bug" || name === "recursor.bogus",
        publish: (name, details) => this.#hear(name, details),
      },
    };
    const cache = new MessageCache({ bytesMax: settings.cacheMiB << 20 }, random);
    return buildEngine(loaded.config, cache, {
      runtime,
      upstreamRuntime: runtime,
      drawnCookieSecret: new Uint8Array(16),
      outcomes: this.#outcomes,
      encryption: this.#encryption,
    });
  }

  #hear(name: string, details: Readonly<Record<string, unknown>>): void {
    if (name === "server.bug" || details["reason"] === "bug")
      this.problems.push(`bug: ${JSON.stringify(details)}`);
    if (name === "recursor.bogus") this.figures.bogus++;
    this.#tell(() => `    ${name} ${Object.values(details).map(String).join(" | ")}`);
  }

  /** Counts what the resolver sends by sockets: each UDP query has its own. Queries over TCP are counted where they arrive. */
  #counted(network: Network): Network {
    return {
      connect: (options) => network.connect(options),
      listen: (options, handlers) => network.listen(options, handlers),
      bindDatagram: (options, handlers): Promise<DatagramSocket> => {
        this.figures.exchanges++;
        return network.bindDatagram(options, handlers);
      },
    };
  }

  async run(): Promise<void> {
    const { clock, network } = this.#world;
    const networkOf = (addresses: readonly string[]): Network => network.host(addresses);
    await this.#stage.internet.start(networkOf, clock, this.#world.random, this.#liar.tamper);
    const closeAttacker = await openAttacker(network.host(["203.0.113.66"]), (octets) => {
      const said = tryDecodeMessage(octets);
      if (said.ok) this.#ledger.note(said.value, this.#nowMs);
    });
    await this.#askAll();
    await this.#askAfterwards();
    await this.#close();
    await this.#stage.internet.close();
    await closeAttacker();
    // What was on its way arrives nowhere.
    await clock.advance(60_000);
    if (clock.pendingTimers.length > 0)
      this.problems.push(`timers are left: ${clock.pendingTimers.join(", ")}`);
    const { streams, datagramSockets } = network.use;
    if (streams + datagramSockets > 0)
      this.problems.push(`${streams} streams, ${datagramSockets} sockets are left`);
    this.figures.upstreamQueries = this.#liar.queries;
    this.figures.encrypted = this.#encryption.counters.encrypted;
  }

  async #askAll(): Promise<void> {
    const { clock, network } = this.#world;
    const { rounds, startsAfterMs } = this.#plan;
    await clock.advance(startsAfterMs);
    let silent: readonly string[] = [];
    for (const round of rounds) {
      await clock.advance(round.afterMs);
      if (round.silent !== undefined) {
        for (const address of silent) network.setReachability(address, "normal");
        silent = round.silent;
        for (const address of silent) network.setReachability(address, "silent");
      }
      const isQuiet = this.#engine.recursor.use.runs === 0;
      const before = this.figures.exchanges + this.#liar.queriesOverTcp;
      await clock.runUntil(Promise.all(round.queries.map((query) => this.#ask(query))), ROUND_LIMIT_MS);
      // What goes on behind the answer belongs to it.
      await clock.runUntil(() => this.#engine.recursor.use.runs === 0, ROUND_LIMIT_MS);
      this.#checkCost(before, round.queries, isQuiet);
    }
    for (const address of silent) network.setReachability(address, "normal");
  }

  #checkCost(before: number, queries: readonly PlannedQuery[], isQuiet: boolean): void {
    const cost = this.figures.exchanges + this.#liar.queriesOverTcp - before;
    if (queries.length === 1 && isQuiet)
      this.figures.exchangesWorst = Math.max(this.figures.exchangesWorst, cost);
    if (cost > UPSTREAM_QUERIES_MAX * queries.length)
      this.problems.push(
        `${cost} upstream exchanges for ${queries.map(({ question }) => describe(question)).join(", ")}`,
      );
  }

  /** Asks once and checks the reply; never rejects. */
  async #ask(query: PlannedQuery): Promise<void> {
    const startedMs = this.#nowMs;
    const { deadlineMs } = this.#plan.settings;
    const text = describe(query.question);
    this.figures.clientQueries++;
    this.#tell(() => `${text}?${flagsText(query)}`);
    // What comes in the call stands in a buffer that the next answer uses again.
    const answer = this.#engine.service.answer(octetsOf(query), CHANNEL);
    const octets = answer instanceof Uint8Array ? answer.slice() : await answer;
    const tookMs = this.#nowMs - startedMs;
    this.figures.slowestShare = Math.max(this.figures.slowestShare, tookMs / deadlineMs);
    if (tookMs > deadlineMs + GRACE_MS) this.problems.push(`${text}: took ${tookMs} ms of ${deadlineMs}`);
    if (octets === undefined) {
      this.problems.push(`${text}: no reply`);
      return;
    }
    this.#check(query, octets);
  }

  #check(query: PlannedQuery, octets: Uint8Array): void {
    const read = tryDecodeMessage(octets);
    const text = describe(query.question);
    if (!read.ok) {
      this.problems.push(`${text}: the reply cannot be read: ${read.problem}`);
      return;
    }
    const reply = read.value;
    const { name, type } = query.question;
    const judged: Judged = {
      query,
      reply,
      truth: this.#stage.truth.of(name, type),
      trust: this.#trust,
      ledger: this.#ledger,
      settings: this.#plan.settings,
      nowMs: this.#nowMs,
      wallSeconds: Math.floor(this.#world.clock.wallMs() / 1000),
    };
    this.#count(judged);
    this.#tell(() => {
      const records = [...reply.answers, ...reply.authorities].map(recordToText);
      const errors = extendedErrorsOf(reply);
      return `${text}: ${rcodeToText(reply.rcode)}${reply.authenticData ? " AD" : ""} EDE ${errors.join()} ${records.join(" / ").slice(0, 2000)}`;
    });
    const problems = problemsOf(judged);
    if (this.#plan.isCalm && !this.#isClosing) problems.push(...calmProblems(judged));
    for (const problem of problems) {
      this.problems.push(`${text}${flagsText(query)}: ${problem}`);
      this.#tell(() => `WRONG ${problem}`);
    }
  }

  #count(judged: Judged): void {
    const { reply } = judged;
    const { figures } = this;
    if (reply.rcode === Rcode.ServFail || reply.rcode === Rcode.Refused) figures.failed++;
    else figures.answered++;
    if (reply.rcode === Rcode.NXDomain) figures.nxdomain++;
    if (reply.authenticData) figures.authentic++;
    if (reply.rcode !== Rcode.ServFail && isMarkedStale(judged)) figures.stale++;
  }

  /** Nothing of what was wrong stays: two days later everything is as if it had never been. */
  async #askAfterwards(): Promise<void> {
    const { clock } = this.#world;
    this.#liar.isActive = false;
    Object.assign(this.#weather, { lossRate: 0, duplicateRate: 0, resetRate: 0, jitterMs: 0, latencyMs: 5 });
    await clock.advance(AFTERWARDS_MS);
    this.#tell(() => "everything is well again");
    for (const question of this.#plan.afterwards) {
      this.figures.afterwards++;
      await this.#askWhenWell(question);
    }
  }

  async #askWhenWell(question: PlannedQuestion): Promise<void> {
    const query: PlannedQuery = {
      question,
      dnssecOk: true,
      checkingDisabled: false,
      authenticData: false,
      recursionDesired: true,
      hasEdns: true,
    };
    const answer = Promise.resolve(this.#engine.service.answer(octetsOf(query), CHANNEL));
    const octets = await this.#world.clock.runUntil(answer, ROUND_LIMIT_MS);
    if (octets === undefined) return;
    this.#check(query, octets);
    const reply = tryDecodeMessage(octets);
    if (!reply.ok) return;
    // By then all signatures have ended, those of the root, too.
    const security = this.#plan.startsAfterMs > 0 ? "bogus" : question.security;
    if (security === undefined) {
      if (reply.value.rcode !== Rcode.ServFail) this.figures.recovered++;
      return;
    }
    const { rcode, authenticData } = reply.value;
    const found = rcode === Rcode.ServFail ? "bogus" : authenticData ? "secure" : "insecure";
    if (found === security || (security === "bogus" && isSignedAbove(question))) this.figures.recovered++;
    else this.problems.push(`${describe(question)}: ${found} afterwards and not ${security}`);
  }

  /** Closes, sometimes while clients wait: each of them still gets a reply. */
  async #close(): Promise<void> {
    const { clock } = this.#world;
    const { closesAfterMs, rounds } = this.#plan;
    const waiting: Promise<void>[] = [];
    if (closesAfterMs !== undefined) {
      Object.assign(this.#weather, this.#plan.weather);
      this.#liar.isActive = true;
      for (const { queries } of rounds.slice(0, 3))
        for (const query of queries) waiting.push(this.#ask(query));
      await clock.advance(closesAfterMs);
    }
    this.#tell(() => "closing");
    this.#isClosing = true;
    const { keeper, recursor, exchanger, service } = this.#engine;
    await clock.runUntil(
      (async () => {
        await keeper?.close();
        await recursor.close();
        await exchanger.close();
      })(),
      ROUND_LIMIT_MS,
    );
    await clock.runUntil(Promise.all(waiting), ROUND_LIMIT_MS);
    await clock.runUntil(service.idle(), ROUND_LIMIT_MS);
    const own = clock.pendingTimers.filter((name) => !/^(?:sim |fake-server)/.test(name));
    if (own.length > 0) this.problems.push(`timers are left of the resolver: ${own.join(", ")}`);
    this.#checkOutcomes();
  }

  /** One outcome per query: counted by the server itself and by whoever asked. */
  #checkOutcomes(): void {
    const counted = Object.values(this.#outcomes.counters)
      .flatMap((counters) => Object.values(counters))
      .reduce((sum, count) => sum + count, 0);
    const asked = this.figures.clientQueries + this.figures.afterwards;
    if (counted !== asked) this.problems.push(`${asked} queries and ${counted} outcomes`);
    const { started, ...ended } = this.#encryption.counters.probes;
    const probes = Object.values(ended).reduce((sum, count) => sum + count, 0);
    if (probes !== started) this.problems.push(`${started} probes over TLS and ${probes} outcomes`);
  }
}

/** Where nothing goes wrong everything is as the table of expectations says. */
function calmProblems({ query, reply, settings }: Judged): string[] {
  const { security } = query.question;
  const isPlain = query.recursionDesired && !query.checkingDisabled && settings.stale === undefined;
  if (!isPlain || security === undefined || isSignedAbove(query.question)) return [];
  const wantsAd = (query.dnssecOk && query.hasEdns) || query.authenticData;
  const found =
    reply.rcode === Rcode.ServFail ? "bogus" : reply.authenticData || !wantsAd ? "secure" : "insecure";
  const expected = security === "insecure" && !wantsAd ? "secure" : security;
  return found === expected ? [] : [`${found} and not ${expected} although nothing goes wrong`];
}

/** Sets that the zone above has signed are believed by all validators (test/interop/dnssec-differential.test.ts). */
function isSignedAbove({ name }: PlannedQuestion): boolean {
  return /(?:^|\.)signedabove\.dnssec\.$/.test(name.toString());
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Our configuration file as a value. */
function configOf({ settings }: SeedPlan, { internet }: Stage): Readonly<Record<string, unknown>> {
  return {
    access: { allow: ["127.0.0.0/8"] },
    resolver: {
      "root-hints": internet.rootHints.map(({ name, address }) => ({ name: name.toString(), address })),
      "qname-minimisation": settings.minimisation,
      "case-randomisation": settings.caseRandomisation,
      cookies: settings.cookies,
      "edns-payload": settings.ednsPayload,
      families: settings.families,
      deadline: `${settings.deadlineMs}ms`,
      encryption: settings.encryption,
    },
    dnssec: { "trust-anchors": internet.trustAnchors.map(recordToText) },
    cache: {
      "max-ttl": `${settings.maxTtlSeconds}s`,
      "aggressive-denial": settings.aggressive,
      "nxdomain-cut": settings.nxdomainCut,
      prefetch: settings.prefetch,
      "serve-stale": settings.stale !== undefined,
      "stale-client-timeout": `${settings.stale?.clientTimeoutMs ?? 1800}ms`,
      size: `${settings.cacheMiB * 4}MiB`,
    },
    "local-zones": { builtin: false },
    cookies: { policy: "off" },
  };
}

function octetsOf(query: PlannedQuery): Uint8Array {
  const { question, dnssecOk, hasEdns } = query;
  return encodeMessage(
    makeMessage({
      id: 1,
      recursionDesired: query.recursionDesired,
      checkingDisabled: query.checkingDisabled,
      authenticData: query.authenticData,
      questions: [{ name: question.name, type: question.type, class: RRClass.IN }],
      edns: hasEdns ? makeEdns({ dnssecOk }) : undefined,
    }),
  );
}

function flagsText({
  dnssecOk,
  checkingDisabled,
  authenticData,
  recursionDesired,
  hasEdns,
}: PlannedQuery): string {
  const flags = [
    dnssecOk && hasEdns && "DO",
    checkingDisabled && "CD",
    authenticData && "AD",
    !recursionDesired && "no RD",
    !hasEdns && "no EDNS",
  ];
  return flags
    .filter((flag) => flag !== false)
    .map((flag) => ` +${flag}`)
    .join("");
}

function planText({ settings, weather, liar }: SeedPlan): string {
  const { liars, vices, faultRate, forgeryRate, lieRate } = liar;
  const rates = { faultRate, forgeryRate, lieRate };
  return JSON.stringify({ settings, weather, rates, liars: [...liars], vices: [...vices] });
}

/** Servers of the fake internet that say what their zones do not hold; nobody can tell where nothing is signed. */
const SAYS_WRONG: ReadonlySet<string> = new Set([
  "unauthoritative",
  "upward",
  "selfReferral",
  "wrongQuestion",
  "poisons",
  "nxns",
  "endless",
]);

/** Over TCP, where everything fits. */
const CHANNEL: QueryChannel = {
  origin: {
    transport: "tcp",
    remote: { address: "127.0.0.1", port: 4242 },
    local: undefined,
    security: undefined,
  },
  keepaliveUnits: () => undefined,
};

/** What stands in the service beside the deadline. */
const GRACE_MS = 550;
const ROUND_LIMIT_MS = 120_000;
/** Longer than any TTL, and than anything bad is remembered. */
const AFTERWARDS_MS = 2 * 86_400_000;
/** Two months: no signature of then is valid now. */
const OLD_MS = 60 * 86_400_000;
