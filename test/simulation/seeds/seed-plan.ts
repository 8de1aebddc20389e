/** What chance makes of a seed: the settings, the weather, who lies, and what clients ask when. */
import { SeededRandom, type ServedZone, type ServerText, type SimNetworkOptions } from "@sotto/dns/testing";
import { type Name, parseName, RRType, rrTypeFromText } from "@sotto/dns/wire";
import { expectedQuestions, type Security } from "../../interop/dnssec-expectations.ts";
import { type LiarPlan, VICES, type Vice } from "./lies.ts";

/** A question, and what is expected of it when all is well. */
export interface PlannedQuestion {
  readonly name: Name;
  readonly type: RRType;
  /** Undefined: in no table. */
  readonly security: Security | undefined;
}

/** One client query. */
export interface PlannedQuery {
  readonly question: PlannedQuestion;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  readonly authenticData: boolean;
  readonly recursionDesired: boolean;
  readonly hasEdns: boolean;
}

/** Queries at one moment, after some time has passed. */
export interface Round {
  readonly afterMs: number;
  readonly queries: readonly PlannedQuery[];
  /** Addresses that nothing gets through to until the next round that says so. */
  readonly silent: readonly string[] | undefined;
}

export interface SeedSettings {
  readonly minimisation: "relaxed" | "strict" | "off";
  readonly caseRandomisation: boolean;
  readonly cookies: boolean;
  readonly ednsPayload: number;
  /** All servers are tried over TLS; some speak it. */
  readonly encryption: "off" | "opportunistic";
  readonly families: readonly ("ipv4" | "ipv6")[];
  readonly deadlineMs: number;
  readonly stale: { readonly clientTimeoutMs: number } | undefined;
  readonly aggressive: boolean;
  readonly nxdomainCut: boolean;
  readonly prefetch: boolean;
  readonly maxTtlSeconds: number;
  readonly cacheMiB: number;
}

export interface SeedPlan {
  readonly seed: number;
  /** Nothing goes wrong. */
  readonly isCalm: boolean;
  /** Milliseconds before the first query; more than 0: until shortly before all signatures end. */
  readonly startsAfterMs: number;
  readonly settings: SeedSettings;
  readonly weather: SimNetworkOptions;
  readonly liar: LiarPlan;
  readonly rounds: readonly Round[];
  /** Asked at the end, two days after everything is well again. */
  readonly afterwards: readonly PlannedQuestion[];
  /** The resolver is closed so long after the last queries, in milliseconds; undefined: when they have been answered. */
  readonly closesAfterMs: number | undefined;
}

/** What plans are made from; the same for all seeds. */
export interface PlanMaterial {
  /** Questions by the zone that they are about. */
  readonly questions: ReadonlyMap<string, readonly PlannedQuestion[]>;
  readonly servers: readonly ServerText[];
  /** Zones by the servers that liars among them are chosen from, when the zones are asked about. */
  readonly zones: readonly ServedZone[];
}

/** Questions of the table and of the zones beside it. */
export function planMaterial(
  zones: readonly ServedZone[],
  servers: readonly ServerText[],
  others: readonly { readonly name: Name; readonly type: RRType }[],
): PlanMaterial {
  const questions = new Map<string, PlannedQuestion[]>();
  const origins = zones.map(({ origin }) => origin).sort((a, b) => b.labelCount - a.labelCount);
  const add = (question: PlannedQuestion): void => {
    const origin = origins.find((one) => question.name.isAtOrBelow(one))?.toString() ?? ".";
    const group = questions.get(origin) ?? [];
    group.push(question);
    questions.set(origin, group);
  };
  for (const { name, type, security } of expectedQuestions())
    add({ name: parseName(name), type: rrTypeFromText(type) ?? RRType.A, security });
  for (const { name, type } of others) add({ name, type, security: undefined });
  return { questions, servers, zones };
}

