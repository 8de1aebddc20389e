/**
 * Captive portals. Some networks let nobody out before a page of their own was seen, whose name only their own resolver knows.
 * The strict profile cannot ask it; RFC 7858 §4.2 and RFC 8310 §6.6 leave that to users who are told that their DNS is
 * not private then. So an opening is never made by the program itself: an operator names what goes in clear, to which server
 * and for how long. Everything else stays under the profile. Not here: finding out that there is a portal.
 */
import { DnsError, type Endpoint, type Runtime, type Timer } from "@sotto/dns/runtime";
import type { Middleware } from "@sotto/dns/transport";
import { type MessageView, RRClass, RRType } from "@sotto/dns/wire";
import type { PortalConfig } from "../config/index.ts";
import { PortalOpening } from "./portal-opening.ts";
import { readPortalRequest } from "./portal-request.ts";

/** What is told about openings. */
export interface PortalStatus {
  readonly isAllowed: boolean;
  /** Undefined: closed, and nothing goes in clear for a portal. */
  readonly opening: OpeningStatus | undefined;
  /** The latest one that has ended; undefined when there was none. */
  readonly last: (OpeningStatus & { readonly reason: string; readonly endedAgoMs: number }) | undefined;
  /** Of all openings since the start. */
  readonly queriesInClear: number;
}

export interface OpeningStatus {
  readonly names: readonly string[];
  readonly server: Endpoint;
  readonly openForMs: number;
  /** Until it closes by itself; 0 for one that has ended. */
  readonly leftMs: number;
  readonly queriesInClear: number;
}

interface Ended {
  readonly status: OpeningStatus;
  readonly reason: string;
  readonly atMs: number;
}

export class Portal {
  #config: PortalConfig;
  /** True when asking that endpoint would come back to us. */
  readonly #isOurself: (server: Endpoint) => boolean;
  readonly #runtime: Runtime;
  #opening: PortalOpening | undefined = undefined;
  #last: Ended | undefined = undefined;
  #timer: Timer | undefined = undefined;
  #closing: Promise<void> = Promise.resolve();
  #queriesInClear = 0;

  constructor(config: PortalConfig, isOurself: (server: Endpoint) => boolean, runtime: Runtime) {
    this.#config = config;
    this.#isOurself = isOurself;
    this.#runtime = runtime;
  }

  /** Before everything that answers by itself: for the names of an opening the operator's word counts. */
  readonly member: Middleware = (next) => ({
    respond: (query, context) => {
      const opening = this.#openingFor(query.view);
      return opening === undefined ? next.respond(query, context) : opening.respond(query, context);
    },
  });

  /** True for a question that goes to the portal, and so must not come from a cache or go into one. */
  covers(view: MessageView): boolean {
    return this.#opening !== undefined && this.#openingFor(view) !== undefined;
  }

  get status(): PortalStatus {
    const opening = this.#current();
    const last = this.#last;
    return {
      isAllowed: this.#config.isAllowed,
      opening: opening && this.#statusOf(opening),
      last: last && {
        ...last.status,
        reason: last.reason,
        endedAgoMs: this.#runtime.clock.nowMs() - last.atMs,
      },
      queriesInClear: this.#queriesInClear + (opening?.queriesInClear ?? 0),
    };
  }

  /** `NAMES SERVER [DURATION]`. Throws ERR_CONFIG that says why not. */
  open(words: readonly string[]): PortalStatus {
    if (!this.#config.isAllowed)
      throw new DnsError("ERR_CONFIG", "the configuration forbids it (stub.portal.allowed: false)");
    if (this.#current() !== undefined)
      throw new DnsError("ERR_CONFIG", "a portal is open already; close it first");
    const request = readPortalRequest(words, this.#config.forMsMax, this.#isOurself);
    if (!request.ok) throw new DnsError("ERR_CONFIG", request.problem);
    this.#opening = new PortalOpening(request.value, this.#runtime);
    this.#tell("opened", { profile: this.#config.profile });
    this.#wait();
    return this.status;
  }

  /** Does nothing when none is open. */
  close(reason: string): PortalStatus {
    const opening = this.#opening;
    if (opening !== undefined) {
      const status = { ...this.#statusOf(opening), leftMs: 0 };
      this.#tell("closed", { reason });
      this.#last = { status, reason, atMs: this.#runtime.clock.nowMs() };
      this.#queriesInClear += opening.queriesInClear;
      this.#opening = undefined;
      this.#timer?.cancel();
      this.#closing = Promise.all([this.#closing, opening.close()]).then(() => undefined);
    }
    return this.status;
  }

  /** Another configuration; whatever is open closes. */
  reconfigure(config: PortalConfig): void {
    this.close("reloaded");
    this.#config = config;
  }

  /** Closes, and waits until nothing is under way. */
  async end(): Promise<void> {
    this.close("the stub ends");
    await this.#closing;
  }

  #openingFor(view: MessageView): PortalOpening | undefined {
    const opening = this.#current();
    const isOrdinary = view.recursionDesired && view.qclass === RRClass.IN && view.qtype !== RRType.ANY;
    return isOrdinary && opening?.covers(view.qname) === true ? opening : undefined;
  }

  /** Timers may come late: what is over is over at the first look. */
  #current(): PortalOpening | undefined {
    if (this.#opening?.hasMoved === true) this.close("the clock jumped: asleep, or set");
    else if (this.#opening?.leftMs === 0) this.close("its time is over");
    return this.#opening;
  }

  #wait(): void {
    const delayMs = Math.min(REMIND_MS, this.#opening?.leftMs ?? 0);
    this.#timer = this.#runtime.clock.startTimer("captive portal", delayMs, () => this.#remind(), true);
  }

  #remind(): void {
    if (this.#current() === undefined) return;
    this.#tell("open");
    this.#wait();
  }

  #statusOf(opening: PortalOpening): OpeningStatus {
    const { names, server, leftMs, openedAtMs, queriesInClear } = opening;
    const openForMs = this.#runtime.clock.nowMs() - openedAtMs;
    return { names: names.map((name) => name.toString()), server, openForMs, leftMs, queriesInClear };
  }

  #tell(what: "opened" | "open" | "closed", details: Readonly<Record<string, unknown>> = {}): void {
    if (this.#opening === undefined) return;
    const { names, server, leftMs, queriesInClear } = this.#statusOf(this.#opening);
    this.#runtime.events.publish(`portal.${what}`, {
      // RFC 8310 §6.6: whoever reads it must learn just this.
      alert: what === "closed" ? "DNS is under the profile again" : "DNS IS NOT PRIVATE for these names",
      names: names.join(" "),
      server: `${server.address} port ${server.port}`,
      ...(what === "closed" ? {} : { leftSeconds: Math.ceil(leftMs / 1000) }),
      queriesInClear,
      ...details,
    });
  }
}

/** Often enough to be seen by whoever looks at the log. */
const REMIND_MS = 60_000;
