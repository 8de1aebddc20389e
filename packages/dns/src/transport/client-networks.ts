/**
 * Whom the limits of connections count together: a client, which is an address or the network that one client has, and the subnet
 * that it is in. Behind one address of a carrier's translator stand many (RFC 6888; RFC 7766 §6.2.2 asks to be much looser for
 * them), so that some prefixes have so many times the limits, or clients of another size.
 */
import { PrefixTrie, tryParsePeerAddress, tryParsePrefix } from "@sotto/dns/wire";
import { type AdmissionLimits, CLIENT_EXCEPTIONS_MAX, type ClientException } from "./limits.ts";

/** Keys under which an address is counted, and how many times the limits it has. */
export interface ClientShare {
  readonly client: string;
  readonly subnet: string;
  readonly factor: number;
}

type ClientLimits = Pick<
  AdmissionLimits,
  "clientBitsIpv4" | "clientBitsIpv6" | "subnetBitsIpv4" | "subnetBitsIpv6" | "clientExceptions"
>;

/** See the head of this file. */
export class ClientNetworks {
  readonly #limits: ClientLimits;
  readonly #exceptions = new PrefixTrie();
  /** By address: those who come are mostly those who came. */
  readonly #shares = new Map<string, ClientShare>();

  /** Throws a RangeError for exceptions that are too many, or make no sense. */
  constructor(limits: ClientLimits) {
    const { clientExceptions } = limits;
    this.#limits = limits;
    if (clientExceptions.length > CLIENT_EXCEPTIONS_MAX)
      throw new RangeError(`at most ${CLIENT_EXCEPTIONS_MAX} exceptions are possible`);
    for (const [i, exception] of clientExceptions.entries()) this.#add(exception, i + 1);
  }

  #add({ prefix: text, bits, factor = 1 }: ClientException, value: number): void {
    const prefix = tryParsePrefix(text);
    if (!prefix.ok) throw new RangeError(prefix.problem);
    const bitsMax = prefix.value.octets.length * 8;
    if (bits !== undefined && !(Number.isInteger(bits) && bits >= 0 && bits <= bitsMax))
      throw new RangeError(`clients in ${text} have from 0 to ${bitsMax} bits, not ${bits}`);
    if (!(factor > 0)) throw new RangeError(`the factor of ${text} is not above 0`);
    this.#exceptions.set(prefix.value, value);
  }

  /** What is no address is a client and a subnet of its own. */
  of(address: string): ClientShare {
    const known = this.#shares.get(address);
    if (known !== undefined) return known;
    if (this.#shares.size >= SHARES_KEPT) this.#shares.clear();
    const share = this.#makeShare(address);
    this.#shares.set(address, share);
    return share;
  }

  #makeShare(address: string): ClientShare {
    const parsed = tryParsePeerAddress(address);
    if (!parsed.ok) return { client: address, subnet: address, factor: 1 };
    const octets = parsed.value;
    const limits = this.#limits;
    const isIpv4 = octets.length === 4;
    const nth = this.#exceptions.longest(octets);
    const exception = limits.clientExceptions[nth - 1];
    const bits = exception?.bits ?? (isIpv4 ? limits.clientBitsIpv4 : limits.clientBitsIpv6);
    const subnetBits = isIpv4 ? limits.subnetBitsIpv4 : limits.subnetBitsIpv6;
    // The same link-local address on two links is two clients; networks have no zones. What is excepted is counted apart, or
    // it would fill the subnet of its neighbours, who have less.
    const zone =
      bits === octets.length * 8 && address.includes("%") ? address.slice(address.indexOf("%")) : "";
    return {
      client: `${keyOf(octets, bits)}${zone}`,
      subnet: `${keyOf(octets, Math.min(subnetBits, bits))}/${nth}`,
      factor: exception?.factor ?? 1,
    };
  }
}

/** Family, length, and as many bits of the address. */
function keyOf(octets: Uint8Array, bits: number): string {
  let key = `${octets.length === 4 ? "4" : "6"}${String.fromCharCode(bits)}`;
  for (const [i, octet] of octets.entries()) {
    const kept = Math.min(8, Math.max(0, bits - 8 * i));
    if (kept === 0) break;
    key += String.fromCharCode(octet & (0xff << (8 - kept)) & 0xff);
  }
  return key;
}

/** Addresses whose share is remembered; beyond it all are made anew, which costs a few microseconds each. */
const SHARES_KEPT = 4096;
