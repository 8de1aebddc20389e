/**
 * Whether the TLS peer is the one that TLSA records speak of (RFC 6698 §2.1, RFC 7671 §5). That the records are secure, and that
 * there are any, is the business of whoever gives them.
 */
import type { ChannelSecurity } from "@sotto/dns/runtime";
import { pathProblem as runtimePathProblem } from "./authentication-problem.ts";
import { pathProblem } from "./certificate-path.ts";
import { matchesTlsa, type TlsaRecord, TlsaUsage, tlsaOfKey, tlsaToText } from "./tlsa.ts";

/** Checks of the name and of the runtime's path, which some usages want. */
export interface DaneChecks {
  /** Undefined when the certificate is for the name that was asked for. */
  readonly nameProblem: string | undefined;
  /** Those of the policy, for messages. */
  readonly trustAnchorsPem?: readonly string[] | undefined;
  readonly wallMs: number;
}

/** The record that authenticates the peer, or why none does. */
export type DaneOutcome =
  | { readonly record: TlsaRecord; readonly needsName: boolean }
  | { readonly problem: string };

/** Judges a full handshake: one record that is satisfied is enough (RFC 6698 §4.1). */
export function matchDane(
  security: ChannelSecurity,
  records: readonly TlsaRecord[],
  checks: DaneChecks,
): DaneOutcome {
  const leaf = security.peerChain[0]?.der;
  if (leaf === undefined) return { problem: "the server presented no certificate" };
  let problem: string | undefined;
  for (const record of records) {
    // RFC 7671 §5.1: with DANE-EE neither names nor dates of the certificate count, the record says both.
    const needsName = record.usage !== TlsaUsage.DaneEe;
    const why = recordProblem(record, leaf, security, checks) ?? (needsName ? checks.nameProblem : undefined);
    if (why === undefined) return { record, needsName };
    // Why one that matched was not enough tells more than that others did not match.
    if (why !== NO_MATCH) problem ??= `${tlsaToText(record)}: ${why}`;
  }
  return {
    problem: problem ?? `no TLSA record matches, the server's key is ${tlsaOfKey(leaf) ?? "unknown"}`,
  };
}

function recordProblem(
  record: TlsaRecord,
  leaf: Uint8Array,
  security: ChannelSecurity,
  checks: DaneChecks,
): string | undefined {
  switch (record.usage) {
    case TlsaUsage.DaneEe:
      return matchesTlsa(record, leaf) ? undefined : NO_MATCH;
    case TlsaUsage.PkixEe:
      return matchesTlsa(record, leaf) ? pkixProblem(security, checks) : NO_MATCH;
    case TlsaUsage.DaneTa:
      return anchorProblem(record, security, checks.wallMs);
    case TlsaUsage.PkixTa:
      return anchorProblem(record, security, checks.wallMs) ?? pkixProblem(security, checks);
  }
}

function pkixProblem(security: ChannelSecurity, checks: DaneChecks): string | undefined {
  return security.chainProblem === undefined
    ? undefined
    : runtimePathProblem(security, checks.trustAnchorsPem, checks.wallMs);
}

function anchorProblem(record: TlsaRecord, security: ChannelSecurity, wallMs: number): string | undefined {
  const presented = security.peerChain.map(({ der }) => der);
  const isGiven = record.matchingType === 0;
  const data = isGiven ? Buffer.from(record.data, "hex") : undefined;
  const above = security.trustAnchor === undefined ? [] : [security.trustAnchor.der];
  const isAnchor = (der: Uint8Array): boolean => matchesTlsa(record, der);
  const certificates = data !== undefined && record.selector === 0 ? [...above, data] : above;
  const hasMatch = isGiven || [...presented.slice(1), ...above].some(isAnchor);
  if (!hasMatch) return NO_MATCH;
  const keys = data !== undefined && record.selector === 1 ? [data] : [];
  return pathProblem(presented, { isAnchor, certificates, keys }, wallMs);
}

/** The record is about another certificate. */
const NO_MATCH = "no match";
