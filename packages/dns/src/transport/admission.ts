/**
 * Who may come in, and how much work is under way: one object that all stream listeners of a server share. It counts
 * connections in all, per client and per subnet, handshakes and rates; it shares out places for queries in flight, and
 * resets whoever holds most when the buffers are full; and it tells how patient the server can afford to be (RFC 7766 §6.2.2, §6.2.3, RFC 9210 §4.2).
 */
import type { Clock } from "@sotto/dns/runtime";
import { type ClientLedger, makeClientLedger } from "./client-counts.ts";
import { ClientNetworks, type ClientShare } from "./client-networks.ts";
import type { AdmissionLimits } from "./limits.ts";

/** Why a connection was turned away, for counters. */
export type RefusalReason =
  | "connections"
  | "connections per address"
  | "connections per subnet"
  | "handshakes"
  | "connection rate"
  | "handshake rate";

/** What has happened since the start. */
export interface AdmissionCounters {
  accepted: number;
  /** Idle connections that made room for new ones. */
  displaced: number;
  /** Connections that were reset because they held most when the buffers were full. */
  shed: number;
  /** Times that a connection had to wait because all places for queries were taken. */
  waited: number;
  readonly refused: Record<RefusalReason, number>;
}

/** A connection as admission sees it: something that can make room, or wait for its turn. */
export interface Admitted {
  /** Since when it has been idle, monotonic milliseconds; Infinity while it is not. */
  readonly idleSinceMs: number;
  /** What it holds of half messages and unsent replies. */
  readonly bufferedOctets: number;
  /** Ends it in an orderly way because its place is needed. */
  displace(): void;
  /** Ends it at once because it holds more than anybody else. */
  shed(): void;
  /** It is this connection's turn to read on. Never within a call to {@link Admission}. */
  resumeTurn(): void;
}

/** One accepted connection, from accept to its end. */
export class AdmissionTicket {
  readonly #admission: Admission;
  #share: ClientShare;
  #isCounted: boolean;
  #isHandshaking: boolean;
  #isReleased = false;

  constructor(admission: Admission, address: string, isCounted: boolean, isHandshaking: boolean) {
    this.#admission = admission;
    this.#share = isCounted ? admission.shareOf(address) : NOBODY;
    this.#isCounted = isCounted;
    this.#isHandshaking = isHandshaking;
  }

  /** Under which keys it is counted. */
  get share(): ClientShare {
    return this.#share;
  }

  /** False while it is a proxy's, whose own address is under no limit. */
  get isCounted(): boolean {
    return this.#isCounted;
  }

  get isHandshaking(): boolean {
    return this.#isHandshaking;
  }

