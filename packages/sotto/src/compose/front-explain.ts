/** Which rules a query would meet, by the configuration alone: rates and states of pools are as at a start. */
import type { Runtime } from "@sotto/dns/runtime";
import { type MessageView, tryViewMessage } from "@sotto/dns/wire";
import type { FrontConfig } from "../config/index.ts";
import type { RuleStep } from "../front/index.ts";
import { AccessList } from "../server/index.ts";
import { FrontRules } from "./front-rules.ts";

/** A query that nobody has sent. */
export interface SupposedQuery {
  readonly octets: Uint8Array;
  readonly client: string;
  readonly transport: "udp" | "tcp" | "tls" | "https";
  readonly listener: string;
  /** What TLS agreed on; undefined: it does not come over TLS. */
  readonly tls: { readonly protocol: string; readonly alpn: string } | undefined;
  /** When, wall milliseconds; undefined: now. */
  readonly wallMs: number | undefined;
}

/** Rejects with ERR_CONFIG when a set cannot be read. A step for the access list comes first when the client may not ask. */
export async function explainFront(
  config: FrontConfig,
  query: SupposedQuery,
  runtime: Runtime,
): Promise<readonly RuleStep[]> {
  const { client, transport, listener } = query;
  const view = viewOf(query.octets);
  const security = query.tls && { ...NO_CERTIFICATE, ...query.tls };
  const rules = await FrontRules.load({ ...config, watchSetsMs: undefined }, { byName: new Map() }, runtime);
  try {
    const steps = rules.set.explain({
      view,
      origin: { transport, remote: { address: client, port: 0 }, local: undefined, security },
      listener,
      nowMs: runtime.clock.nowMs(),
      wallMs: query.wallMs ?? runtime.clock.wallMs(),
    });
    const access = new AccessList(config.access);
    return access.allows(client) ? steps : [noAccess(client, access), ...steps];
  } finally {
    rules.stop();
  }
}

/** What comes before all rules. */
function noAccess(client: string, { action }: AccessList): RuleStep {
  const answer = action === "drop" ? "gets no answer" : "is REFUSED";
  return {
    rule: "access",
    result: "ends",
    reasons: [`client ${client} is not in access.allow, or in access.deny, and ${answer}`],
  };
}

/** A client that has not presented one. */
const NO_CERTIFICATE = {
  cipher: "",
  group: undefined,
  resumed: false,
  serverName: undefined,
  peerChain: [],
  chainProblem: undefined,
};

/** Throws a RangeError for octets that are no query. */
function viewOf(octets: Uint8Array): MessageView {
  const view = tryViewMessage(octets);
  if (!view.ok) throw new RangeError(view.problem);
  return view.value;
}