export function planSeed(seed: number, material: PlanMaterial): SeedPlan {
  const random = new SeededRandom(seed * 7919 + 11);
  const groups = [...material.questions.keys()];
  const isCalm = random.chance(0.12);
  const poacher = !isCalm && random.chance(0.2) ? pick(random, POACHERS) : undefined;
  // Few zones and many questions, so that what one answer leaves behind matters for the next.
  const themes =
    poacher === undefined
      ? Array.from({ length: 1 + random.below(4) }, () => pick(random, groups) ?? ".")
      : [poacher.zone];
  const pool = questionPool(random, themes, material);
  // Somebody else's names, which nobody signs: only the rules about who may say what protect them.
  const victims = Array.from({ length: 2 }, () => pick(random, VICTIMS)).filter((one) => one !== undefined);
  for (const { name } of victims) pool.push({ name, type: RRType.A, security: undefined });
  const settings = planSettings(random, isCalm);
  const coveted = pool.map(({ name }) => name).filter((name) => name.labelCount > 1);
  return {
    seed,
    isCalm,
    startsAfterMs: !isCalm && random.chance(0.08) ? SIGNED_MS - random.below(4 * 3_600_000) : 0,
    settings,
    weather: planWeather(random, isCalm),
    liar: {
      ...planLiar(random, isCalm, themes, material),
      ...(poacher === undefined ? {} : { liars: new Set([poacher.server]), lieRate: 0.6, isPoaching: true }),
      victims: [...coveted, ...victims.flatMap(({ name }) => Array.from(coveted, () => name))],
      serverNames: victims.map(({ server }) => server),
    },
    rounds: planRounds(random, pool, material.servers, isCalm),
    afterwards: Array.from({ length: 3 }, () => pick(random, pool)).filter((one) => one !== undefined),
    closesAfterMs: random.chance(0.35) ? random.below(2500) : undefined,
  };
}

/** Names in unsigned zones, and one of their servers each. */
const VICTIMS: readonly { readonly name: Name; readonly server: Name }[] = [
  ["www.plain.example.", "ns1.plain.example."],
  ["host.plain.example.", "ns1.plain.example."],
  ["edge.cdn.net.", "ns1.plain.example."],
  ["www.victim.example.", "ns1.plain.example."],
  ["www.sibling.example.", "ns2.shop.example."],
  ["www.half.lab.", "ns2.half.lab."],
  ["www.slow.lab.", "ns1.slow.lab."],
  ["www.tc.lab.", "ns1.tc.lab."],
  ["www.tcpclose.lab.", "ns1.tcpclose.lab."],
  ["ns1.big.org.", "ns1.big.org."],
].map(([name = "", server = ""]) => ({ name: parseName(name), server: parseName(server) }));

/** Servers of unsigned zones that want others' names. */
const POACHERS: readonly { readonly zone: string; readonly server: string }[] = [
  { zone: "plain.example.", server: "ns1.plain.example." },
  { zone: "big.org.", server: "ns1.big.org." },
  { zone: "tc.lab.", server: "ns1.tc.lab." },
  { zone: "half.lab.", server: "ns2.half.lab." },
  { zone: "slow.lab.", server: "ns1.slow.lab." },
  { zone: "tcpclose.lab.", server: "ns1.tcpclose.lab." },
  { zone: "plain.dnssec.", server: "host.nic.dnssec." },
  { zone: "113.0.203.in-addr.arpa.", server: "ns1.nic.arpa." },
];

/** Signatures of the fake internet are valid for thirty days, and a day of grace is the validator's. */
const SIGNED_MS = 31 * 86_400_000;

function pick<T>(random: SeededRandom, from: readonly T[]): T | undefined {
  return from[random.below(from.length)];
}

const TYPES = [
  RRType.A,
  RRType.A,
  RRType.AAAA,
  RRType.TXT,
  RRType.MX,
  RRType.DS,
  RRType.NS,
  RRType.SOA,
  RRType.CNAME,
  RRType.DNSKEY,
  RRType.ANY,
];

function questionPool(
  random: SeededRandom,
  themes: readonly string[],
  { questions }: PlanMaterial,
): PlannedQuestion[] {
  const pool: PlannedQuestion[] = [];
  for (const theme of themes) {
    const group = questions.get(theme) ?? [];
    for (let i = 3 + random.below(4); i > 0; i--) {
      const question = pick(random, group);
      if (question === undefined) continue;
      pool.push(question);
      if (random.chance(0.4)) pool.push(madeUp(random, question.name));
    }
  }
  return pool;
}

/** Somewhere near a name that is there. */
function madeUp(random: SeededRandom, near: Name): PlannedQuestion {
  const label = new TextEncoder().encode(`m${random.below(20)}`);
  const name = near.tryPrepend(label);
  const beside = near.isRoot ? name : near.parent().tryPrepend(label);
  const chosen = random.chance(0.5) ? name : beside;
  return {
    name: chosen.ok && random.chance(0.8) ? chosen.value : near,
    type: pick(random, TYPES) ?? RRType.A,
    security: undefined,
  };
}