  /** A proxy told whom it speaks for: the limits per client are those of that client. False: turn it away. */
  becomeClient(address: string, startsTls: boolean): boolean {
    if (!this.#admission.mayJoin(address, startsTls)) return false;
    this.#admission.uncount(this);
    this.#share = this.#admission.shareOf(address);
    this.#isCounted = true;
    return this.#admission.count(this);
  }

  /** The handshake is over, well or not. */
  handshakeEnded(): void {
    if (!this.#isHandshaking) return;
    this.#isHandshaking = false;
    this.#admission.handshakeEnded();
  }

  /** The connection is gone. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.handshakeEnded();
    this.#admission.forget(this);
  }
}

/** See the head of this file. */
export class Admission {
  readonly counters: AdmissionCounters = {
    accepted: 0,
    displaced: 0,
    shed: 0,
    waited: 0,
    refused: {
      connections: 0,
      "connections per address": 0,
      "connections per subnet": 0,
      handshakes: 0,
      "connection rate": 0,
      "handshake rate": 0,
    },
  };
  #limits: AdmissionLimits;
  readonly #clock: Clock;
  #networks: ClientNetworks;
  readonly #clients: ClientLedger;
  readonly #open = new Set<Admitted>();
  /** Connections that were idle when there last was a lack of places, the longest idle last. */
  #idlest: { readonly connection: Admitted; readonly idleSinceMs: number }[] = [];
  /** Connections that wait for their turn, in order. */
  readonly #waiting = new Set<Admitted>();
  #areTurnsPlanned = false;
  #connections = 0;
  #handshakes = 0;
  #inFlight = 0;
  #bufferedOctets = 0;

  /** Throws a RangeError for exceptions that make no sense. `clients`: when others count clients, too. */
  constructor(limits: AdmissionLimits, clock: Clock, clients: ClientLedger = makeClientLedger()) {
    this.#limits = limits;
    this.#networks = new ClientNetworks(limits);
    this.#clock = clock;
    this.#clients = clients;
    this.#setRates(limits);
  }

  /** For what comes from now on; nobody is ended because of a lower limit. Throws as the constructor does, and then changes nothing. */
  setLimits(limits: AdmissionLimits): void {
    this.#networks = new ClientNetworks(limits);
    this.#limits = limits;
    this.#setRates(limits);
    this.#planTurns();
  }

  #setRates({ connectionRateMax, handshakeRateMax }: AdmissionLimits): void {
    this.#clients.connectionRate.perSecondMax = connectionRateMax;
    this.#clients.handshakeRate.perSecondMax = handshakeRateMax;
  }

  /** Connections now, those in their handshake included. */
  get connections(): number {
    return this.#connections;
  }

  get handshakes(): number {
    return this.#handshakes;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get bufferedOctets(): number {
    return this.#bufferedOctets;
  }

  /**
   * From 1 (nothing to do) to 0 (tell clients to go): by the fullest of connections, queries in flight and octets. Up to
   * half of a budget all timers have their configured length, then they shrink with what is left.
   */
  get patience(): number {
    const limits = this.#limits;
    // Few clients can fill these two budgets; for them there are turns and shedding, and others keep part of their time.
    const work = Math.max(
      this.#inFlight / limits.inFlightTotalMax,
      this.#bufferedOctets / limits.bufferedOctetsMax,
    );
    const load = Math.max(this.#connections / limits.connectionsMax, Math.min(work, WORK_LOAD_MAX));
    if (load <= LOAD_CALM) return 1;
    if (load >= LOAD_FULL) return 0;
    return (LOAD_FULL - load) / (LOAD_FULL - LOAD_CALM);
  }

  /** Takes a new connection; undefined turns it away. A proxy's own address is under no limit but that of all. */
  admit(address: string, isProxy: boolean, startsTls: boolean): AdmissionTicket | undefined {
    const needsHandshake = startsTls || isProxy;
    if (needsHandshake && this.#handshakes >= this.#limits.handshakesMax) return this.#refuse("handshakes");
    if (!isProxy && !this.mayJoin(address, startsTls)) return undefined;
    if (this.#connections >= this.#limits.connectionsMax && !this.#displaceIdlest())
      return this.#refuse("connections");
    const ticket = new AdmissionTicket(this, address, !isProxy, needsHandshake);
    if (!this.count(ticket)) {
      this.uncount(ticket);
      return undefined;
    }
    this.#connections++;
    if (needsHandshake) this.#handshakes++;
    this.counters.accepted++;
    return ticket;
  }

  /** A connection that is served from now on, and can make room when it is idle. */
  opened(connection: Admitted): void {
    this.#open.add(connection);
  }

  closed(connection: Admitted): void {
    this.#open.delete(connection);
    this.#waiting.delete(connection);
  }

  /** True while a place for a query is left for whoever reads on now. */
  get hasRoom(): boolean {
    return this.#inFlight < this.#limits.inFlightTotalMax;
  }

  /** Queries that began (positive) or ended. */
  addInFlight(change: number): void {
    this.#inFlight += change;
    if (change < 0) this.#planTurns();
  }

  /** When all buffers together are full, whoever holds most is reset: those who read their answers are not made to wait. */
  addBuffered(octets: number): void {
    this.#bufferedOctets += octets;
    while (octets > 0 && this.#bufferedOctets > this.#limits.bufferedOctetsMax) {
      const fattest = this.#findFattest();
      if (fattest === undefined) return;
      this.counters.shed++;
      fattest.shed();
    }
  }

  /** A pass over all connections, which a reset of the one that holds most pays for. */
  #findFattest(): Admitted | undefined {
    let fattest: Admitted | undefined;
    for (const connection of this.#open)
      if (connection.bufferedOctets > (fattest?.bufferedOctets ?? 0)) fattest = connection;
    return fattest;
  }

  /** Asks for `resumeTurn` when there is room; whoever waits longest comes first, so that nobody is starved. */
  waitForTurn(connection: Admitted): void {
    if (this.#waiting.has(connection)) return;
    this.#waiting.add(connection);
    this.counters.waited++;
  }

  /**
   * Not in the call that gives a place back: a handler may answer one query while it looks at another, whose answer stands in memory that
   * it uses for all; and who has its turn may be answered at once, whoever is next, too, and so on as deep as the stack is.
   */
  #planTurns(): void {
    if (this.#areTurnsPlanned || this.#waiting.size === 0) return;
    this.#areTurnsPlanned = true;
    if (this.#clock.afterArrivals === undefined) queueMicrotask(this.#giveTurns);
    else this.#clock.afterArrivals(this.#giveTurns);
  }

  readonly #giveTurns = (): void => {
    this.#areTurnsPlanned = false;
    // Each may take its place at once, or wait again at the end of the line.
    for (let turns = this.#waiting.size; turns > 0 && this.hasRoom; turns--) {
      const [first] = this.#waiting;
      if (first === undefined) return;
      this.#waiting.delete(first);
      first.resumeTurn();
    }
  };

  // What follows is for tickets.

  /** Whether one more connection of this client is within its limits; counts a refusal. */
  mayJoin(address: string, startsTls: boolean): boolean {
    const limits = this.#limits;
    const nowMs = this.#clock.nowMs();
    const { client, subnet, factor } = this.shareOf(address);
    const { perClient, perSubnet, connectionRate, handshakeRate } = this.#clients;
    let reason: RefusalReason | undefined;
    if (perClient.of(client) >= limits.connectionsPerAddressMax * factor) reason = "connections per address";
    else if (perSubnet.of(subnet) >= limits.connectionsPerSubnetMax * factor)
      reason = "connections per subnet";
    else if (!connectionRate.take(client, nowMs, factor)) reason = "connection rate";
    else if (startsTls && !handshakeRate.take(client, nowMs, factor)) reason = "handshake rate";
    if (reason !== undefined) this.#refuse(reason);
    return reason === undefined;
  }

  /** Whom an address is counted with. */
  shareOf(address: string): ClientShare {
    return this.#networks.of(address);
  }

  /** False: others who count the same clients had the same moment, and it is one too many. */
  count({ isCounted, share: { client, subnet, factor } }: AdmissionTicket): boolean {
    if (!isCounted) return true;
    const { perClient, perSubnet } = this.#clients;
    const { connectionsPerAddressMax, connectionsPerSubnetMax } = this.#limits;
    const ofClient = perClient.add(client, 1);
    const ofSubnet = perSubnet.add(subnet, 1);
    if (ofClient - 1 >= connectionsPerAddressMax * factor) this.#refuse("connections per address");
    else if (ofSubnet - 1 >= connectionsPerSubnetMax * factor) this.#refuse("connections per subnet");
    else return true;
    return false;
  }

  uncount(ticket: AdmissionTicket): void {
    if (!ticket.isCounted) return;
    this.#clients.perClient.add(ticket.share.client, -1);
    this.#clients.perSubnet.add(ticket.share.subnet, -1);
  }

  handshakeEnded(): void {
    this.#handshakes--;
  }

  forget(ticket: AdmissionTicket): void {
    this.#connections--;
    this.uncount(ticket);
  }

  #refuse(reason: RefusalReason): undefined {
    this.counters.refused[reason]++;
    return undefined;
  }

  /** Ends the connection that has been idle longest (RFC 9210 §4.2); false when none is idle. */
  #displaceIdlest(): boolean {
    for (let isFresh = false; ; isFresh = true) {
      for (let next = this.#idlest.pop(); next !== undefined; next = this.#idlest.pop()) {
        const { connection, idleSinceMs } = next;
        // One found earlier may have been busy since, or have gone.
        if (!this.#open.has(connection) || connection.idleSinceMs !== idleSinceMs) continue;
        connection.displace();
        this.counters.displaced++;
        return true;
      }
      if (isFresh) return false;
      this.#idlest = this.#findIdlest();
    }
  }

  /** Some that have been idle longest, so that a flood of connections does not search through all each time. */
  #findIdlest(): { connection: Admitted; idleSinceMs: number }[] {
    const idle = [...this.#open]
      .map((connection) => ({ connection, idleSinceMs: connection.idleSinceMs }))
      .filter(({ idleSinceMs }) => idleSinceMs !== Number.POSITIVE_INFINITY);
    idle.sort((a, b) => b.idleSinceMs - a.idleSinceMs);
    return idle.slice(-IDLEST_KEPT);
  }
}

/** Up to half of every budget a server is not under load: the other half is there for bursts. */
const LOAD_CALM = 0.5;
/** From here clients are told to go (RFC 7828 §3.3.2), before newcomers have to displace anybody. */
const LOAD_FULL = 0.98;
/** The most that queries in flight and buffers count for as load. */
const WORK_LOAD_MAX = 0.8;
/** A search costs a pass over all connections: one per so many displaced is next to nothing. */
const IDLEST_KEPT = 64;
/** Of a proxy, which is under no limit of clients. */
const NOBODY: ClientShare = { client: "", subnet: "", factor: 1 };
