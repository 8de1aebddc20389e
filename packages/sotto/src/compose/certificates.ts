/** The certificate of a TLS listener: from its files, or made when none is configured. */
import { readFileSync } from "node:fs";
import { DnsError } from "@sotto/dns/runtime";
import type { ListenerConfig } from "../config/index.ts";
import { type CertificatePair, makeSelfSigned, spkiPin } from "../operations/index.ts";

/** A pair with the pin that clients can authenticate it by. */
export interface ListenerCertificate extends CertificatePair {
  /** Base64 of SHA-256 over the SubjectPublicKeyInfo (RFC 7858 §4.2). */
  readonly pin: string;
  readonly isSelfMade: boolean;
}

/** Certificates made in this process, so that a reload does not change the pin. */
export class CertificateSource {
  readonly #selfMade = new Map<string, Promise<CertificatePair>>();
  readonly #wallMs: () => number;

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  /** Rejects with ERR_CONFIG when a file cannot be read or the pair does not fit. */
  async certificateFor(listener: ListenerConfig): Promise<ListenerCertificate> {
    if (listener.certificateFile === undefined || listener.keyFile === undefined) {
      const { address } = listener.local;
      const made = this.#selfMade.get(address) ?? makeSelfSigned(["localhost", address], this.#wallMs());
      this.#selfMade.set(address, made);
      const pair = await made;
      return { ...pair, pin: spkiPin(pair.certificatePem), isSelfMade: true };
    }
    const certificatePem = readPem(listener.certificateFile, "certificate");
    const keyPem = readPem(listener.keyFile, "key");
    return {
      certificatePem,
      keyPem,
      pin: pinOf(certificatePem, listener.certificateFile),
      isSelfMade: false,
    };
  }
}

function readPem(file: string, what: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new DnsError(
      "ERR_CONFIG",
      `cannot read ${what} ${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

function pinOf(certificatePem: string, file: string): string {
  try {
    return spkiPin(certificatePem);
  } catch (cause) {
    throw new DnsError("ERR_CONFIG", `${file} holds no certificate in PEM form`, { cause });
  }
}
