/** What the server shows to prove who it is, and whether that is enough (RFC 8310 §8, RFC 7858 §4.2, RFC 9525). */
import { X509Certificate } from "node:crypto";
import type { ChannelSecurity, PresentedCertificate } from "@sotto/dns/runtime";
import { authenticate, type TlsPolicy } from "@sotto/dns/transport";
import type { Check } from "./check.ts";
import { type Finding, found, notTestable } from "./finding.ts";
import type { Prober } from "./prober.ts";
import type { Transcript } from "./transcript.ts";

export const CERTIFICATE_CHECKS: readonly Check[] = [
  {
    row: "certificate",
    requirements: ["8310-4-b", "8310-8.1-a", "8310-8.1-b", "7858-4.2-c", "8310-6.4-a", "8932-5.1.2"],
    sends: "one handshake",
    over: ["tls"],
    on: "handshake",
    run: certificate,
  },
];

async function certificate(prober: Prober, _: unknown, log: Transcript): Promise<Finding> {
  const opened = await prober.open("tls", log);
  if (!opened.ok) return notTestable(opened.problem);
  const { security } = opened.value.stream;
  opened.value.close();
  if (security === undefined) return notTestable("the handshake told nothing");
  for (const one of security.peerChain) log.seen(describe(one), one.der);
  const { target, options, runtime } = prober;
  const policy: TlsPolicy = {
    serverName: target.name,
    authName: target.name,
    pins: target.pins ?? [],
    trustAnchorsPem: options.trustAnchorsPem,
    authenticate: "required",
  };
  return judgeCertificate(security, policy, runtime.clock.wallMs());
}

function describe(one: PresentedCertificate): string {
  return `certificate of ${one.subject.replaceAll("\n", ", ")}, by ${one.issuer.replaceAll("\n", ", ")}, pin sha256:${one.spkiSha256}`;
}

/** Exported for its test. */
export function judgeCertificate(security: ChannelSecurity, policy: TlsPolicy, wallMs: number): Finding {
  const leaf = security.peerChain[0];
  if (leaf === undefined) return found("none", "the server presented no certificate");
  const weak = weakness(leaf);
  const days = Math.floor((leaf.notAfterMs - wallMs) / DAY_MS);
  const until = days < 0 ? `expired ${-days} days ago` : `valid for ${days} days more`;
  if (policy.authName === undefined && policy.pins.length === 0)
    return byWhat(security, leaf, `${until}${weak}`);
  const outcome = authenticate(security, policy, wallMs);
  if (!outcome.isAuthenticated) return found("broken", `cannot be authenticated: ${outcome.problem}`);
  const said = `authenticated by ${outcome.by}, ${until}${weak}`;
  return weak === "" ? found("released", said) : found("partial", said);
}

/** Nothing was given to compare with: how a client could authenticate it. */
function byWhat(security: ChannelSecurity, leaf: PresentedCertificate, rest: string): Finding {
  const pin = `pin sha256:${leaf.spkiSha256}`;
  const names = leaf.subjectAltNames.slice(0, NAMES_MAX).map((name) => name.replace(/^(?:DNS|IP):/, ""));
  const more =
    leaf.subjectAltNames.length > NAMES_MAX ? ` and ${leaf.subjectAltNames.length - NAMES_MAX} more` : "";
  if (security.chainProblem !== undefined)
    return found("partial", `can be authenticated by its ${pin} only: ${security.chainProblem}; ${rest}`);
  if (names.length === 0)
    return found("partial", `can be authenticated by its ${pin} only: it has no subjectAltName; ${rest}`);
  return found(
    "released",
    `can be authenticated by the name ${names.join(", ")}${more}, or by its ${pin}; ${rest}`,
    "likely",
  );
}

/** What is too weak for today, as the end of a sentence. RFC 9325 §4.4. */
function weakness(leaf: PresentedCertificate): string {
  try {
    const { publicKey } = new X509Certificate(leaf.der);
    const bits = publicKey.asymmetricKeyDetails?.modulusLength;
    return bits !== undefined && bits < RSA_BITS_MIN ? `; its RSA key has ${bits} bits only` : "";
  } catch {
    // A key that Node does not know is no weakness.
    return "";
  }
}

const DAY_MS = 86_400_000;
const RSA_BITS_MIN = 2048;
/** Names that are printed. */
const NAMES_MAX = 5;
