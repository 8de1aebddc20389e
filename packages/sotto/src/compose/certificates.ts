/** The certificates of a TLS listener: from its files, or made when none is configured. */
import { readFileSync } from "node:fs";
import { DnsError } from "@sotto/dns/runtime";
import type { ListenerConfig } from "../config/index.ts";
import {
  type CertificatePair,
  type CertificateSummary,
  makeSelfSigned,
  summarizeCertificate,
} from "../operations/index.ts";

/** All certificates of a listener, the one for unknown names first. */
export interface ListenerCertificates {
  readonly first: CertificatePair;
  readonly more: readonly CertificatePair[];
  /** One for each of the above. */
  readonly summaries: readonly CertificateSummary[];
  /** PEM of the authorities of client certificates, undefined when none are asked for. */
  readonly clientAuthoritiesPem: readonly string[] | undefined;
}

/** Reads certificates; those made in this process stay, so that a reload does not change their pin. */
export class CertificateSource {
  readonly #selfMade: SelfMadeCertificates;

  constructor(selfMade: SelfMadeCertificates) {
    this.#selfMade = selfMade;
  }

  /** Rejects with ERR_CONFIG when a file cannot be read or a pair does not fit. */
  async certificatesFor(listener: ListenerConfig): Promise<ListenerCertificates> {
    const pairs =
      listener.certificates.length === 0
        ? [await this.#selfMade.madeFor(listener.local.address)]
        : listener.certificates.map(({ certificateFile, keyFile }) => ({
            certificatePem: readPem(certificateFile, "certificate"),
            keyPem: readPem(keyFile, "key"),
          }));
    const summaries = pairs.map((pair, i) =>
      summarize(pair, listener.certificates[i]?.certificateFile ?? "the certificate made at start"),
    );
    const [first, ...more] = pairs;
    if (first === undefined) throw new DnsError("ERR_CONFIG", "a listener with TLS needs a certificate");
    return { first, more, summaries, clientAuthoritiesPem: readAuthorities(listener) };
  }
}

/** Certificates for listeners that have none, one for each address, made when first wanted. */
export class SelfMadeCertificates {
  readonly #made = new Map<string, Promise<CertificatePair>>();
  readonly #given: ReadonlyMap<string, CertificatePair>;
  readonly #wallMs: () => number;

  /** `given` have been made already, elsewhere. */
  constructor(wallMs: () => number, given: ReadonlyMap<string, CertificatePair> = new Map()) {
    this.#wallMs = wallMs;
    this.#given = given;
  }

  async madeFor(address: string): Promise<CertificatePair> {
    const given = this.#given.get(address);
    if (given !== undefined) return given;
    const made = this.#made.get(address) ?? makeSelfSigned(["localhost", address], this.#wallMs());
    this.#made.set(address, made);
    return made;
  }

  /** All that these listeners need. */
  async madeForAll(listeners: readonly ListenerConfig[]): Promise<Map<string, CertificatePair>> {
    const needy = listeners.filter(({ usesTls, certificates }) => usesTls && certificates.length === 0);
    const addresses = [...new Set(needy.map(({ local }) => local.address))];
    const made = await Promise.all(
      addresses.map(async (address) => [address, await this.madeFor(address)] as const),
    );
    return new Map(made);
  }
}

/** The files whose change means new certificates. */
export function certificateFilesOf(listeners: readonly ListenerConfig[]): string[] {
  return listeners.flatMap(({ certificates, clientCertificates }) => [
    ...certificates.flatMap(({ certificateFile, keyFile }) => [certificateFile, keyFile]),
    ...(clientCertificates?.authoritiesFile === undefined ? [] : [clientCertificates.authoritiesFile]),
  ]);
}

function readAuthorities({ clientCertificates }: ListenerConfig): readonly string[] | undefined {
  if (clientCertificates === undefined) return undefined;
  const file = clientCertificates.authoritiesFile;
  return file === undefined ? [] : [readPem(file, "authorities")];
}

/** The secret of ticket keys. */
export function readTicketSecret(file: string): Uint8Array {
  const secret = readOctets(file, "ticket secret");
  if (secret.length < TICKET_SECRET_OCTETS_MIN)
    throw new DnsError(
      "ERR_CONFIG",
      `${file} has ${secret.length} octets; a ticket secret has ${TICKET_SECRET_OCTETS_MIN} or more, for example from "openssl rand 64"`,
    );
  return secret;
}

function readPem(file: string, what: string): string {
  return readOctets(file, what).toString("utf8");
}

function readOctets(file: string, what: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new DnsError(
      "ERR_CONFIG",
      `cannot read ${what} ${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

function summarize(pair: CertificatePair, file: string): CertificateSummary {
  try {
    return summarizeCertificate(pair);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DnsError("ERR_CONFIG", `${file}: ${why}`, { cause });
  }
}

/** As much as the hash function gives. */
const TICKET_SECRET_OCTETS_MIN = 32;
