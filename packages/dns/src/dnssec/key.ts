/** DNSKEY records as a validator needs them (RFC 4034 §2, Appendix B). */
import type { KeyObject } from "node:crypto";
import { DnssecAlgorithm, uint16At } from "@sotto/dns/wire";
import { publicKeyOf } from "./algorithms.ts";

/** One key of a zone. */
export class Dnskey {
  readonly rdata: Uint8Array;
  readonly flags: number;
  readonly protocol: number;
  readonly algorithm: number;
  readonly tag: number;
  #publicKey: KeyObject | undefined | null = null;

  /** Takes rdata that is known to be well-formed: every decoded DNSKEY is. */
  constructor(rdata: Uint8Array) {
    this.rdata = rdata;
    this.flags = uint16At(rdata, 0);
    this.protocol = rdata[2] ?? 0;
    this.algorithm = rdata[3] ?? 0;
    this.tag = keyTagOf(rdata);
  }

  /** RFC 4034 §2.1.1: only such keys sign zone data. */
  get isZoneKey(): boolean {
    return (this.flags & FLAG_ZONE) !== 0 && this.protocol === 3;
  }

  /** RFC 5011 §2.1: such a key counts for nothing but its own revocation. */
  get isRevoked(): boolean {
    return (this.flags & FLAG_REVOKED) !== 0;
  }

  /** RFC 4034 §2.1.1: a hint that this key signs keys. */
  get isSecureEntryPoint(): boolean {
    return (this.flags & FLAG_SECURE_ENTRY_POINT) !== 0;
  }

  /** The key for `node:crypto`, made once; undefined when the algorithm or the key is unusable. */
  get publicKey(): KeyObject | undefined {
    if (this.#publicKey === null) this.#publicKey = publicKeyOf(this.algorithm, this.rdata.subarray(4));
    return this.#publicKey;
  }
}

/** RFC 4034 Appendix B; B.1 for algorithm 1. */
export function keyTagOf(dnskeyRdata: Uint8Array): number {
  if (dnskeyRdata[3] === DnssecAlgorithm.RSAMD5)
    return dnskeyRdata.length < 7 ? 0 : uint16At(dnskeyRdata, dnskeyRdata.length - 3);
  let sum = 0;
  for (let i = 0; i < dnskeyRdata.length; i++)
    sum += (i & 1) === 0 ? (dnskeyRdata[i] ?? 0) << 8 : (dnskeyRdata[i] ?? 0);
  return (sum + (sum >>> 16)) & 0xffff;
}

const FLAG_ZONE = 0x0100;
const FLAG_REVOKED = 0x0080;
const FLAG_SECURE_ENTRY_POINT = 0x0001;
