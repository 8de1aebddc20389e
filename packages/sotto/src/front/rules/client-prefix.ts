/**
 * Clients as prefixes: rates and bans are for whoever shares one. Behind the address of a carrier's translator (RFC 6888) stand many,
 * so that some prefixes have masks of their own or so many times the rate.
 */
import { addressToText, PrefixTrie, tryParsePeerAddress, tryParsePrefix } from "@sotto/dns/wire";

/** How many bits of an address make a client. */
export interface ClientMasks {
  readonly ipv4Bits: number;
  readonly ipv6Bits: number;
  /** Prefixes, as text, whose clients are told apart otherwise, or have `factor` times the rate; the longest counts. */
  readonly exceptions: readonly {
    readonly prefix: string;
    /** Absent: as above. */
    readonly bits?: number | undefined;
    /** Absent: 1. */
    readonly factor?: number | undefined;
  }[];
}

/** An IPv4 address is one client; of IPv6 a network gets a /56 (RFC 6177), in which addresses change at will (RFC 8981). */
export const CLIENT_MASKS_DEFAULT: ClientMasks = { ipv4Bits: 32, ipv6Bits: 56, exceptions: [] };

/** Finds mask and factor of an address. */
export class ClientMasking {
  readonly #masks: ClientMasks;
  readonly #exceptions = new PrefixTrie();

  /** Throws a RangeError for a text that is no prefix. */
  constructor(masks: ClientMasks) {
    this.#masks = masks;
    for (const [i, { prefix: text }] of masks.exceptions.entries()) {
      const prefix = tryParsePrefix(text);
      if (!prefix.ok) throw new RangeError(prefix.problem);
      this.#exceptions.set(prefix.value, i + 1);
    }
  }

  /** Leading bits of the address that make the client. */
  bits(address: Uint8Array): number {
    const { exceptions, ipv4Bits, ipv6Bits } = this.#masks;
    const usual = address.length === 4 ? ipv4Bits : ipv6Bits;
    if (exceptions.length === 0) return usual;
    return Math.min(address.length * 8, this.#exceptionOf(address)?.bits ?? usual);
  }

  /** How many times the rate it has. */
  factor(address: Uint8Array): number {
    return this.#masks.exceptions.length === 0 ? 1 : (this.#exceptionOf(address)?.factor ?? 1);
  }

  #exceptionOf(address: Uint8Array): ClientMasks["exceptions"][number] | undefined {
    return this.#masks.exceptions[this.#exceptions.longest(address) - 1];
  }
}

/** Octets of client addresses, remembered: reading a text costs more than what is done with it. All are forgotten at once. */
export class ClientAddresses {
  readonly #remembered = new Map<string, Uint8Array>();

  /** 4 or 16 octets, none for what is no address. IPv4 that a socket for both families tells as IPv6 is IPv4. */
  octetsOf(address: string): Uint8Array {
    const known = this.#remembered.get(address);
    if (known !== undefined) return known;
    const parsed = tryParsePeerAddress(address);
    const octets = parsed.ok ? parsed.value : NOTHING;
    if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
    this.#remembered.set(address, octets);
    return octets;
  }
}

/** `192.0.2.0/24`. */
export function prefixToText(address: Uint8Array, bits: number): string {
  const octets = address.map((octet, i) => octet & (0xff00 >> Math.min(8, Math.max(0, bits - 8 * i))));
  return `${addressToText(octets)}/${bits}`;
}

/** Whether a text is that prefix as {@link prefixToText} writes it, or an address in it. */
export function namesPrefix(text: string, prefix: string): boolean {
  if (text === prefix) return true;
  const address = tryParsePeerAddress(text);
  return address.ok && prefixToText(address.value, Number(prefix.slice(prefix.indexOf("/") + 1))) === prefix;
}

const NOTHING = new Uint8Array(0);
const REMEMBERED_MAX = 10_000;
