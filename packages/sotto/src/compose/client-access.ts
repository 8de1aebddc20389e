/** Access by client certificate: from a configuration to the judgement that a listener passes on each connection. */
import type { ChannelSecurity } from "@sotto/dns/runtime";
import { certifiesName } from "@sotto/dns/transport";
import type { ClientCertificatesConfig } from "../config/index.ts";

/** What the certificate of a connection means; see `QueryOrigin.clientVerdict`. */
export function judgeByCertificate(
  config: ClientCertificatesConfig,
): (security: ChannelSecurity) => "allowed" | "denied" | undefined {
  return (security) => {
    const isGood = isGoodCertificate(security, config);
    if (config.effect === "sufficient") return isGood ? "allowed" : undefined;
    return isGood ? undefined : "denied";
  };
}

/** The handshake proved that the client has the leaf's key; here it is about whose that is. */
function isGoodCertificate(security: ChannelSecurity, config: ClientCertificatesConfig): boolean {
  const leaf = security.peerChain[0];
  if (leaf === undefined) return false;
  if (config.authoritiesFile !== undefined && security.chainProblem !== undefined) return false;
  if (config.names.length > 0 && !config.names.some((name) => certifiesName(leaf, name))) return false;
  return config.pins.length === 0 || config.pins.includes(leaf.spkiSha256);
}
