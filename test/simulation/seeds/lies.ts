/**
 * What goes wrong on the way to servers, by chance. Faults happen to every reply; forgers who cannot see queries send datagrams
 * beside them; servers that lie say anything at all about anything.
 */
import { readRrsig } from "@sotto/dns/dnssec";
import type { Endpoint } from "@sotto/dns/runtime";
import {
  type Action,
  answerQuery,
  type HeardQuery,
  type SeededRandom,
  type ServedZone,
  type ServerText,
  type SimNetwork,
  type Tamper,
} from "@sotto/dns/testing";
import {
  encodeMessage,
  encodeRdataOf,
  type Message,
  MessageView,
  type Name,
  Name as NameClass,
  parseName,
  Rcode,
  type ResourceRecord,
  RRClass,
  RRType,
  setUint16,
  tryDecodeMessage,
  uint16At,
} from "@sotto/dns/wire";

/** How bad it is. Rates are probabilities from 0 to 1. */
export interface LiarPlan {
  readonly faultRate: number;
  readonly forgeryRate: number;
  readonly lieRate: number;
  /** Names of servers that lie. */
  readonly liars: ReadonlySet<string>;
  /** They lie about others' names only. */
  readonly isPoaching: boolean;
  /** Servers with a lasting vice, by name. */
  readonly vices: ReadonlyMap<string, Vice>;
  /** Names that liars would like to own, and names of servers of such names. */
  readonly victims: readonly Name[];
  readonly serverNames: readonly Name[];
}

export type Vice = "drops EDNS" | "no TCP" | "truncates all" | "lame" | "dead";
export const VICES: readonly Vice[] = ["drops EDNS", "no TCP", "truncates all", "lame", "dead"];

export interface LiarWorld {
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  /** The zones as they were two months ago: their signatures were right then. */
  readonly oldZones: readonly ServedZone[];
  /** Called with every message that a server said, and how much later it leaves. */
  readonly onSaid: (message: Message, delayMs: number) => void;
  readonly onTrick: (name: string, server: ServerText) => void;
}

/** Where poisoned names would lead: a server of the attacker answers there. */
export const POISON = "203.0.113.66";

/** One reply that may be changed. */
interface Scene {
  readonly server: ServerText;
  readonly heard: HeardQuery;
  readonly action: Action;
  readonly reply: Uint8Array;
  readonly message: Message;
  readonly liar: Liar;
}

type Trick = (scene: Scene) => Action;

export class Liar {
  readonly plan: LiarPlan;
  readonly world: LiarWorld;
  /** Replies seen, for saying them in the wrong place. */
  readonly #seen: Message[] = [];
  /** False: all servers are as they should be. */
  isActive = true;
  queries = 0;
  queriesOverTcp = 0;

  constructor(plan: LiarPlan, world: LiarWorld) {
    this.plan = plan;
    this.world = world;
  }

  readonly tamper: Tamper = (server, heard, action) => {
    this.queries++;
    if (heard.transport === "tcp") this.queriesOverTcp++;
    const [reply] = action.replies;
    const read = reply && tryDecodeMessage(reply);
    if (reply === undefined || read?.ok !== true) return action;
    const scene = { server, heard, action, reply, message: read.value, liar: this };
    const done = this.isActive ? this.#act(scene) : action;
    for (const octets of done.replies) this.#note(octets, done.delayMs);
    return done;
  };

  #act(scene: Scene): Action {
    const { liars, lieRate, faultRate, forgeryRate, vices, isPoaching } = this.plan;
    const { server } = scene;
    const vice = vices.get(server.name);
    if (vice !== undefined) {
      const done = VICE_TRICKS[vice](scene);
      if (done !== scene.action) return done;
    }
    if (this.#chance(forgeryRate) && scene.heard.from !== undefined) {
      this.#play(FORGERIES, scene);
      // The right reply comes after the forged ones.
      return { ...scene.action, delayMs: scene.action.delayMs + 1 + this.below(150) };
    }
    if (liars.has(server.name) && this.#chance(lieRate))
      return this.#play(isPoaching ? POACHING : LIES, scene);
    return this.#chance(faultRate) ? this.#play(FAULTS, scene) : scene.action;
  }

