/** One opening of a captive portal: asks one server in clear for some names, and for what they are aliases of. */
import { DnsError, type Endpoint, type Runtime, silentEvents } from "@sotto/dns/runtime";
import {
  type ExchangeFacts,
  Exchanger,
  type Query,
  type QueryContext,
  type Reply,
} from "@sotto/dns/transport";
import {
  EdeCode,
  type ExtendedError,
  type Message,
  makeMessage,
  Name,
  Rcode,
  type ResourceRecord,
  RRType,
} from "@sotto/dns/wire";
import type { PortalRequest } from "./portal-request.ts";

export class PortalOpening {
  readonly names: readonly Name[];
  readonly server: Endpoint;
  /** Monotonic milliseconds. */
  readonly openedAtMs: number;
  readonly endsAtMs: number;
  /** Questions that went in clear, aliases included. */
  queriesInClear = 0;
  readonly #runtime: Runtime;
  /** Of its own: what the portal does teaches nothing about upstreams, and goes with it. */
  readonly #exchanger: Exchanger;
  #inFlight = 0;

  constructor({ names, server, forMs }: PortalRequest, runtime: Runtime) {
    this.names = names;
    this.server = server;
    this.#runtime = runtime;
    this.#exchanger = new Exchanger({}, { ...runtime, events: silentEvents });
    this.openedAtMs = runtime.clock.nowMs();
    this.endsAtMs = this.openedAtMs + forMs;
  }

  covers(qname: Name): boolean {
    return this.names.some((name) => qname.isAtOrBelow(name));
  }

  /** Milliseconds that are left, never negative. */
  get leftMs(): number {
    return Math.max(0, this.endsAtMs - this.#runtime.clock.nowMs());
  }

  /** The machine was asleep or its clock was set: it may be elsewhere now. */
  get hasMoved(): boolean {
    return this.#exchanger.networkEpoch > 0;
  }

  /** Never rejects with a `DnsError` but for a caller that gave up: what fails is SERVFAIL with its reason. */
  async respond(query: Query, context: QueryContext): Promise<Reply> {
    if (this.#inFlight >= IN_FLIGHT_MAX) return this.#failure(query, "too many questions wait for it");
    this.#inFlight++;
    try {
      return await this.#resolve(query, context);
    } catch (error) {
      if (!DnsError.is(error) || error.code === "ERR_ABORTED") throw error;
      return this.#failure(query, `${error.stage ?? "query"} failed`);
    } finally {
      this.#inFlight--;
    }
  }

  /** Gives up what is under way. */
  close(): Promise<void> {
    return this.#exchanger.close();
  }

  /** The server may leave aliases to us; who gave an alias knows its target, so that asking for it tells nothing new. */
  async #resolve(query: Query, context: QueryContext): Promise<Reply> {
    const { view } = query;
    const answers: ResourceRecord[] = [];
    let name = view.qname;
    for (;;) {
      const { message, facts } = await this.#ask(query, name, context);
      const chain = chainFrom(name, view.qtype, message);
      answers.push(...chain.records);
      // A loop is a long chain, too.
      if (answers.filter(({ type }) => type === RRType.CNAME).length > ALIASES_MAX)
        return this.#failure(query, "its aliases lead nowhere");
      if (message.rcode !== Rcode.NoError || chain.isComplete || chain.end.equals(name))
        return this.#reply(query, message.rcode, answers, facts);
      name = chain.end;
    }
  }

  #ask(
    { view }: Query,
    name: Name,
    { deadlineMs, signal }: QueryContext,
  ): Promise<{ readonly message: Message; readonly facts: ExchangeFacts }> {
    this.queriesInClear++;
    return this.#exchanger.exchange({
      question: { name, type: view.qtype, class: view.qclass },
      server: this.server,
      transport: "udp",
      recursionDesired: true,
      checkingDisabled: false,
      authenticData: false,
      // Portals answer with a handful of addresses, and some of them drop what has EDNS.
      edns: undefined,
      deadlineMs: Math.min(deadlineMs, this.#runtime.clock.nowMs() + TRY_TIMEOUT_MS),
      signal,
    });
  }

  #reply(
    query: Query,
    rcode: Rcode,
    answers: readonly ResourceRecord[],
    exchange: ExchangeFacts | undefined,
    extendedErrors: readonly ExtendedError[] = [],
  ): Reply {
    const ttlMax = Math.floor(this.leftMs / 1000);
    return {
      // No authorities: without a SOA nobody keeps that there is nothing (RFC 2308 §5).
      message: makeMessage({
        isResponse: true,
        rcode,
        questions: [query.view.question],
        answers: answers.map((record) => ({ ...record, ttl: Math.min(record.ttl, ttlMax) })),
      }),
      security: "indeterminate",
      protection: "clear",
      extendedErrors: [this.#remark(), ...extendedErrors],
      isPersonal: true,
      exchange,
    };
  }

  #failure(query: Query, text: string): Reply {
    return this.#reply(query, Rcode.ServFail, [], undefined, [{ code: EdeCode.NetworkError, text }]);
  }

  /**
   * No registered code says it: 4 (forged) and 15 to 17 (blocked, censored, filtered) speak of policies about names, 5 of a
   * validation that was tried. RFC 8914 §4.1 wants "Other" with a text then.
   */
  #remark(): ExtendedError {
    const text = `captive portal: asked ${this.server.address} in clear, not private, not validated`;
    return { code: EdeCode.Other, text };
  }
}

interface Chain {
  readonly records: readonly ResourceRecord[];
  /** What is asked for is among them. */
  readonly isComplete: boolean;
  readonly end: Name;
}

/** The aliases from a name on, and the records at their end; whatever else is in the message is left out. */
function chainFrom(start: Name, type: RRType, { answers }: Message): Chain {
  const records: ResourceRecord[] = [];
  let end = start;
  for (let aliases = 0; aliases <= ALIASES_MAX; aliases++) {
    const found = answers.filter((record) => record.type === type && record.owner.equals(end));
    if (found.length > 0) return { records: [...records, ...found], isComplete: true, end };
    const alias = answers.find((record) => record.type === RRType.CNAME && record.owner.equals(end));
    if (alias === undefined) break;
    records.push(alias);
    end = new Name(alias.rdata);
  }
  return { records, isComplete: false, end };
}

/** A page has a dozen hosts, each with two or three types. */
const IN_FLIGHT_MAX = 100;
/** Of one question; as many as resolvers commonly follow. */
const ALIASES_MAX = 8;
/** As long as an upstream gets for one try; a portal is one hop away. */
const TRY_TIMEOUT_MS = 4000;
