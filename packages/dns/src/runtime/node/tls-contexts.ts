/**
 * OpenSSL's contexts of outgoing TLS, one for each set of trust anchors: reading the certificates of the built-in roots takes
 * seven milliseconds, in which nothing else happens, and connections of a stub come and go.
 */
import { createSecureContext, rootCertificates, type SecureContext } from "node:tls";
import type { TlsClientOptions } from "../network.ts";
import { TLS_SUITES } from "./tls-suites.ts";

export class TlsContexts {
  /** By the list itself: policies keep theirs. */
  readonly #contexts = new WeakMap<readonly string[], SecureContext>();

  /** Throws what OpenSSL says of certificates and keys that it cannot read. */
  contextFor(tls: TlsClientOptions, groups: readonly string[] | undefined): SecureContext {
    const anchors = tls.trustAnchorsPem ?? rootCertificates;
    const isPlain = groups === undefined && tls.certificatePem === undefined && tls.keyPem === undefined;
    const known = isPlain ? this.#contexts.get(anchors) : undefined;
    if (known !== undefined) return known;
    const made = createSecureContext({
      // RFC 8310 §9: TLS 1.2 or later.
      minVersion: "TLSv1.2",
      ciphers: TLS_SUITES,
      ca: [...anchors],
      ...(groups === undefined ? {} : { ecdhCurve: groups.join(":") }),
      ...(tls.certificatePem === undefined ? {} : { cert: tls.certificatePem }),
      ...(tls.keyPem === undefined ? {} : { key: tls.keyPem }),
    });
    if (isPlain) this.#contexts.set(anchors, made);
    return made;
  }
}