  #play(tricks: Readonly<Record<string, Trick>>, scene: Scene): Action {
    const names = Object.keys(tricks);
    const name = names[this.below(names.length)] ?? "";
    this.world.onTrick(name, scene.server);
    return tricks[name]?.(scene) ?? scene.action;
  }

  #note(octets: Uint8Array, delayMs: number): void {
    const said = tryDecodeMessage(octets);
    if (!said.ok) return;
    this.world.onSaid(said.value, delayMs);
    if (this.#seen.length < SEEN_MAX) this.#seen.push(said.value);
    else this.#seen[this.below(SEEN_MAX)] = said.value;
  }

  below(limit: number): number {
    return this.world.random.below(limit);
  }

  #chance(rate: number): boolean {
    return this.world.random.chance(rate);
  }

  get victim(): Name {
    const { victims } = this.plan;
    return victims[this.below(victims.length)] ?? NameClass.root;
  }

  /** The name of a server that others use. */
  get server(): Name {
    const { serverNames } = this.plan;
    return serverNames[this.below(serverNames.length)] ?? ATTACKER;
  }

  get anySeen(): Message | undefined {
    return this.#seen[this.below(Math.max(1, this.#seen.length))];
  }

  /** Sends a datagram to a socket of the resolver that the server never sent. */
  forge(octets: Uint8Array, from: Endpoint, to: Endpoint): void {
    const { network } = this.world;
    const bound = network.boundDatagramEndpoints.find(
      ({ address, port }) =>
        port === to.port && (address === to.address || address === "0.0.0.0" || address === "::"),
    );
    if (bound !== undefined) network.inject(octets, from, bound);
  }
}

const silence = (action: Action): Action => ({ ...action, replies: [] });

/** Says something else than was going to be said. */
function say({ action, message }: Scene, parts: Partial<Message>): Action {
  return { ...action, replies: [encodeMessage({ ...message, ...parts }, { octetsMax: 65_535 })] };
}

const change =
  (make: (message: Message, liar: Liar, scene: Scene) => Partial<Message>): Trick =>
  (scene) =>
    say(scene, make(scene.message, scene.liar, scene));

const NOTHING: Partial<Message> = { answers: [], authorities: [], additionals: [] };

function withId(octets: Uint8Array, id: number): Uint8Array {
  const copy = octets.slice();
  setUint16(copy, 0, id & 0xffff);
  return copy;
}

const hasEdns = (query: Uint8Array): boolean => {
  const view = new MessageView();
  return view.reset(query) === undefined && view.hasEdns;
};

const VICE_TRICKS: Readonly<Record<Vice, Trick>> = {
  "drops EDNS": ({ heard, action }) => (hasEdns(heard.octets) ? silence(action) : action),
  "no TCP": ({ heard, action }) =>
    heard.transport === "tcp" ? { ...silence(action), closes: true } : action,
  "truncates all": (scene) =>
    scene.heard.transport === "udp" ? say(scene, { ...NOTHING, isTruncated: true }) : scene.action,
  lame: change(() => ({ ...NOTHING, isAuthoritative: false })),
  dead: ({ action }) => silence(action),
};

/** What happens without anybody meaning it, or can be done by whoever sits on the way, without a lie about contents. */
const FAULTS: Readonly<Record<string, Trick>> = {
  drop: ({ action }) => silence(action),
  delay: ({ action, liar }) => ({ ...action, delayMs: 100 + liar.below(4000) }),
  "wrong id first": ({ action, heard, reply, liar }) => ({
    ...action,
    replies: [withId(reply, uint16At(heard.octets, 0) + 1 + liar.below(60_000)), ...action.replies],
  }),
  twice: ({ action }) => ({ ...action, replies: [...action.replies, ...action.replies] }),
  garbage: ({ action, heard, liar }) => ({
    ...action,
    replies: [
      Uint8Array.from({ length: 12 + liar.below(60) }, (_, i) =>
        i < 2 ? (heard.octets[i] ?? 0) : liar.below(256),
      ),
    ],
  }),
  cut: ({ action, reply, liar }) => ({
    ...action,
    replies: [reply.subarray(0, Math.max(1, reply.length - 1 - liar.below(40)))],
  }),
  "other question": change((_message, liar) => {
    const other = liar.anySeen;
    return other === undefined ? {} : { questions: other.questions };
  }),
  servfail: change(() => ({ ...NOTHING, rcode: Rcode.ServFail })),
  refused: change(() => ({ ...NOTHING, rcode: Rcode.Refused })),
  formerr: change(() => ({ ...NOTHING, rcode: Rcode.FormErr, edns: undefined })),
  truncated: (scene) =>
    scene.heard.transport === "udp" ? say(scene, { ...NOTHING, isTruncated: true }) : scene.action,
  closes: ({ action }) => ({ ...action, closes: true }),
};

