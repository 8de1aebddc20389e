/** An upstream that is known by name, at the addresses that the name has at the time of the query (RFC 8310 §7.2). */
import { DnsError, type Endpoint, type Runtime } from "@sotto/dns/runtime";
import type { PoolMember, Query, QueryContext, Reply, UpstreamLookup } from "@sotto/dns/transport";
import { RRType } from "@sotto/dns/wire";
import type { UpstreamAddresses } from "./upstream-addresses.ts";
import { Ways } from "./ways.ts";

export interface NamedUpstreamOptions {
  readonly name: string;
  readonly port: number;
  readonly transport: "udp" | "tcp" | "tls";
  readonly tier: number;
  /** How it must prove who it is, for people; undefined: it need not. */
  readonly identity: string | undefined;
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
    const { addresses, port } = this.#options;
    const address = this.#ways.preferred(addresses.current);
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
    return addresses.isBackedOff || this.#ways.areBackedOff(addresses.current);
  }

  get networkEpoch(): number {
    return this.#options.networkEpoch();
  }

  get identity(): string | undefined {
    return this.#options.identity;
  }

  get connectionStatus(): PoolMember["connectionStatus"] {
    return this.#ways.preferredMember(this.#options.addresses.current)?.connectionStatus;
  }

  get lookup(): UpstreamLookup {
    const { name, port, addresses } = this.#options;
    const { current, from, lastFailure } = addresses;
    const preferred = this.#ways.preferred(current);
    const inOrder = preferred === undefined ? [] : [preferred, ...current.filter((one) => one !== preferred)];
    return { name, port, addresses: inOrder, from, lastFailure };
  }

  async respond(query: Query, context: QueryContext): Promise<Reply> {
    const { addresses } = this.#options;
    if (addresses.current.length === 0 && asksForAddress(query, addresses)) throw addresses.selfReference();
    const found = await addresses.find(context);
    try {
      return await this.#ways.ask(found, query, context);
    } catch (cause) {
      if (!DnsError.is(cause) || cause.code === "ERR_ABORTED" || cause.code === "ERR_CLOSED") throw cause;
      const isOver = context.signal.aborted || this.#runtime.clock.nowMs() >= context.deadlineMs;
      if (isOver || !(await addresses.renew(context))) throw cause;
      return this.#ways.ask(addresses.current, query, context);
    }
  }
}

/** A query for the addresses that are wanted to send it, which would wait for itself. */
function asksForAddress({ view }: Query, { owner }: UpstreamAddresses): boolean {
  const { name, type } = view.question;
  return (type === RRType.A || type === RRType.AAAA) && name.equals(owner);
}
