/**
 * What clients did, for whoever asks afterwards: connections with their queries and a timeline. Everything is bounded; the
 * oldest connections go first, and what is not kept is counted.
 */
import type { Clock } from "@sotto/dns/runtime";
import { EdnsOptionCode, type MessageView, rrTypeToText, tryReadKeepalive } from "@sotto/dns/wire";
import type { ClientHello } from "./client-hello.ts";
import type { Transport } from "./fixture.ts";

/** One thing on a timeline. */
export interface TimelineEvent {
  /** Milliseconds since the connection began. */
  readonly atMs: number;
  /** From the client, to the client, or the server's own doing. */
  readonly direction: "in" | "out" | "own";
  readonly what: string;
  /** Octets of the message or segment, 0 where there are none. */
  readonly octets: number;
}

/** One query as it came. */
export interface QueryRecord {
  readonly atMs: number;
  readonly id: number;
  readonly qname: string;
  readonly qtype: string;
  readonly octets: number;
  readonly recursionDesired: boolean;
  /** Undefined: no OPT. */
  readonly edns: EdnsRecord | undefined;
  /** Queries of the connection that had no answer yet: more than 0 is pipelining. */
  readonly inFlightBefore: number;
  /** The message is not a query that can be read; why. */
  readonly problem: string | undefined;
}

export interface EdnsRecord {
  readonly version: number;
  readonly udpPayloadOctets: number;
  readonly dnssecOk: boolean;
  readonly optionCodes: readonly number[];
  /** `empty` is what clients should send; undefined: no such option. */
  readonly keepalive: "empty" | "malformed" | number | undefined;
  /** Octets of padding; undefined: no such option. */
  readonly paddingOctets: number | undefined;
  /** Octets of the cookie: 8 for a client's alone. */
  readonly cookieOctets: number | undefined;
  /** SOURCE PREFIX-LENGTH of client subnet. */
  readonly clientSubnetBits: number | undefined;
}

/** What the handshake brought. */
export interface TlsRecord {
  readonly version: string;
  readonly cipher: string;
  readonly alpn: string | undefined;
  readonly isResumed: boolean;
  /** Subject of the client's certificate. */
  readonly clientCertificate: string | undefined;
}

/** What is known of one connection, or of the queries from one UDP port. */
export interface ConnectionRecord {
  readonly id: number;
  readonly fixture: string;
  readonly transport: Transport;
  /** Address and port of the client. */
  readonly client: string;
  /** Wall time, milliseconds since 1970. */
  readonly openedAtMs: number;
  /** True: the SYN carried data that was taken; undefined: the system does not tell. */
  readonly fastOpen: boolean | undefined;
  readonly hello: ClientHello | undefined;
  readonly tls: TlsRecord | undefined;
  readonly answers: number;
  /** Undefined while it is open. */
  readonly endedBy: EndedBy | undefined;
  readonly queries: readonly QueryRecord[];
  readonly queriesLost: number;
  readonly events: readonly TimelineEvent[];
  readonly eventsLost: number;
}

/** `client-fin` may be followed by answers of ours; `error` is the failure of a handshake. */
export type EndedBy = "client-fin" | "client-rst" | "server" | "error";

/** Counts since the start or the last reset. */
export interface FixtureCounters {
  connections: number;
  queries: number;
  answers: number;
  handshakes: number;
  handshakesFailed: number;
}

/** Told of each event as it is noted. */
export type EventHeard = (connection: ConnectionRecord, event: TimelineEvent) => void;

export class Observations {
  readonly #clock: Clock;
  readonly #heard: EventHeard | undefined;
  readonly #connections = new Map<number, Observed>();
  readonly #counters = new Map<string, FixtureCounters>();
  #lastId = 0;
  #connectionsLost = 0;

  constructor(clock: Clock, heard: EventHeard | undefined) {
    this.#clock = clock;
    this.#heard = heard;
  }

