/**
 * Questions over UDP, with what is known of servers for them: cookies, round trips, who does not repeat the case of a name. Costs
 * one promise per question: what becomes of a datagram is decided while it is there.
 */
import { DnsError, type Endpoint, type Runtime, SharedTimer } from "@sotto/dns/runtime";
import { Rcode } from "@sotto/dns/wire";
import { ClientCookies } from "./client-cookies.ts";
import { clearFacts, decodeReply } from "./exchange-facts.ts";
import { malformed } from "./exchange-failure.ts";
import type { ExchangeRequest, ExchangeResult } from "./exchange-request.ts";
import { RoundTrips } from "./round-trips.ts";
import { UDP_TIMING_DEFAULT, UdpExchange, type UdpReply, type UdpTiming } from "./udp-exchange.ts";
import { type SocketSharing, UdpSockets } from "./udp-sockets.ts";

export interface UdpClientOptions {
  readonly timing: Partial<UdpTiming> | undefined;
  /** Queries under way at once. */
  readonly queriesMax: number;
  readonly sharing: SocketSharing;
  /** Asks over TCP, which tells more than a truncated reply. */
  readonly overTcp: (request: ExchangeRequest) => Promise<ExchangeResult>;
  /** No query is under way any more. */
  readonly onIdle: () => void;
}

/** What comes of a question. */
type UdpOutcome = ExchangeResult | "truncated" | "bad cookie";

export class UdpClient {
  readonly #runtime: Runtime;
  readonly #timing: UdpTiming;
  readonly #queriesMax: number;
  /** Servers that answered in another case. */
  readonly #caseless = new Set<string>();
  readonly #cookies: ClientCookies;
  readonly #roundTrips = new RoundTrips();
  readonly #sockets: UdpSockets;
  readonly #underWay = new UnderWay();
  readonly #timer: SharedTimer;
  readonly #overTcp: UdpClientOptions["overTcp"];
  readonly #onIdle: () => void;
  #isClosed = false;
  /** The server that was asked last, and its key for maps: a text that is put together anew is also hashed anew each time. */
  #latest: Endpoint | undefined = undefined;
  #latestPlace = "";

  constructor(options: UdpClientOptions, runtime: Runtime) {
    const { timing, queriesMax, sharing } = options;
    this.#runtime = runtime;
    this.#timing = { ...UDP_TIMING_DEFAULT, ...timing };
    this.#queriesMax = queriesMax;
    this.#overTcp = options.overTcp;
    this.#onIdle = options.onIdle;
    this.#cookies = new ClientCookies(runtime.random);
    this.#sockets = new UdpSockets(sharing, runtime);
    this.#timer = new SharedTimer(
      { name: "udp exchange", sweep: (nowMs) => this.#underWay.endDue(nowMs) },
      runtime.clock,
    );
  }

  /** Queries under way over UDP. */
  get size(): number {
    return this.#underWay.size;
  }

