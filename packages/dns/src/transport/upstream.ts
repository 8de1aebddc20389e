/** One server to which queries are forwarded, as a {@link Responder}. */
import type { Endpoint, Runtime } from "@sotto/dns/runtime";
import {
  EdnsOptionCode,
  type ExtendedError,
  type Message,
  makeEdns,
  Rcode,
  tryParseAddress,
  tryReadExtendedError,
} from "@sotto/dns/wire";
import { type TlsPolicy, UNAUTHENTICATED_TLS } from "./authentication.ts";
import type { ConnectionStatus } from "./connection-status.ts";
import type { ExchangeResult } from "./exchange-request.ts";
import type { Exchanger } from "./exchanger.ts";
import type { Query, QueryContext, Reply } from "./responder.ts";
import type { UpstreamAddress } from "./upstream-address.ts";
import type { PoolMember } from "./upstream-pool.ts";

export interface UpstreamOptions {
  readonly transport: "udp" | "tcp" | "tls";
  readonly endpoint: Endpoint;
  /** For `tls`; undefined encrypts without authenticating. */
  readonly tls?: TlsPolicy | undefined;
  /** Milliseconds for one query; the client's deadline may be earlier. Default {@link QUERY_TIMEOUT_MS_DEFAULT}. */
  readonly queryTimeoutMs?: number | undefined;
  /** Asks that nobody behind the server learns a part of the client's address (RFC 7871 §7.1.2). Default false. */
  readonly hideClientSubnet?: boolean | undefined;
  /** See `PoolMember.tier`. Default 0. */
  readonly tier?: number | undefined;
  /** Size of blocks that queries over TLS are padded to; 0: none. Default 128 (RFC 8467 §4.1). */
  readonly padBlockOctets?: number | undefined;
  /** Asks for keepalive over TCP and TLS (RFC 7828). Default true. */
  readonly keepalive?: boolean | undefined;
}

type UpstreamExchanger = Pick<
  Exchanger,
  "exchange" | "isBackedOff" | "networkEpoch" | "connectionStatus" | "mayBeTried"
>;

/** Forwards the question with the client's RD, CD and DO. Nothing else of the client's EDNS goes along (RFC 6891 §6.2.6). */
export class Upstream implements PoolMember {
  readonly tier: number;
  readonly server: string;
  readonly #options: UpstreamOptions;
  readonly #exchanger: UpstreamExchanger;
  readonly #runtime: Runtime;
  /** Monotonic milliseconds until which the server is asked without EDNS. */
  #plainUntilMs = 0;

  constructor(options: UpstreamOptions, exchanger: UpstreamExchanger, runtime: Runtime) {
    const { transport, endpoint } = options;
    this.tier = options.tier ?? 0;
    this.server = `${transport === "udp" ? "udp" : "tcp"} ${endpoint.address} ${endpoint.port}`;
    this.#options = options;
    this.#exchanger = exchanger;
    this.#runtime = runtime;
  }

  get endpoint(): Endpoint {
    return this.#options.endpoint;
  }

  get transport(): UpstreamOptions["transport"] {
    return this.#options.transport;
  }

  get isBackedOff(): boolean {
    return this.#exchanger.isBackedOff(this.#way);
  }

  get connectionStatus(): ConnectionStatus | undefined {
    return this.#exchanger.connectionStatus(this.#way);
  }

  get identity(): string | undefined {
    return identityOf(this.#options.tls);
  }

  get #way(): {
    readonly transport: UpstreamOptions["transport"];
    readonly server: Endpoint;
    readonly tls: TlsPolicy | undefined;
  } {
    const { transport, endpoint, tls } = this.#options;
    return { transport, server: endpoint, tls };
  }

  get mayBeTried(): boolean | undefined {
    return this.#exchanger.mayBeTried(this.#way);
  }

  get networkEpoch(): number {
    return this.#exchanger.networkEpoch;
  }

  respond(query: Query, context: QueryContext): Promise<Reply> {
    const nowMs = this.#runtime.clock.nowMs();
    if (nowMs < this.#plainUntilMs) return this.#ask(query, context, false, nowMs).then(toReply);
    return this.#ask(query, context, true, nowMs).then((result) =>
      rejectsEdns(result.message) ? this.#askPlainly(query, context) : toReply(result),
    );
  }