/** A forged answer that claims what attackers want. */
function forged({ message }: Scene): Message {
  return {
    ...message,
    rcode: Rcode.NoError,
    isAuthoritative: true,
    answers: message.questions.map(({ name }) => poison(name)),
    authorities: [],
    additionals: [],
  };
}

function forgery(
  make: (scene: Scene, from: Endpoint, to: Endpoint) => readonly [Uint8Array, Endpoint, Endpoint],
): Trick {
  return (scene) => {
    const { heard, server, action, liar } = scene;
    const { from: resolver } = heard;
    const family = resolver?.address.includes(":") === true;
    const address = server.addresses.find((one) => one.includes(":") === family);
    if (resolver !== undefined && address !== undefined)
      liar.forge(...make(scene, { address, port: 53 }, resolver));
    return action;
  };
}

/** Off the path: one of what has to be guessed is wrong (RFC 5452 §4). */
const FORGERIES: Readonly<Record<string, Trick>> = {
  "forged, wrong id": forgery((scene, from, to) => {
    const id = uint16At(scene.heard.octets, 0) + 1 + scene.liar.below(65_534);
    return [withId(encodeMessage(forged(scene)), id), from, to];
  }),
  "forged, wrong port": forgery((scene, from, to) => {
    const others = scene.liar.world.network.boundDatagramEndpoints.filter(({ port }) => port >= 49_152);
    const other = others[scene.liar.below(Math.max(1, others.length))];
    const port = other === undefined || other.port === to.port ? to.port + 1 : other.port;
    return [encodeMessage(forged(scene)), from, { ...to, port }];
  }),
  "forged, wrong address": forgery((scene, from, to) => [
    encodeMessage(forged(scene)),
    { ...from, address: POISON },
    to,
  ]),
  "forged, wrong source port": forgery((scene, from, to) => [
    encodeMessage(forged(scene)),
    { ...from, port: 5353 },
    to,
  ]),
  "forged, wrong question": forgery((scene, from, to) => {
    const message = forged(scene);
    const questions = message.questions.map((question) => ({ ...question, name: scene.liar.victim }));
    const isOther = questions[0]?.name.equals(message.questions[0]?.name ?? NameClass.root) === false;
    const sent = isOther ? { ...message, questions } : { ...message, isResponse: false };
    return [encodeMessage(sent), from, to];
  }),
  "forged, no response": forgery((scene, from, to) => [
    encodeMessage({ ...forged(scene), isResponse: false }),
    from,
    to,
  ]),
  "forged, wrong case": forgery((scene, from, to) => {
    const octets = encodeMessage(forged(scene));
    const at = letterAt(octets);
    // Without random case, or letters to spell, this forgery would be right.
    if (!hasCapital(octets) || at === undefined) return [withId(octets, ~uint16At(octets, 0)), from, to];
    octets[at] = (octets[at] ?? 0) ^ 0x20;
    return [octets, from, to];
  }),
};

/** True when the name was spelt in random case: servers are not known here in capitals. */
function hasCapital(octets: Uint8Array): boolean {
  for (let at = 12; (octets[at] ?? 0) !== 0; at++)
    if ((octets[at] ?? 0) >= 0x41 && (octets[at] ?? 0) <= 0x5a) return true;
  return false;
}

/** The first letter of the question's name. */
function letterAt(octets: Uint8Array): number | undefined {
  for (let at = 12; (octets[at] ?? 0) !== 0; at++) {
    const letter = (octets[at] ?? 0) | 0x20;
    if (letter >= 0x61 && letter <= 0x7a && (octets[at] ?? 0) > 0x40) return at;
  }
  return undefined;
}

const poison = (owner: Name): ResourceRecord => ({
  owner,
  type: RRType.A,
  class: RRClass.IN,
  ttl: 86_400,
  rdata: Uint8Array.of(...POISON.split(".").map(Number)),
});

const ATTACKER = parseName("ns.attacker.invalid.");

const poisonNs = (owner: Name, host: Name = ATTACKER): ResourceRecord => ({
  owner,
  type: RRType.NS,
  class: RRClass.IN,
  ttl: 86_400,
  rdata: host.wire,
});

const alias = (owner: Name, type: RRType, target: Name): ResourceRecord => ({
  owner,
  type,
  class: RRClass.IN,
  ttl: 300,
  rdata: target.wire,
});

