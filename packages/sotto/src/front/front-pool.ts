import type { MessageCache } from "@sotto/dns/cache";
import type { BackendPool } from "./backends/index.ts";

/** Backends with what is remembered of their answers. */
export interface FrontPool {
  readonly name: string;
  readonly backends: Pick<BackendPool, "forward" | "isDown" | "openTransfer">;
  /** Undefined: nothing is kept. */
  readonly cache: MessageCache | undefined;
  /** How long after its end an answer may still be given while all backends are down, seconds (RFC 8767). */
  readonly staleSeconds: number;
  /** EDNS options that go through to and from its backends; those between neighbours must not be among them. */
  readonly passedOptions: ReadonlySet<number>;
  /** What backends say with AD is passed on. False: a path that anybody may change tells nothing (RFC 4035 §4.9.3). */
  readonly passesAuthenticData: boolean;
}
