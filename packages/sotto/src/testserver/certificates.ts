/** Certificates good and bad, of an authority of their own that no system knows. Made anew at each start. */
import { webcrypto } from "node:crypto";
import type * as Library from "@peculiar/x509";
import { spkiPin } from "../operations/index.ts";
import type { CertificateKind } from "./behaviour.ts";

/** The name that clients should authenticate the servers by; test. is reserved (RFC 6761 §6.2). */
export const AUTH_NAME = "resolver.sotto.test";

/** A chain to send and its key, PEM. */
export interface Credential {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** Everything that stands for something in a handshake. */
export interface Credentials {
  /** The authority's certificate, which clients should trust. */
  readonly authorityPem: string;
  /** The authority that signed the servers' certificates; sent behind them. */
  readonly intermediatePem: string;
  readonly servers: Readonly<Record<CertificateKind, Credential>>;
  /** For clients of the fixture that wants certificates. */
  readonly client: Credential;
  /** SPKI pin that a client would have configured for a server; for `new-key` it is the one of the former key. */
  pinOf(kind: CertificateKind): string;
}

interface Issuer {
  readonly certificate: Library.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

interface Plan {
  readonly commonName?: string;
  readonly names?: readonly Library.JsonGeneralName[];
  readonly days?: readonly [from: number, to: number];
  readonly usage?: "server" | "client";
  readonly algorithm?: Algorithm;
  /** Undefined: signs itself. */
  readonly issuer: Issuer | undefined;
  /** Certificates sent behind the leaf. */
  readonly chain: readonly Library.X509Certificate[];
}

type Algorithm = webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams;

const P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

function rsa(modulusLength: number, hash: string): webcrypto.RsaHashedKeyGenParams {
  return { name: "RSASSA-PKCS1-v1_5", modulusLength, publicExponent: Uint8Array.of(1, 0, 1), hash };
}

const DNS_NAME: Library.JsonGeneralName = { type: "dns", value: AUTH_NAME };

/** Makes all of them; `addresses` are those of the listeners and stand in the right certificates, too. */
export async function makeCredentials(addresses: readonly string[], wallMs: number): Promise<Credentials> {
  // The library's dependency injection needs this global registry before it is loaded.
  await import("reflect-metadata");
  const maker = new Maker(await import("@peculiar/x509"), wallMs);
  const root = await maker.authority("Sotto testserver root", undefined);
  const intermediate = await maker.authority("Sotto testserver intermediate", root);
  const stranger = await maker.authority("Sotto testserver stranger", undefined);
  const legacy = await maker.authority("Sotto testserver legacy", root, rsa(2048, "SHA-1"));
  const names = [DNS_NAME, ...addresses.map((value) => ({ type: "ip" as const, value }))];
  const good: Plan = { names, issuer: intermediate, chain: [intermediate.certificate] };
  const former = await maker.leaf(good);
  const servers = {
    good: await maker.leaf(good),
    wildcard: await maker.leaf({ ...good, names: [{ type: "dns", value: "*.sotto.test" }] }),
    "address-only": await maker.leaf({ ...good, names: names.slice(1) }),
    "wrong-name": await maker.leaf({ ...good, names: [{ type: "dns", value: "elsewhere.sotto.test" }] }),
    "name-in-cn-only": await maker.leaf({ ...good, names: [], commonName: AUTH_NAME }),
    expired: await maker.leaf({ ...good, days: [-30, -1] }),
    "not-yet-valid": await maker.leaf({ ...good, days: [1, 30] }),
    "self-signed": await maker.leaf({ names, issuer: undefined, chain: [] }),
    "other-authority": await maker.leaf({ names, issuer: stranger, chain: [] }),
    "no-intermediate": await maker.leaf({ ...good, chain: [] }),
    "new-key": await maker.leaf(good),
    "client-usage": await maker.leaf({ ...good, usage: "client" }),
    sha1: await maker.leaf({
      names,
      issuer: legacy,
      chain: [legacy.certificate],
      algorithm: rsa(2048, "SHA-1"),
    }),
    "rsa-1024": await maker.leaf({ ...good, algorithm: rsa(1024, "SHA-256") }),
  } satisfies Record<CertificateKind, Credential>;
  return {
    authorityPem: `${root.certificate.toString("pem")}\n`,
    intermediatePem: `${intermediate.certificate.toString("pem")}\n`,
    servers,
    client: await maker.leaf({
      ...good,
      commonName: "client.test",
      names: [{ type: "dns", value: "client.test" }],
      usage: "client",
    }),
    pinOf: (kind) => spkiPin(kind === "new-key" ? former.certificatePem : servers[kind].certificatePem),
  };
}

class Maker {
  readonly #x509: typeof Library;
  readonly #wallMs: number;
  #serial = 1;

  constructor(x509: typeof Library, wallMs: number) {
    this.#x509 = x509;
    this.#wallMs = wallMs;
  }

  async authority(
    commonName: string,
    issuer: Issuer | undefined,
    algorithm: Algorithm = P256,
  ): Promise<Issuer> {
    const x509 = this.#x509;
    const keys = await generateKeys(algorithm);
    const signer = issuer ?? { keys };
    const certificate = await x509.X509CertificateGenerator.create({
      ...this.#head(`CN=${commonName}`, issuer?.certificate.subject ?? `CN=${commonName}`, [-30, 3650]),
      signingAlgorithm: signingAlgorithm(signer.keys),
      publicKey: keys.publicKey,
      signingKey: signer.keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(true, issuer === undefined ? 1 : 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return { certificate, keys };
  }

  async leaf(plan: Plan): Promise<Credential> {
    const x509 = this.#x509;
    const {
      commonName = "Sotto testserver",
      names = [],
      days = [-1, 90],
      usage = "server",
      algorithm = P256,
    } = plan;
    const keys = await generateKeys(algorithm);
    const signer = plan.issuer?.keys ?? keys;
    const usages = usage === "server" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
    const certificate = await x509.X509CertificateGenerator.create({
      ...this.#head(`CN=${commonName}`, plan.issuer?.certificate.subject ?? `CN=${commonName}`, days),
      signingAlgorithm: signingAlgorithm(signer),
      publicKey: keys.publicKey,
      signingKey: signer.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([usages]),
        ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension([...names])]),
        await x509.AuthorityKeyIdentifierExtension.create(signer.publicKey),
      ],
    });
    const chain = [certificate, ...plan.chain].map((one) => `${one.toString("pem")}\n`).join("");
    return { certificatePem: chain, keyPem: await exportKey(keys.privateKey) };
  }

  #head(
    subject: string,
    issuer: string,
    [from, to]: readonly [number, number],
  ): { serialNumber: string; subject: string; issuer: string; notBefore: Date; notAfter: Date } {
    return {
      serialNumber: (this.#serial++).toString(16).padStart(2, "0"),
      subject,
      issuer,
      notBefore: new Date(this.#wallMs + from * DAY_MS),
      notAfter: new Date(this.#wallMs + to * DAY_MS),
    };
  }
}

async function generateKeys(algorithm: Algorithm): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

/** What the issuer's key signs with: its hash is that of the key. */
function signingAlgorithm({ privateKey }: webcrypto.CryptoKeyPair): { name: string; hash: string } {
  const { name } = privateKey.algorithm;
  if (name === "ECDSA") return { name, hash: P256.hash };
  // Keys of RSA in WebCrypto carry their hash.
  return { name, hash: (privateKey.algorithm as unknown as { hash: { name: string } }).hash.name };
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${der.replace(/.{64}/g, "$&\n")}\n-----END PRIVATE KEY-----\n`;
}

const DAY_MS = 86_400_000;
