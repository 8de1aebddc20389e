/** What to try on the playground, with our own tools and with other people's. */
import type { ExposedFacts } from "./expose.ts";

/** Where the playground's resolver is and what authenticates it. */
export interface PlaygroundPlace {
  /** UDP and TCP. */
  readonly port: number;
  readonly tlsPort: number;
  /** The name in the certificate. */
  readonly authName: string;
  readonly caFile: string;
  readonly caPem: string;
  /** SPKI pin of the certificate, base64. */
  readonly pin: string;
  readonly folder: string;
  readonly rootHintsFile: string;
  readonly trustAnchorFile: string;
}

/** Commands that work as they stand, from another terminal. */
export function nextStepsText(place: PlaygroundPlace, exposed: ExposedFacts | undefined): string {
  const { authName, caFile, pin, port, tlsPort } = place;
  const own = [
    `npm run -s sotto -- query @127.0.0.1 -p ${tlsPort} +tls-ca=${caFile} +tls-hostname=${authName} shop.example MX`,
    `npm run -s sotto -- query @127.0.0.1 -p ${tlsPort} +tls-pin=${pin} +pipeline d300-a.slow.lab www.shop.example`,
    `npm run -s sotto -- query @127.0.0.1 -p ${port} +json t4096.big.org TXT`,
  ];
  const others = [
    `kdig @127.0.0.1 -p ${tlsPort} +tls-ca=${caFile} +tls-hostname=${authName} +padding www.shop.example`,
    `dig @127.0.0.1 -p ${port} +tcp +keepalive www.shop.example`,
    `drill -t -p ${port} @127.0.0.1 www.shop.example`,
    `openssl s_client -connect 127.0.0.1:${tlsPort} -alpn dot -CAfile ${caFile} -verify_hostname ${authName}`,
  ];
  const lines = [
    "",
    `The resolver listens on 127.0.0.1: UDP and TCP on port ${port}, TLS on port ${tlsPort} (name ${authName}, pin sha256:${pin}).`,
    `Files are in ${place.folder}.`,
    "",
    "With our own tool:",
    ...own.map((command) => `  ${command}`),
    "With other people's:",
    ...others.map((command) => `  ${command}`),
  ];
  if (exposed !== undefined) {
    lines.push(
      "",
      `The same internet is on real loopback addresses, port ${exposed.port}; its root servers are ${exposed.rootAddresses.join(", ")}.`,
      `For another resolver: root hints ${exposed.rootHintsFile}, trust anchor ${exposed.trustAnchorFile}.`,
    );
  }
  return `${lines.join("\n")}\n\nCtrl-C ends.\n`;
}
