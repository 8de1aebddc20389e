/** An upstream that is authenticated by its TLSA records, as they are at the time of the query (RFC 8310 §8.2). */
import { DnsError, type Endpoint } from "@sotto/dns/runtime";
import type {
  PoolMember,
  Query,
  QueryContext,
  Reply,
  TlsaRecord,
  TlsPolicy,
  UpstreamLookup,
} from "@sotto/dns/transport";
import type { DaneRecords } from "./dane-records.ts";

/** `prefer`: without records, name and pins count. `only`: without records nobody is authenticated. */
export type DaneMode = "prefer" | "only";

export interface DaneUpstreamOptions {
  readonly mode: DaneMode;
  readonly records: DaneRecords;
  /** With name and pins, without records. */
  readonly tls: TlsPolicy;
  /** The way to the upstream under a policy. */
  upstreamFor(tls: TlsPolicy): PoolMember;
}

export class DaneUpstream implements PoolMember {
  readonly #options: DaneUpstreamOptions;
  /** By policy. Whose records change has another policy, and so other connections and tickets. */
  #member: PoolMember;
  #key = "";

  constructor(options: DaneUpstreamOptions) {
    this.#options = options;
    this.#member = options.upstreamFor(options.tls);
  }

  get endpoint(): Endpoint | undefined {
    return this.#member.endpoint;
  }

  get transport(): PoolMember["transport"] {
    return this.#member.transport;
  }

  get tier(): number {
    return this.#member.tier ?? 0;
  }

  get server(): string | undefined {
    return this.#member.server;
  }

  get isBackedOff(): boolean {
    return this.#member.isBackedOff === true;
  }

  get mayBeTried(): boolean | undefined {
    return this.#member.mayBeTried;
  }

  get connectionStatus(): PoolMember["connectionStatus"] {
    return this.#member.connectionStatus;
  }

  get identity(): string | undefined {
    return this.#key === ""
      ? `TLSA records${this.#options.mode === "only" ? "" : `, or ${this.#member.identity}`}`
      : this.#member.identity;
  }

  get networkEpoch(): number {
    return this.#member.networkEpoch ?? 0;
  }

  get lookup(): UpstreamLookup | undefined {
    return this.#member.lookup;
  }

  async respond(query: Query, context: QueryContext): Promise<Reply> {
    const member = await this.#current(context);
    try {
      return await member.respond(query, context);
    } catch (cause) {
      if (!DnsError.is(cause, "ERR_TLS_NOT_AUTHENTICATED") || !this.#options.records.doubt()) throw cause;
      // When they cannot be had now, the first failure tells more.
      const renewed = await this.#current(context).catch(() => member);
      if (renewed === member) throw cause;
      return await renewed.respond(query, context);
    }
  }

  async #current({ deadlineMs, signal }: QueryContext): Promise<PoolMember> {
    const { records, mode, tls } = this.#options;
    const knowledge = await records.find({ deadlineMs, signal });
    switch (knowledge.kind) {
      case "records":
        return this.#memberWith(knowledge.records);
      case "none":
        if (mode === "prefer") return this.#memberWith(undefined);
        throw new DnsError(
          "ERR_TLS_NOT_AUTHENTICATED",
          `${tls.authName} is authenticated by DANE only: ${knowledge.why}`,
          { stage: "authenticate" },
        );
      case "failed":
        // RFC 6698 §4.1, RFC 7671 §10: who can make records disappear must not gain by it.
        throw knowledge.problem;
    }
  }

  #memberWith(tlsa: readonly TlsaRecord[] | undefined): PoolMember {
    const key = JSON.stringify(tlsa ?? null);
    if (key !== this.#key) {
      this.#key = key;
      this.#member = this.#options.upstreamFor({ ...this.#options.tls, tlsa });
    }
    return this.#member;
  }
}
