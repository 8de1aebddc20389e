/** An upstream that is known by name, at the addresses that the name has at the time of the query (RFC 8310 §7.2). */
import { DnsError, type Endpoint, type Runtime } from "@sotto/dns/runtime";
import {
  identityOf,
  type PoolMember,
  type Query,
  type QueryContext,
  type Reply,
  type TlsPolicy,
  type UpstreamLookup,
} from "@sotto/dns/transport";
import { RRType } from "@sotto/dns/wire";
import type { UpstreamAddresses } from "./upstream-addresses.ts";
import { Ways } from "./ways.ts";

export interface NamedUpstreamOptions {
  readonly name: string;
  readonly port: number;
  readonly transport: "udp" | "tcp" | "tls";
  readonly tier: number;
  /** Undefined: in clear. */
  readonly tls: TlsPolicy | undefined;
  readonly addresses: UpstreamAddresses;
  memberAt(address: string): PoolMember;
  networkEpoch(): number;
  /** Called when it proved at that address who it is. */
  onAuthenticated(address: string): void;
}

export class NamedUpstream implements PoolMember {
  readonly #options: NamedUpstreamOptions;
  readonly #ways: Ways;
  readonly #runtime: Runtime;

  constructor(options: NamedUpstreamOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    this.#ways = new Ways(
      {
        make: (address) => options.memberAt(address),
        onReply: (address, { protection }) => {
          if (protection === "authenticated") options.onAuthenticated(address);
        },
      },
      runtime.clock,
    );
  }

  get endpoint(): Endpoint | undefined {
    const { port } = this.#options;
    const address = this.#ways.preferred(this.#addresses);
    return address === undefined ? undefined : { address, port };
  }

  get transport(): "udp" | "tcp" | "tls" {
    return this.#options.transport;
  }

  get tier(): number {
    return this.#options.tier;
  }

  get server(): string {
    const { transport, name, port } = this.#options;
    return `${transport === "udp" ? "udp" : "tcp"} ${name} ${port}`;
  }

  get isBackedOff(): boolean {
    const { addresses } = this.#options;
    return addresses.isBackedOff || this.#ways.areBackedOff(this.#addresses);
  }

  get networkEpoch(): number {
    return this.#options.networkEpoch();
  }

  get identity(): string | undefined {
    return identityOf(this.#options.tls);
  }

  get connectionStatus(): PoolMember["connectionStatus"] {
    return this.#ways.preferredMember(this.#addresses)?.connectionStatus;
  }

  get lookup(): UpstreamLookup {
    const { name, port, addresses } = this.#options;
    const { from, lastFailure } = addresses;
    const known = this.#addresses;
    const preferred = this.#ways.preferred(known);
    const inOrder = preferred === undefined ? [] : [preferred, ...known.filter((one) => one !== preferred)];
    return { name, port, addresses: inOrder, from, lastFailure };
  }

  async respond(query: Query, context: QueryContext): Promise<Reply> {
    const { addresses } = this.#options;
    if (addresses.told.length === 0 && asksForAddress(query, addresses)) throw addresses.selfReference();
    await addresses.find(context, this.#needsProof ? "any" : "fresh");
    try {
      return await this.#ways.ask(this.#addresses, query, context);
    } catch (cause) {
      if (!DnsError.is(cause) || cause.code === "ERR_ABORTED" || cause.code === "ERR_CLOSED") throw cause;
      const isOver = context.signal.aborted || this.#runtime.clock.nowMs() >= context.deadlineMs;
      if (isOver || !(await addresses.renew(context))) throw cause;
      return this.#ways.ask(this.#addresses, query, context);
    }
  }

  /** An address of old is good enough where a certificate is asked for. */
  get #addresses(): readonly string[] {
    const { addresses } = this.#options;
    return this.#needsProof ? addresses.current : addresses.told;
  }

  get #needsProof(): boolean {
    return this.#options.tls?.authenticate === "required";
  }
}

/** A query for the addresses that are wanted to send it, which would wait for itself. */
function asksForAddress({ view }: Query, { owner }: UpstreamAddresses): boolean {
  const { name, type } = view.question;
  return (type === RRType.A || type === RRType.AAAA) && name.equals(owner);
}