function soaOf(owner: Name): ResourceRecord {
  const rdata = encodeRdataOf("SOA", {
    primary: ATTACKER,
    mailbox: ATTACKER,
    serial: 1,
    refresh: 1,
    retry: 1,
    expire: 1,
    minimum: 86_400,
  });
  if (!rdata.ok) throw new RangeError(rdata.problem);
  return { owner, type: RRType.SOA, class: RRClass.IN, ttl: 86_400, rdata: rdata.value };
}

const isSignature = ({ type }: ResourceRecord): boolean => type === RRType.RRSIG;
const covers = (record: ResourceRecord, covered: RRType): boolean =>
  record.type === RRType.RRSIG && readRrsig(record.rdata).typeCovered === covered;
const isDenial = ({ type }: ResourceRecord): boolean => type === RRType.NSEC || type === RRType.NSEC3;

function flipped(records: readonly ResourceRecord[], liar: Liar): ResourceRecord[] {
  const at = liar.below(Math.max(1, records.length));
  return records.map((record, i) => {
    if (i !== at || record.rdata.length === 0) return record;
    const rdata = record.rdata.slice();
    const octet = rdata.length - 1 - liar.below(Math.min(6, rdata.length));
    rdata[octet] = (rdata[octet] ?? 0) ^ (1 << liar.below(8));
    return { ...record, rdata };
  });
}

const half = (records: readonly ResourceRecord[], liar: Liar): ResourceRecord[] =>
  records.filter(() => liar.below(2) === 0);

