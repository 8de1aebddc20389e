/**
 * The designated resolvers of a resolver that is known by address only, as one rung above it. Verified (RFC 9462 §4.2): the
 * certificate must be for that address. Opportunistic (§4.3): only at that same address, encrypted by whoever is there.
 */
import { DnsError, type Endpoint, type Runtime } from "@sotto/dns/runtime";
import type { PoolMember, Query, QueryContext, Reply, UpstreamLookup } from "@sotto/dns/transport";
import type { DesignatedEndpoint, Designations } from "./designations.ts";
import { Ways } from "./ways.ts";

export interface DesignatedUpstreamOptions {
  /** The resolver that designates. */
  readonly address: string;
  readonly designations: Designations;
  readonly tier: number;
  /** How it must prove who it is, for people; undefined: it need not. */
  readonly identity: string | undefined;
  /** The certificate counts; false: anybody there will do. */
  readonly isVerified: boolean;
  memberAt(endpoint: DesignatedEndpoint): PoolMember;
  /** Which of them come into question. */
  isUsable(endpoint: DesignatedEndpoint): boolean;
  networkEpoch(): number;
}

export class DesignatedUpstream implements PoolMember {
  readonly transport = "tls";
  readonly #options: DesignatedUpstreamOptions;
  readonly #ways: Ways;

  constructor(options: DesignatedUpstreamOptions, runtime: Runtime) {
    this.#options = options;
    this.#ways = new Ways({ make: (key) => options.memberAt(endpointOf(key)) }, runtime.clock);
  }

  get tier(): number {
    return this.#options.tier;
  }

  /** For people: it is nobody's address. */
  get server(): string {
    const { address, isVerified } = this.#options;
    return `designated by ${address}${isVerified ? "" : ", not verified"}`;
  }

  get networkEpoch(): number {
    return this.#options.networkEpoch();
  }

  get endpoint(): Endpoint | undefined {
    const key = this.#ways.preferred(this.#keys());
    return key === undefined ? undefined : endpointOf(key);
  }

  get identity(): string | undefined {
    return this.#options.identity;
  }

  get connectionStatus(): PoolMember["connectionStatus"] {
    return this.#ways.preferredMember(this.#keys())?.connectionStatus;
  }

  get lookup(): UpstreamLookup {
    return this.#options.designations.lookup;
  }

  get isAbsent(): boolean {
    const { designations } = this.#options;
    return designations.isNone || (designations.endpoints.length > 0 && this.#keys().length === 0);
  }

  get isBackedOff(): boolean {
    const { designations, isVerified } = this.#options;
    return (isVerified && designations.rejection !== undefined) || this.#ways.areBackedOff(this.#keys());
  }

  async respond(query: Query, context: QueryContext): Promise<Reply> {
    const { designations, isVerified } = this.#options;
    await designations.find(context);
    if (isVerified && designations.rejection !== undefined) throw designations.rejection;
    const keys = this.#keys();
    if (keys.length === 0)
      throw new DnsError("ERR_UNREACHABLE", "no designated resolver has the same address", {
        stage: "resolve",
      });
    try {
      return await this.#ways.ask(keys, query, context);
    } catch (cause) {
      // RFC 9462 §4.2: not used, and not asked for again soon.
      if (isVerified && DnsError.is(cause, "ERR_TLS_NOT_AUTHENTICATED")) designations.reject(cause);
      throw cause;
    }
  }

  #keys(): string[] {
    const { designations, isUsable } = this.#options;
    return designations.endpoints.filter((endpoint) => isUsable(endpoint)).map(keyOf);
  }
}

function keyOf({ address, port }: DesignatedEndpoint): string {
  return `${address} ${port}`;
}

function endpointOf(key: string): DesignatedEndpoint {
  const [address = "", port = ""] = key.split(" ");
  return { address, port: Number(port) };
}