function planSettings(random: SeededRandom, isCalm: boolean): SeedSettings {
  return {
    minimisation: pick(random, ["relaxed", "relaxed", "strict", "off"] as const) ?? "relaxed",
    caseRandomisation: random.chance(0.6),
    cookies: random.chance(0.5),
    ednsPayload: pick(random, [512, 1232, 1232, 4096]) ?? 1232,
    encryption: random.chance(0.5) ? "opportunistic" : "off",
    families: random.chance(0.8) ? ["ipv4", "ipv6"] : ["ipv4"],
    // What is too late because of a short deadline is right, too.
    deadlineMs: isCalm || random.chance(0.5) ? 8000 : 1500 + random.below(6500),
    stale: random.chance(0.4) ? { clientTimeoutMs: pick(random, [0, 300, 1800]) ?? 1800 } : undefined,
    aggressive: random.chance(0.6),
    nxdomainCut: random.chance(0.7),
    prefetch: random.chance(0.7),
    maxTtlSeconds: random.chance(0.2) ? 10 + random.below(300) : 86_400,
    cacheMiB: random.chance(0.2) ? 1 : 8,
  };
}

function planWeather(random: SeededRandom, isCalm: boolean): SimNetworkOptions {
  const isStormy = !isCalm && random.chance(0.5);
  return {
    latencyMs: 1 + random.below(80),
    jitterMs: isCalm ? 0 : random.below(60),
    lossRate: isStormy ? random.fraction() * 0.3 : 0,
    duplicateRate: isStormy ? random.fraction() * 0.3 : 0,
    sliceOctetsMax: random.chance(0.3) ? 100 + random.below(1000) : 65_535,
    resetRate: isStormy ? random.fraction() * 0.05 : 0,
  };
}

function planLiar(
  random: SeededRandom,
  isCalm: boolean,
  themes: readonly string[],
  { servers }: PlanMaterial,
): Omit<LiarPlan, "victims" | "serverNames"> {
  // Those who are asked about the themes: their servers, and those above.
  const asked = servers.filter(({ zones }) =>
    zones.some((zone) =>
      themes.some((theme) => zone === "." || theme === zone || theme.endsWith(`.${zone}`)),
    ),
  );
  const liars = new Set<string>();
  const vices = new Map<string, Vice>();
  if (!isCalm && random.chance(0.75))
    for (let i = 1 + random.below(3); i > 0; i--) {
      const leaf = random.chance(0.5) ? asked.filter(({ zones }) => !zones.includes(".")) : asked;
      const liar = random.chance(0.8) ? pick(random, leaf) : pick(random, servers);
      if (liar !== undefined) liars.add(liar.name);
    }
  if (!isCalm && random.chance(0.3)) {
    const server = pick(random, asked);
    if (server !== undefined) vices.set(server.name, pick(random, VICES) ?? "lame");
  }
  const some = (most: number): number => (isCalm || random.chance(0.4) ? 0 : random.fraction() * most);
  const lieRate = random.chance(0.3) ? 0.9 : 0.05 + random.fraction() * 0.6;
  return { faultRate: some(0.4), forgeryRate: some(0.5), lieRate, liars, vices, isPoaching: false };
}

function planRounds(
  random: SeededRandom,
  pool: readonly PlannedQuestion[],
  servers: readonly ServerText[],
  isCalm: boolean,
): Round[] {
  const addresses = servers.flatMap((server) => server.addresses);
  const isPatchy = !isCalm && random.chance(0.3);
  return Array.from({ length: 6 + random.below(9) }, () => {
    const count = random.chance(0.6) ? 1 : 2 + random.below(4);
    const queries = Array.from({ length: count }, () => planQuery(random, pool)).filter(
      (query) => query !== undefined,
    );
    const isSilenced = isPatchy && random.chance(0.4);
    return {
      afterMs: pauseMs(random),
      queries,
      silent: isSilenced
        ? Array.from({ length: random.below(4) }, () => pick(random, addresses) ?? "")
        : undefined,
    };
  });
}

/** Often at once, often around the ends of TTLs (60 and 300 seconds), sometimes much later. */
function pauseMs(random: SeededRandom): number {
  const kind = random.below(10);
  if (kind < 3) return random.below(200);
  if (kind < 5) return random.below(10_000);
  if (kind < 6) return 55_000 + random.below(10_000);
  if (kind < 8) return 265_000 + random.below(40_000);
  return kind < 9 ? 600_000 + random.below(3_600_000) : 80_000_000 + random.below(20_000_000);
}

function planQuery(random: SeededRandom, pool: readonly PlannedQuestion[]): PlannedQuery | undefined {
  const question = pick(random, pool);
  if (question === undefined) return undefined;
  return {
    question,
    dnssecOk: random.chance(0.5),
    checkingDisabled: random.chance(0.15),
    authenticData: random.chance(0.4),
    recursionDesired: !random.chance(0.03),
    hasEdns: random.chance(0.95),
  };
}
