/**
 * Whether the TLS peer is the server that was meant: PKIX path and name (RFC 8310 §8.1, RFC 9525), SPKI pins
 * (RFC 7858 §4.2), TLSA records (RFC 8310 §8.2). Path validation itself is the runtime's.
 */
import type { ChannelSecurity, PresentedCertificate } from "@sotto/dns/runtime";
import { addressToText, tryParseAddress } from "@sotto/dns/wire";
import { nameProblem, pathProblem, pinProblem } from "./authentication-problem.ts";
import { isIssuedBy } from "./certificate-path.ts";
import { matchDane } from "./dane.ts";
import { type TlsaRecord, tlsaToText } from "./tlsa.ts";

/** What must be true of a TLS connection. */
export interface TlsPolicy {
  /** SNI to send; undefined sends none. */
  readonly serverName: string | undefined;
  /** Authentication domain name, or an address literal for an IP-ID; undefined when no name is to be checked. */
  readonly authName: string | undefined;
  /** SHA-256 SPKI pins, base64; empty when none are configured. */
  readonly pins: readonly string[];
  /**
   * Usable TLSA records that were validated as secure, of which the peer must satisfy one; the name is then checked where
   * that record's usage wants it (RFC 7671 §5). Undefined: the name is checked as PKIX has it.
   */
  readonly tlsa?: readonly TlsaRecord[] | undefined;
  /** PEM trust anchors instead of the system's. */
  readonly trustAnchorsPem: readonly string[] | undefined;
  /**
   * `required`: no query is sent to a peer that fails (RFC 8310 §6.6). `if possible`: success is reported, failure is
   * tolerated. `no`: nothing is checked.
   */
  readonly authenticate: "required" | "if possible" | "no";
  /** PEM client certificate and key. */
  readonly certificatePem?: string | undefined;
  readonly keyPem?: string | undefined;
}

/** TLS without any claim about the peer: encryption only. */
export const UNAUTHENTICATED_TLS: TlsPolicy = {
  serverName: undefined,
  authName: undefined,
  pins: [],
  trustAnchorsPem: undefined,
  authenticate: "no",
};

/** The outcome: by which means the peer was authenticated, or why it was not. */
export type Authentication =
  | { readonly isAuthenticated: true; readonly by: string }
  | { readonly isAuthenticated: false; readonly problem: string };

/**
 * Judges a full handshake at that wall time. With a name and pins configured, both must succeed (RFC 8310 §6.4); TLSA records
 * stand for the name.
 */
export function authenticate(security: ChannelSecurity, policy: TlsPolicy, wallMs: number): Authentication {
  if (policy.authenticate === "no") return failure("authentication was not asked for");
  if (policy.authName === undefined && policy.pins.length === 0)
    return failure("neither a name nor a pin is configured");
  const leaf = security.peerChain[0];
  if (leaf === undefined) return failure("the server presented no certificate");
  const means: string[] = [];
  if (policy.tlsa !== undefined) {
    const outcome = matchDane(security, policy.tlsa, {
      nameProblem: nameProblemOf(leaf, policy.authName ?? ""),
      trustAnchorsPem: policy.trustAnchorsPem,
      wallMs,
    });
    if ("problem" in outcome) return failure(outcome.problem);
    means.push(tlsaToText(outcome.record));
    if (outcome.needsName) means.push(`name ${policy.authName}`);
  } else if (policy.authName !== undefined) {
    if (security.chainProblem !== undefined)
      return failure(pathProblem(security, policy.trustAnchorsPem, wallMs));
    const problem = nameProblemOf(leaf, policy.authName);
    if (problem !== undefined) return failure(problem);
    means.push(`name ${policy.authName}`);
  }
  if (policy.pins.length > 0) {
    const pinnable = pinnableCertificates(security);
    const pin = pinnable
      .map((certificate) => certificate.spkiSha256)
      .find((spki) => policy.pins.includes(spki));
    // RFC 7858 §4.2: without a match there is no recovery, and nothing is learnt from what was seen.
    if (pin === undefined) return failure(pinProblem(security, policy.pins, pinnable.length));
    means.push(`pin sha256:${pin}`);
  }
  return { isAuthenticated: true, by: means.join(" and ") };
}

function nameProblemOf(leaf: PresentedCertificate, name: string): string | undefined {
  return certifiesName(leaf, name) ? undefined : nameProblem(leaf, name);
}

function failure(problem: string): Authentication {
  return { isAuthenticated: false, problem };
}

/**
 * The leaf, whose key the handshake proved. Certificates above it only when the path was validated, and only as far as
 * each one signed the one before: others, of the same names, could be added by anybody.
 */
function pinnableCertificates(security: ChannelSecurity): PresentedCertificate[] {
  const chain: PresentedCertificate[] = [];
  for (const certificate of security.peerChain) {
    const previous = chain.at(-1);
    if (previous !== undefined) {
      if (security.chainProblem !== undefined || !isIssuedBy(previous.der, certificate.der)) break;
    }
    chain.push(certificate);
  }
  return chain;
}

/** Compares with subjectAltName only, never with the subject's common name (RFC 8310 §8.1, RFC 9525 §6). */
export function certifiesName(certificate: PresentedCertificate, name: string): boolean {
  const address = tryParseAddress(name);
  if (address.ok) {
    const wanted = addressToText(address.value);
    return certificate.subjectAltNames.some((entry) => {
      if (!entry.startsWith("IP:")) return false;
      const presented = tryParseAddress(entry.slice("IP:".length));
      return presented.ok && addressToText(presented.value) === wanted;
    });
  }
  const wanted = withoutFinalDot(name).toLowerCase();
  return certificate.subjectAltNames.some(
    (entry) => entry.startsWith("DNS:") && matchesDnsId(entry.slice("DNS:".length), wanted),
  );
}

/** RFC 9525 §6.3: a wildcard is the whole left-most label and stands for exactly one label. */
function matchesDnsId(presented: string, wanted: string): boolean {
  const pattern = withoutFinalDot(presented).toLowerCase();
  if (!pattern.startsWith("*.")) return pattern !== "" && !pattern.includes("*") && pattern === wanted;
  const dot = wanted.indexOf(".");
  const rest = pattern.slice(2);
  return dot > 0 && rest !== "" && !rest.includes("*") && wanted.slice(dot + 1) === rest;
}

function withoutFinalDot(name: string): string {
  return name.endsWith(".") ? name.slice(0, -1) : name;
}