/** What servers say that want to be believed: some is nonsense, some is good enough where nothing is signed. */
const LIES: Readonly<Record<string, Trick>> = {
  "no signatures": change(({ answers, authorities }) => ({
    answers: answers.filter((record) => !isSignature(record)),
    authorities: authorities.filter((record) => !isSignature(record)),
  })),
  "no DS": change(({ authorities }) => ({
    authorities: authorities.filter((record) => record.type !== RRType.DS && !covers(record, RRType.DS)),
  })),
  "changed answer": change(({ answers }, liar) => ({ answers: flipped(answers, liar) })),
  "changed authority": change(({ authorities }, liar) => ({ authorities: flipped(authorities, liar) })),
  "changed glue": change(({ additionals }, liar) => ({ additionals: flipped(additionals, liar) })),
  "TTL raised": change(({ answers, authorities, additionals }) => {
    const raised = (records: readonly ResourceRecord[]): ResourceRecord[] =>
      records.map((record) => ({ ...record, ttl: record.ttl * 100 }));
    return { answers: raised(answers), authorities: raised(authorities), additionals: raised(additionals) };
  }),
  "no denial": change(({ authorities }) => ({
    authorities: authorities.filter((record) => !isDenial(record)),
  })),
  "no answer": change(() => ({ answers: [] })),
  nxdomain: change(() => ({ rcode: Rcode.NXDomain, answers: [] })),
  "exists after all": change(({ questions }) => ({
    rcode: Rcode.NoError,
    isAuthoritative: true,
    answers: questions.map(({ name }) => poison(name)),
  })),
  "what was said of another name": change((_message, liar) => {
    const other = liar.anySeen;
    return other === undefined
      ? {}
      : { rcode: other.rcode, answers: other.answers, authorities: other.authorities };
  }),
  "another name's answer": change(({ questions }, liar) => {
    const [question] = questions;
    const other = liar.anySeen?.answers ?? [];
    return question === undefined ? {} : { answers: other.map((one) => ({ ...one, owner: question.name })) };
  }),
  "another name's denial": change((_message, liar) => ({
    rcode: liar.below(2) === 0 ? Rcode.NXDomain : Rcode.NoError,
    isAuthoritative: true,
    answers: [],
    authorities: liar.anySeen?.authorities ?? [],
  })),
  "old signatures": (scene) => {
    const { server, heard, action, liar } = scene;
    const zones = liar.world.oldZones.filter(({ origin }) => server.zones.includes(origin.toString()));
    const old = answerQuery(zones, heard.octets, heard.transport);
    return old === undefined ? action : { ...action, replies: [old] };
  },
  "poison in the answer": change(({ answers }, liar) => ({ answers: [...answers, poison(liar.victim)] })),
  "poison in the authority": change(({ authorities, additionals }, liar) => ({
    authorities: [...authorities, poisonNs(liar.victim.parent())],
    additionals: [...additionals, poison(ATTACKER)],
  })),
  "poison in the additional": change(({ additionals }, liar) => ({
    additionals: [...additionals, poison(liar.victim)],
  })),
  "refers to the attacker": change(({ questions: [question] }, liar) => {
    if (question === undefined) return {};
    const { name } = question;
    const cut = name.suffix(liar.below(name.labelCount + 1));
    const host = cut.tryPrepend(Uint8Array.of(0x6e, 0x73));
    const server = host.ok ? host.value : ATTACKER;
    return {
      ...NOTHING,
      rcode: Rcode.NoError,
      isAuthoritative: false,
      authorities: [poisonNs(cut, server)],
      additionals: [poison(server)],
    };
  }),
  "refers for somebody else": change((_message, liar) => {
    const { victim } = liar;
    return {
      ...NOTHING,
      rcode: Rcode.NoError,
      isAuthoritative: liar.below(2) === 0,
      authorities: [poisonNs(victim.parent())],
      additionals: [poison(ATTACKER), poison(victim)],
    };
  }),
  "glue for somebody else": change(({ questions: [question] }, liar) => {
    const { server } = liar;
    return question === undefined
      ? {}
      : {
          ...NOTHING,
          rcode: Rcode.NoError,
          isAuthoritative: false,
          authorities: [poisonNs(question.name, server)],
          additionals: [poison(server)],
        };
  }),
  "answer for somebody else": change(({ answers, authorities, additionals }, liar) => {
    const { victim } = liar;
    return {
      answers: [...answers, poison(victim)],
      authorities: [...authorities, poison(victim), poisonNs(victim)],
      additionals: [...additionals, poison(victim), poison(liar.server)],
    };
  }),
  "denial for somebody else": change((_message, liar) => ({
    rcode: Rcode.NXDomain,
    isAuthoritative: true,
    answers: [],
    authorities: [{ ...soaOf(liar.victim.parent()) }],
  })),
  "many servers that are nowhere": change(({ questions: [question] }, liar) => {
    if (question === undefined) return {};
    const owner = question.name.suffix(Math.max(0, question.name.labelCount - liar.below(2)));
    const authorities = Array.from({ length: 30 }, (_, i) =>
      poisonNs(owner, parseName(`n${i}-${liar.below(1000)}.${liar.victim.parent()}`)),
    );
    return { ...NOTHING, rcode: Rcode.NoError, isAuthoritative: false, authorities };
  }),
  "wrong servers": change(({ authorities, additionals }) => ({
    authorities: authorities.map((record) =>
      record.type === RRType.NS ? { ...record, rdata: ATTACKER.wire } : record,
    ),
    additionals: [...additionals, poison(ATTACKER)],
  })),
  "wrong glue": change(({ additionals }) => ({
    additionals: additionals.map((record) =>
      record.type === RRType.A ? { ...poison(record.owner), ttl: record.ttl } : record,
    ),
  })),
  "alias to itself": change(({ questions }) => ({
    answers: questions.map(({ name }) => alias(name, RRType.CNAME, name)),
    authorities: [],
  })),
  "alias elsewhere, with its poison": change(({ questions }, liar) => {
    const { victim } = liar;
    return {
      rcode: Rcode.NoError,
      isAuthoritative: true,
      answers: [...questions.map(({ name }) => alias(name, RRType.CNAME, victim)), poison(victim)],
      authorities: [],
    };
  }),
  "DNAME elsewhere": change(({ questions }, liar) => ({
    rcode: Rcode.NoError,
    isAuthoritative: true,
    answers: questions.flatMap(({ name }) =>
      name.isRoot ? [] : [alias(name.parent(), RRType.DNAME, liar.victim.parent())],
    ),
    authorities: [],
  })),
  "half of the records": change(({ answers, authorities }, liar) => ({
    answers: half(answers, liar),
    authorities: half(authorities, liar),
  })),
  lame: change(() => ({ ...NOTHING, isAuthoritative: false })),
};

/** Lies about names of others. */
const POACHING: Readonly<Record<string, Trick>> = Object.fromEntries(
  Object.entries(LIES).filter(([name]) => /poison|somebody|elsewhere|attacker/.test(name)),
);

const SEEN_MAX = 50;

export const FAULT_NAMES: readonly string[] = Object.keys(FAULTS);
export const FORGERY_NAMES: readonly string[] = Object.keys(FORGERIES);
export const LIE_NAMES: readonly string[] = Object.keys(LIES);
