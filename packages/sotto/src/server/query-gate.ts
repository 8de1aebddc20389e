/**
 * What every server does with a message before it looks for an answer: acceptance, access, cookies. Whoever gets no further has its
 * answer, and each answer is counted, here.
 */
import type { Clock } from "@sotto/dns/runtime";
import type { QueryChannel } from "@sotto/dns/transport";
import {
  EdeCode,
  type ExtendedError,
  HeaderFlag,
  type MessageView,
  patchFlags,
  Rcode,
  uint16At,
} from "@sotto/dns/wire";
import { type Acceptance, acceptQuery } from "./accept-query.ts";
import { bareResponse } from "./finish-response.ts";
import { AccessList, type AccessOptions, LOOPBACK_ONLY } from "./middleware/access-list.ts";
import { OutcomeTally, type QueryOutcome } from "./outcome-counters.ts";
import { ServerCookies, type ServerCookiesOptions } from "./server-cookies.ts";

export interface QueryGateOptions {
  /** Who may ask. Default: loopback only. */
  readonly access?: AccessOptions | undefined;
  /** DNS cookies (RFC 7873); absent: none are given. */
  readonly cookies?: ServerCookiesOptions | undefined;
  /** Counters to go on with; absent: new ones. */
  readonly outcomes?: OutcomeTally | undefined;
  /** Zone transfers go on like other queries. Default: they are refused. */
  readonly takesTransfers?: boolean | undefined;
}

/** What {@link QueryGate.check} gives for a query that may go on. */
export const OPEN = Symbol("open");

export class QueryGate {
  readonly outcomes: OutcomeTally;
  readonly cookies: ServerCookies | undefined;
  readonly #access: AccessList;
  readonly #takesTransfers: boolean;

  constructor(options: QueryGateOptions, clock: Clock) {
    this.outcomes = options.outcomes ?? new OutcomeTally();
    this.cookies = options.cookies && new ServerCookies(options.cookies, () => clock.wallMs());
    this.#access = new AccessList(options.access ?? LOOPBACK_ONLY);
    this.#takesTransfers = options.takesTransfers ?? false;
  }

  /** {@link OPEN}, or what the sender gets; `view` shows the message then. */
  check(view: MessageView, octets: Uint8Array, channel: QueryChannel): Uint8Array | undefined | typeof OPEN {
    const acceptance = acceptQuery(view, view.reset(octets), channel.origin.transport, this.#takesTransfers);
    if (acceptance.kind === "drop") return this.count("dropped", channel, undefined);
    if (!this.#mayAsk(channel)) return this.#forbid(view, channel);
    if (acceptance.kind === "reject") return this.#reject(acceptance, view, channel);
    if (this.#lacksCookie(view, channel)) return this.refuse("refused", view, channel, Rcode.BadCookie);
    return OPEN;
  }

  count<T>(outcome: QueryOutcome, channel: QueryChannel, answer: T): T {
    this.outcomes.count(channel.origin.transport, outcome);
    return answer;
  }

  /** An answer without records, counted. */
  refuse(
    outcome: QueryOutcome,
    view: MessageView,
    channel: QueryChannel,
    rcode: Rcode,
    errors: readonly ExtendedError[] = NO_ERRORS,
  ): Uint8Array {
    return this.count(outcome, channel, bareResponse(view, channel, rcode, errors, this.cookies));
  }

  /** What the program asks itself needs no leave. */
  #mayAsk(channel: QueryChannel): boolean {
    const { remote, clientVerdict } = channel.origin;
    if (clientVerdict !== undefined) return clientVerdict === "allowed";
    return remote === undefined || this.#access.allows(remote.address);
  }

  /** RFC 7873 §5.2.3: by policy, a client cookie alone is not enough over UDP; over TCP the client is known to be there. */
  #lacksCookie(view: MessageView, channel: QueryChannel): boolean {
    const { origin } = channel;
    return (
      this.cookies?.policy === "require over udp" &&
      origin.transport === "udp" &&
      this.cookies.judge(view, origin) === "client only"
    );
  }

  #forbid(view: MessageView, channel: QueryChannel): Uint8Array | undefined {
    if (this.#access.action === "drop") return this.count("dropped", channel, undefined);
    const octets = this.refuse("refused", view, channel, Rcode.Refused, PROHIBITED);
    // Whoever may not ask has no recursion available here (RFC 1035 §4.1.1).
    patchFlags(octets, 0, uint16At(octets, 2) & ~HeaderFlag.RecursionAvailable);
    return octets;
  }

  #reject(rejection: Acceptance & { kind: "reject" }, view: MessageView, channel: QueryChannel): Uint8Array {
    const { rcode, errors } = rejection;
    const isMalformed = rcode === Rcode.FormErr || rcode === Rcode.BadVers;
    const refused = isMalformed ? "malformed" : rcode === Rcode.NotImp ? "not implemented" : "refused";
    return this.refuse(rcode === Rcode.NoError ? "answered" : refused, view, channel, rcode, errors);
  }
}

const NO_ERRORS: readonly ExtendedError[] = [];
const PROHIBITED: readonly ExtendedError[] = [{ code: EdeCode.Prohibited, text: "" }];
