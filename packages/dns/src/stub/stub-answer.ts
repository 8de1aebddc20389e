/** What asking gives: the whole message, and what is known about its truth and its way. */
import type { StopSignal } from "@sotto/dns/runtime";
import type { ExchangeFacts, Protection, SecurityStatus } from "@sotto/dns/transport";
import type {
  ExtendedError,
  Message,
  Name,
  RdataMnemonic,
  RdataOf,
  ResourceRecord,
  RRType,
} from "@sotto/dns/wire";

/** One answer. Every rcode is an answer, NXDOMAIN and SERVFAIL too; only what brought no message rejects. */
export interface StubAnswer {
  readonly message: Message;
  /** The records that answer the question, after aliases were followed; empty for negative answers. */
  readonly records: readonly ResourceRecord[];
  /** The name at the end of the aliases. */
  readonly canonicalName: Name;
  /** `indeterminate` without local validation. */
  readonly security: SecurityStatus;
  /** What protected the way (RFC 8310 §5); `local` for answers from this machine. */
  readonly protection: Protection;
  /** By which means the upstream was authenticated: `name dns.example`, `pin sha256:…`; undefined when it was not. */
  readonly authenticatedBy: string | undefined;
  readonly extendedErrors: readonly ExtendedError[];
  /** Seconds for which the answer may be kept. */
  readonly ttlSeconds: number;
  readonly isFromCache: boolean;
  /** Upstream, times and connection; undefined for answers from this machine. */
  readonly exchange: ExchangeFacts | undefined;
}

export interface QueryOptions {
  /** An `AbortSignal`, or what tells as much. */
  readonly signal?: StopSignal | undefined;
  /** Milliseconds for everything together: connecting, retries, other upstreams. Default: the resolver's. */
  readonly timeoutMs?: number | undefined;
  /** Takes the search list and ndots into account. Default: the resolver's. */
  readonly search?: boolean | undefined;
  /** False passes the hosts file by. Default true. */
  readonly hosts?: boolean | undefined;
  /** Asks for signatures (DO). Default: when the resolver validates. */
  readonly dnssecOk?: boolean | undefined;
  /** Wants data that fails validation, too (CD). Default false. */
  readonly checkingDisabled?: boolean | undefined;
}

/** The answer to a question for one type of record, with its values as fields. */
export interface TypedAnswer<M extends RdataMnemonic> extends StubAnswer {
  readonly values: readonly RdataOf<M>[];
}

/** Whoever answers questions by name and type; `StubResolver` is one. */
export interface Asker {
  /**
   * `name`: text as people write it (no final dot needed) or a `Name`; `type`: mnemonic or number. Rejects with a `DnsError`
   * that names server, stage and reason, or ERR_NAME_MALFORMED for a name that cannot be asked.
   */
  query(name: string | Name, type: RRType | string, options?: QueryOptions): Promise<StubAnswer>;
}