  /** RFC 6891 §6.2.2, §7: a server without EDNS answers FORMERR or NOTIMP and no OPT; it is asked again without. */
  async #askPlainly(query: Query, context: QueryContext): Promise<Reply> {
    const result = await this.#ask(query, context, false, this.#runtime.clock.nowMs());
    if (!rejectsEdns(result.message)) this.#plainUntilMs = this.#runtime.clock.nowMs() + PLAIN_MS;
    return toReply(result);
  }

  #ask(query: Query, context: QueryContext, withEdns: boolean, nowMs: number): Promise<ExchangeResult> {
    const { transport, endpoint, tls, queryTimeoutMs, hideClientSubnet, padBlockOctets, keepalive } =
      this.#options;
    const { question, recursionDesired, checkingDisabled, authenticData, dnssecOk } =
      query.asked ?? query.view;
    const timeoutAtMs = nowMs + (queryTimeoutMs ?? QUERY_TIMEOUT_MS_DEFAULT);
    return this.#exchanger.exchange({
      question,
      server: endpoint,
      transport,
      recursionDesired,
      checkingDisabled,
      // RFC 6840 §5.7: AD in a query asks for AD in the reply.
      authenticData,
      edns: !withEdns ? undefined : dnssecOk ? WITH_DNSSEC : WITHOUT_DNSSEC,
      deadlineMs: Math.min(context.deadlineMs, timeoutAtMs),
      signal: context.signal,
      tls,
      hideClientSubnet,
      padBlockOctets,
      keepalive,
      cookies: true,
      isLastHope: context.isLastHope,
    });
  }
}

function toReply({ message, facts }: ExchangeResult): Reply {
  return {
    message,
    security: "indeterminate",
    protection: facts.protection,
    extendedErrors: extendedErrorsOf(message),
    exchange: facts,
  };
}

/** How a peer must prove who it is, for people; undefined: it need not. */
export function identityOf(tls: TlsPolicy | undefined): string | undefined {
  if (tls === undefined || tls.authenticate === "no") return undefined;
  const { authName, pins, tlsa } = tls;
  const means: string[] = [];
  if (authName !== undefined) means.push(`name ${authName}`);
  if (tlsa !== undefined)
    means.push(tlsa.length === 1 ? "its TLSA record" : `one of ${tlsa.length} TLSA records`);
  if (pins.length > 0) means.push(pins.length === 1 ? `pin sha256:${pins[0]}` : `one of ${pins.length} pins`);
  return means.join(" and ");
}

function rejectsEdns(reply: Message): boolean {
  return reply.edns === undefined && (reply.rcode === Rcode.FormErr || reply.rcode === Rcode.NotImp);
}

/** RFC 8914 §3: a forwarder may pass on what its upstream says about the answer. */
function extendedErrorsOf({ edns }: Message): readonly ExtendedError[] {
  if (edns === undefined || edns.options.length === 0) return NO_ERRORS;
  const errors: ExtendedError[] = [];
  for (const option of edns.options) {
    if (option.code !== EdnsOptionCode.ExtendedError || errors.length >= EXTENDED_ERRORS_MAX) continue;
    const error = tryReadExtendedError(option.data);
    if (error.ok) errors.push(error.value);
  }
  return errors;
}

/** The policy that an upstream's address asks for: strict as soon as it gives a name or pins (RFC 8310 §6.6). */
export function upstreamTlsPolicy(address: UpstreamAddress): TlsPolicy | undefined {
  if (address.transport !== "tls") return undefined;
  const { authName, pins } = address;
  const isStrict = authName !== undefined || pins.length > 0;
  // RFC 6066 §3: an address is no server name.
  const serverName = authName === undefined || tryParseAddress(authName).ok ? undefined : authName;
  return { ...UNAUTHENTICATED_TLS, serverName, authName, pins, authenticate: isStrict ? "required" : "no" };
}

const WITH_DNSSEC = makeEdns({ dnssecOk: true });
const WITHOUT_DNSSEC = makeEdns();
const NO_ERRORS: readonly ExtendedError[] = [];
/** What a stub waits for one try (RFC 1035 §7.2 and resolv.conf say five seconds); two upstreams fit into ten. */
const QUERY_TIMEOUT_MS_DEFAULT = 4000;
/** More than resolvers send; the rest would only make our reply longer. */
const EXTENDED_ERRORS_MAX = 4;
/** As long as Unbound keeps what it knows of a server (`infra-host-ttl: 900`). */
const PLAIN_MS = 900_000;
