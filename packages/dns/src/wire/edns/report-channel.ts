/** Where a zone wants errors reported (RFC 9567 §5): the agent domain, sent by authoritative servers. */
import { EdnsOptionCode } from "../iana/edns-option-code.ts";
import type { Name } from "../name.ts";
import type { Parsed } from "../parsed.ts";
import type { EdnsOption } from "./edns.ts";
import { tryReadOnlyName } from "./only-name.ts";

/** A Report-Channel option. */
export function makeReportChannel(agentDomain: Name): EdnsOption {
  return { code: EdnsOptionCode.ReportChannel, data: agentDomain.wire };
}

/** The agent domain; the root is well-formed but must not be reported to (RFC 9567 §6.1). */
export function tryReadReportChannel(data: Uint8Array): Parsed<Name> {
  return tryReadOnlyName(data, "Report-Channel");
}