  /** Rejects with a `DnsError`. */
  exchange(request: ExchangeRequest, localAddress: string | undefined): Promise<ExchangeResult> {
    return new Promise((resolve, reject) => {
      const place = this.#placeOf(request.server);
      let isSecond = false;
      const onEnd = (outcome: UdpReply | Error, exchange: UdpExchange): void => {
        this.#underWay.remove(exchange);
        try {
          const result = this.#judge(request, place, exchange.localAddress, outcome);
          // RFC 7873 §5.3: BADCOOKIE came with a good cookie; after a second one, over TCP.
          if (result === "bad cookie" && !isSecond) {
            isSecond = true;
            this.#ask(request, place, localAddress, onEnd);
          } else resolve(typeof result === "string" ? this.#overTcp(request) : result);
        } catch (problem) {
          reject(problem);
        }
        if (this.#underWay.size === 0) this.#rest();
      };
      this.#ask(request, place, localAddress, onEnd);
    });
  }

  #rest(): void {
    this.#timer.rest();
    this.#onIdle();
  }

  #ask(
    request: ExchangeRequest,
    place: string,
    localAddress: string | undefined,
    onEnd: (outcome: UdpReply | Error, exchange: UdpExchange) => void,
  ): void {
    if (this.#isClosed) throw new DnsError("ERR_ABORTED", "the query was given up", { stage: "query" });
    if (this.#underWay.size >= this.#queriesMax)
      throw new DnsError("ERR_QUOTA_EXCEEDED", `${this.#queriesMax} UDP queries are under way already`, {
        stage: "query",
      });
    const { firstPatienceMs, sendsMax } = this.#timing;
    const exchange = new UdpExchange(
      {
        request,
        place,
        cookies: request.cookies === true && request.edns !== undefined ? this.#cookies : undefined,
        mixesCase: request.mixCase === true && !this.#caseless.has(place),
        socket: this.#sockets.take(request.server, place, localAddress),
        firstPatienceMs: this.#roundTrips.patienceMs(place, firstPatienceMs),
        sendsMax,
        timer: this.#timer,
        onEnd,
      },
      this.#runtime,
    );
    this.#underWay.add(exchange);
    exchange.begin();
  }

  /** Throws what there is instead of a reply. */
  #judge(request: ExchangeRequest, place: string, localAddress: string, reply: UdpReply | Error): UdpOutcome {
    if (reply instanceof Error) {
      if (DnsError.is(reply, "ERR_TIMEOUT")) this.#roundTrips.forget(place);
      throw reply;
    }
    if (reply.hasOtherCase) this.#noteCaseless(place);
    if (reply.lacksCookie) this.#cookies.forget(place, localAddress);
    else this.#roundTrips.note(place, reply.inAllMs);
    if (reply.rcode === Rcode.BadCookie && request.cookies === true) return "bad cookie";
    if (reply.lacksCookie || reply.hasOtherCase) return "truncated";
    if (reply.isTruncated && request.ignoreTruncation !== true) return "truncated";
    const octets = reply.isOwn ? reply.octets : reply.octets.slice();
    const message = decodeReply(octets, request.question);
    if (!message.ok) throw malformed(request, message.problem);
    return { message: message.value, octets, facts: clearFacts(request, "udp", reply) };
  }

  #placeOf(server: Endpoint): string {
    const latest = this.#latest;
    if (server !== latest && (server.address !== latest?.address || server.port !== latest.port)) {
      this.#latest = server;
      this.#latestPlace = `${server.address}|${server.port}`;
    }
    return this.#latestPlace;
  }

  /** A server that does not repeat the case would cost a connection per query. */
  #noteCaseless(place: string): void {
    this.#caseless.add(place);
    for (const oldest of this.#caseless) {
      if (this.#caseless.size <= CASELESS_MAX) break;
      this.#caseless.delete(oldest);
    }
  }

  networkChanged(): void {
    this.#sockets.networkChanged();
    this.#cookies.forgetAll();
    this.#roundTrips.forgetAll();
  }

  /** Gives up what is under way, and closes all sockets. */
  close(): Promise<void> {
    this.#isClosed = true;
    for (const exchange of this.#underWay.all()) exchange.giveUp();
    return this.#sockets.close();
  }
}

/** Exchanges under way. A list whose gaps are filled by its last one holds on to nobody who is over, as a set does for a while. */
class UnderWay {
  readonly #list: UdpExchange[] = [];

  get size(): number {
    return this.#list.length;
  }

  add(one: UdpExchange): void {
    one.index = this.#list.push(one) - 1;
  }

  remove(one: UdpExchange): void {
    const last = this.#list.pop();
    if (last === undefined || last === one) return;
    last.index = one.index;
    this.#list[one.index] = last;
  }

  /** Gives when something is due next. */
  endDue(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    // They leave the list as they end.
    for (const one of this.all()) nextMs = Math.min(nextMs, one.endDue(nowMs));
    return nextMs;
  }

  all(): UdpExchange[] {
    return [...this.#list];
  }
}

/** About 100 bytes each. */
const CASELESS_MAX = 1000;
