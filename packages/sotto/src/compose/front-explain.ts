/** Which rules a query would meet, by the configuration alone: rates and states of pools are as at a start. */
import type { Runtime } from "@sotto/dns/runtime";
import { type MessageView, tryViewMessage } from "@sotto/dns/wire";
import type { FrontConfig } from "../config/index.ts";
import type { RuleStep } from "../front/index.ts";
import { FrontRules } from "./front-rules.ts";

/** A query that nobody has sent. */
export interface SupposedQuery {
  readonly octets: Uint8Array;
  readonly client: string;
  readonly transport: "udp" | "tcp" | "tls" | "https";
  readonly listener: string;
}

/** Rejects with ERR_CONFIG when a set cannot be read. */
export async function explainFront(
  config: FrontConfig,
  { octets, client, transport, listener }: SupposedQuery,
  runtime: Runtime,
): Promise<readonly RuleStep[]> {
  const view = viewOf(octets);
  const rules = await FrontRules.load({ ...config, watchSetsMs: undefined }, { byName: new Map() }, runtime);
  try {
    return rules.set.explain({
      view,
      origin: { transport, remote: { address: client, port: 0 }, local: undefined, security: undefined },
      listener,
      nowMs: runtime.clock.nowMs(),
      wallMs: runtime.clock.wallMs(),
    });
  } finally {
    rules.stop();
  }
}

/** Throws a RangeError for octets that are no query. */
function viewOf(octets: Uint8Array): MessageView {
  const view = tryViewMessage(octets);
  if (!view.ok) throw new RangeError(view.problem);
  return view.value;
}
