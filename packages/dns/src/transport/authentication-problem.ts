/**
 * Why a TLS peer is not the one that was meant, in words for people: what it showed, why that does not count, whether it may be our
 * clock, and what to do. Nothing is judged here. What certificates say comes from strangers: it is cut and made printable.
 */
import type { ChannelSecurity, PresentedCertificate } from "@sotto/dns/runtime";

/** Each key that was seen, ready to be copied into a configuration, and why it does not count. */
export function pinProblem(
  security: ChannelSecurity,
  pins: readonly string[],
  /** Certificates from the leaf on whose keys would count. */
  countable: number,
): string {
  const { peerChain, chainProblem } = security;
  const seen = peerChain.slice(0, CERTIFICATES_TOLD_MAX).map((certificate, i) => {
    const whose = i === 0 ? "its own key" : `key of ${nameOf(certificate)}`;
    const isPinned = pins.includes(certificate.spkiSha256);
    if (i < countable) return `sha256:${certificate.spkiSha256} (${whose}, not pinned)`;
    const why =
      chainProblem === undefined
        ? "it did not sign the one before it"
        : `the path to an authority is not valid: ${words(chainProblem)}`;
    return `sha256:${certificate.spkiSha256} (${whose}, ${isPinned ? "pinned, but does" : "would"} not count: ${why})`;
  });
  const which = `no pin matches (${pins.length} ${pins.length === 1 ? "is" : "are"} configured)`;
  return `${which}; the server showed ${seen.join(", ")}; if its operator announced another key, pin that one, too`;
}

/** Why the path to an authority is not valid; tells a clock that is off apart. */
export function pathProblem(
  { peerChain, chainProblem }: ChannelSecurity,
  trustAnchorsPem: readonly string[] | undefined,
  wallMs: number,
): string {
  const parts = [`certificate path: ${words(chainProblem ?? "")}`];
  const [leaf] = peerChain;
  const last = peerChain.at(-1);
  const date = dateProblem(peerChain, wallMs);
  if (date !== undefined) parts.push(date);
  else if (leaf !== undefined && last !== undefined && ISSUER_UNKNOWN.test(chainProblem ?? "")) {
    const issuer =
      last.issuer === last.subject
        ? `${nameOf(last)} signed itself and`
        : `its issuer ${printable(last.issuer)}`;
    const trusted =
      trustAnchorsPem === undefined
        ? "is not among the authorities that the runtime brings along; a private one has to be configured"
        : `is not among the configured authorities (${authoritiesIn(trustAnchorsPem)})`;
    parts.push(`${issuer} ${trusted}`);
  }
  return parts.join("; ");
}

export function nameProblem(leaf: PresentedCertificate, name: string): string {
  const names = leaf.subjectAltNames.slice(0, NAMES_TOLD_MAX).map(printable);
  const more = leaf.subjectAltNames.length - names.length;
  const others = more > 0 ? ` and ${more} more` : "";
  return `the certificate is not for ${name} but for ${names.join(", ") || "no name at all"}${others}`;
}

/** The first certificate whose time it is not, by how much, and what our clock says. */
function dateProblem(chain: readonly PresentedCertificate[], wallMs: number): string | undefined {
  const clock = `our clock says ${dateText(wallMs)}`;
  for (const certificate of chain.slice(0, CERTIFICATES_TOLD_MAX)) {
    const { notBeforeMs, notAfterMs } = certificate;
    // Nobody serves a certificate of the future.
    if (wallMs < notBeforeMs)
      return `${nameOf(certificate)} is valid from ${dateText(notBeforeMs)}, in ${spanText(notBeforeMs - wallMs)}, but ${clock}: that is probably wrong, set it first`;
    if (wallMs > notAfterMs)
      return `${nameOf(certificate)} was valid until ${dateText(notAfterMs)}, ${spanText(wallMs - notAfterMs)} ago, as ${clock}: if that is right, the server's operator has to renew it`;
  }
  return undefined;
}

function nameOf({ subject, subjectAltNames }: PresentedCertificate): string {
  return printable(subject === "" ? (subjectAltNames[0] ?? "a certificate without a name") : subject);
}

function authoritiesIn(pem: readonly string[]): number {
  return pem.reduce(
    (count, text) => count + (text.match(/-----BEGIN [^-]*(?:CERTIFICATE|ANCHOR)-----/g)?.length ?? 0),
    0,
  );
}

/** OpenSSL's codes as Node gives them, and its words where they are words. */
function words(chainProblem: string): string {
  return CODES[chainProblem] ?? printable(chainProblem);
}

/** `2026-01-01 00:00 UTC`. */
function dateText(wallMs: number): string {
  // Certificates may say anything.
  if (!(Math.abs(wallMs) <= DATE_MS_MAX)) return "a time that no calendar has";
  return `${new Date(wallMs).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

function spanText(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / 60_000));
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

/** Cut, and without characters that could steer a terminal or turn its text around. */
function printable(text: string): string {
  const cut = text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;
  return cut.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "?");
}

const CODES: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "certificate has expired",
  CERT_NOT_YET_VALID: "certificate is not yet valid",
  CERT_REVOKED: "certificate was revoked",
  CERT_SIGNATURE_FAILURE: "a signature is wrong",
  CERT_UNTRUSTED: "an authority is not trusted for this",
  DEPTH_ZERO_SELF_SIGNED_CERT: "self-signed certificate",
  SELF_SIGNED_CERT_IN_CHAIN: "self-signed certificate in the chain",
  UNABLE_TO_GET_ISSUER_CERT: "an issuer is missing",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the issuer is not known",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the issuer is not known",
  INVALID_CA: "a certificate in the chain is no authority's",
  INVALID_PURPOSE: "the certificate is not for servers",
};
const ISSUER_UNKNOWN = /UNABLE_TO|SELF_SIGNED|unable to|self-signed|unknown/;
/** Real chains have two to four. */
const CERTIFICATES_TOLD_MAX = 6;
const NAMES_TOLD_MAX = 5;
/** As long as most distinguished names. */
const TEXT_MAX = 80;
/** The last moment of ECMAScript's calendar. */
const DATE_MS_MAX = 8.64e15;