  /** Begins the record of a connection. */
  open(fixture: string, transport: Transport, client: string, fastOpen: boolean | undefined): Observed {
    const counters = this.countersOf(fixture);
    counters.connections++;
    const observed = new Observed(
      { id: ++this.#lastId, fixture, transport, client, fastOpen },
      counters,
      this.#clock,
      this.#heard,
    );
    this.#connections.set(observed.id, observed);
    if (this.#connections.size > CONNECTIONS_KEPT_MAX) {
      const [oldest] = this.#connections.keys();
      if (oldest !== undefined) this.#connections.delete(oldest);
      this.#connectionsLost++;
    }
    return observed;
  }

  countersOf(fixture: string): FixtureCounters {
    const known = this.#counters.get(fixture);
    if (known !== undefined) return known;
    const counters = { connections: 0, queries: 0, answers: 0, handshakes: 0, handshakesFailed: 0 };
    this.#counters.set(fixture, counters);
    return counters;
  }

  /** Counters of all fixtures that anybody came to. */
  get counters(): Readonly<Record<string, FixtureCounters>> {
    return Object.fromEntries(this.#counters);
  }

  /** Kept connections, oldest first: those after `sinceId`, of one fixture or of all. */
  connections(sinceId = 0, fixture?: string): ConnectionRecord[] {
    return [...this.#connections.values()].filter(
      (one) => one.id > sinceId && (fixture === undefined || one.fixture === fixture),
    );
  }

  /** Connections that were forgotten to make room. */
  get connectionsLost(): number {
    return this.#connectionsLost;
  }

  reset(): void {
    this.#connections.clear();
    this.#counters.clear();
    this.#connectionsLost = 0;
  }
}

/** The record of one connection while it is written. */
export class Observed implements ConnectionRecord {
  readonly id: number;
  readonly fixture: string;
  readonly transport: Transport;
  readonly client: string;
  readonly openedAtMs: number;
  readonly fastOpen: boolean | undefined;
  hello: ClientHello | undefined = undefined;
  tls: TlsRecord | undefined = undefined;
  answers = 0;
  endedBy: EndedBy | undefined = undefined;
  readonly queries: QueryRecord[] = [];
  queriesLost = 0;
  readonly events: TimelineEvent[] = [];
  eventsLost = 0;
  readonly #counters: FixtureCounters;
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #heard: EventHeard | undefined;

  constructor(
    facts: Pick<ConnectionRecord, "id" | "fixture" | "transport" | "client" | "fastOpen">,
    counters: FixtureCounters,
    clock: Clock,
    heard: EventHeard | undefined,
  ) {
    this.id = facts.id;
    this.fixture = facts.fixture;
    this.transport = facts.transport;
    this.client = facts.client;
    this.fastOpen = facts.fastOpen;
    this.openedAtMs = clock.wallMs();
    this.#counters = counters;
    this.#clock = clock;
    this.#startMs = clock.nowMs();
    this.#heard = heard;
  }

  note(direction: TimelineEvent["direction"], what: string, octets = 0): void {
    const event = { atMs: this.#atMs(), direction, what, octets };
    if (this.events.length < EVENTS_MAX) this.events.push(event);
    else this.eventsLost++;
    this.#heard?.(this, event);
  }

  noteQuery(view: MessageView, problem: string | undefined, inFlightBefore: number): void {
    this.#counters.queries++;
    const qname = problem === undefined ? view.qname.toString() : "?";
    const qtype = problem === undefined ? rrTypeToText(view.qtype) : "?";
    if (this.queries.length < QUERIES_MAX)
      this.queries.push({
        atMs: this.#atMs(),
        id: view.octets.length >= 2 ? view.id : 0,
        qname,
        qtype,
        octets: view.octets.length,
        recursionDesired: view.recursionDesired,
        edns: problem === undefined ? ednsRecord(view) : undefined,
        inFlightBefore,
        problem: problem ?? view.ednsProblem,
      });
    else this.queriesLost++;
    this.note("in", `query ${qname} ${qtype}`, view.octets.length);
  }

  noteAnswer(octets: number): void {
    this.#counters.answers++;
    this.answers++;
    this.note("out", "reply", octets);
  }

  noteHandshake(tls: TlsRecord): void {
    this.#counters.handshakes++;
    this.tls = tls;
    this.note("own", `handshake done: ${tls.version}${tls.isResumed ? ", resumed" : ""}`);
  }

  noteHandshakeFailure(why: string): void {
    this.#counters.handshakesFailed++;
    this.note("own", `handshake failed: ${why}`);
  }

  /** The first reason stays. */
  end(by: EndedBy): void {
    if (this.endedBy !== undefined) return;
    this.endedBy = by;
    this.note(by.startsWith("client") ? "in" : "own", `end: ${by}`);
  }

  #atMs(): number {
    return Math.round((this.#clock.nowMs() - this.#startMs) * 1000) / 1000;
  }
}

function ednsRecord(view: MessageView): EdnsRecord | undefined {
  if (!view.hasEdns) return undefined;
  const keepalive = view.optionData(EdnsOptionCode.TcpKeepalive);
  const read = keepalive === undefined ? undefined : tryReadKeepalive(keepalive);
  return {
    version: view.ednsVersion,
    udpPayloadOctets: view.udpPayloadOctets,
    dnssecOk: view.dnssecOk,
    optionCodes: view
      .options()
      .slice(0, OPTIONS_MAX)
      .map(({ code }) => code),
    keepalive: read === undefined ? undefined : read.ok ? (read.value ?? "empty") : "malformed",
    paddingOctets: view.optionData(EdnsOptionCode.Padding)?.length,
    cookieOctets: view.optionData(EdnsOptionCode.Cookie)?.length,
    clientSubnetBits: view.optionData(EdnsOptionCode.ClientSubnet)?.[2],
  };
}

/** Connections of which something is known, the latest. */
const CONNECTIONS_KEPT_MAX = 500;
/** Events and queries of each, the first. */
const EVENTS_MAX = 200;
const QUERIES_MAX = 200;
const OPTIONS_MAX = 32;
