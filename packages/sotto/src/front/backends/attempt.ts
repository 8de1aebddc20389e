/** One query at one backend: what a connection or a socket carries, and who is told what became of it. */
import type { DnsError, Endpoint } from "@sotto/dns/runtime";
import type { ConnectionQuery, QueryOutcome } from "@sotto/dns/transport";
import type { Question } from "@sotto/dns/wire";
import type { Lane } from "./stream-lanes.ts";

/** Why a try brought no reply; also the names of counters. */
export type FailureKind =
  /** No reply in time. */
  | "timeout"
  /** No connection, or it ended. */
  | "connection"
  /** A reply that is none. */
  | "malformed"
  /** The backend went down, or was drained, while the query was there. */
  | "down"
  /** No place for it. */
  | "busy";

/** Who tries. */
export interface AttemptOwner {
  /** Called at most once, and not after {@link Attempt.isAwaited} was taken back; the octets are valid during the call. */
  replied(attempt: Attempt, octets: Uint8Array, nowMs: number): void;
  /** The same. */
  failed(attempt: Attempt, kind: FailureKind, problem: DnsError, nowMs: number): void;
}

/** The backend. */
export interface AttemptCarrier {
  readonly name: string;
  settled(attempt: Attempt, outcome: QueryOutcome): void;
  /** The owner of a try has waited for longer than most tries take. */
  noteSlow(nowMs: number): void;
}

/** What a try is about. */
export interface AttemptQuery {
  readonly octets: Uint8Array;
  readonly question: Question;
  readonly deadlineMs: number;
  readonly client: Endpoint | undefined;
  readonly local: Endpoint | undefined;
}

/** One object for all layers, because there is one for each query; the fields say whose they are. */
export class Attempt implements ConnectionQuery {
  readonly query: AttemptQuery;
  readonly owner: AttemptOwner;
  readonly carrier: AttemptCarrier;
  readonly deadlineMs: number;
  /** A client gets octets of its own anyway. */
  readonly borrowsReply = true;
  /** As they leave, dressed for the transport. */
  octets: Uint8Array;
  asksKeepalive = false;
  /** It waits to the end on its connection. */
  isPatient = false;
  /** False once its owner does not want to know any more; the backend still has it. */
  isAwaited = true;
  /** Of the owner: it has waited for longer than most. */
  isSlow = false;
  /** Of the owner: what went wrong, in a few words. */
  problem = "";
  /** Of the backend: false while it only waits for a place, and when there was no connection to send it on. */
  wasSent = false;
  /** Of the backend: monotonic milliseconds of when it left the queue. */
  startedAtMs = 0;
  /** Of the backend: its place among those in flight; -1: none. */
  index = -1;
  /** Of the backend: connections that ended before they answered it, although they answered others. */
  moves = 0;
  /** Of the backend: the reply over UDP was truncated. */
  isOverTcp = false;
  /** Of the backend: it is asked without EDNS. */
  isPlain = false;
  /** Of the backend: it was refused because of EDNS, and nothing else can be why. */
  provesPlain = false;
  /** Of the stream lanes. */
  lane: Lane | undefined = undefined;
  /** Of the stream lanes: which query of its connection it is, from 1. */
  number = 0;
  /** Of the sockets: times that it was sent. */
  sends = 0;
  /** Of the sockets: when to send it again, monotonic milliseconds. */
  resendAtMs = 0;

  constructor(query: AttemptQuery, owner: AttemptOwner, carrier: AttemptCarrier) {
    this.query = query;
    this.owner = owner;
    this.carrier = carrier;
    this.deadlineMs = query.deadlineMs;
    this.octets = query.octets;
  }

  get question(): Question {
    return this.query.question;
  }

  /** From a connection. */
  settle(outcome: QueryOutcome): void {
    this.carrier.settled(this, outcome);
  }
}
