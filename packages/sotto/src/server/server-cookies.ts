/**
 * DNS cookies of a server (RFC 7873 §5.2) in the interoperable form of RFC 9018 §4, so that servers on one address with one
 * secret take each other's. A cookie proves that a client sees what is sent to its address.
 */
import type { QueryOrigin } from "@sotto/dns/transport";
import {
  EdnsOptionCode,
  type MessageView,
  OPTION_HEADER_OCTETS,
  SIPHASH_KEY_OCTETS,
  setUint16,
  sipHash24,
  tryParsePeerAddress,
  uint16At,
} from "@sotto/dns/wire";

export interface ServerCookiesOptions {
  /** Of 16 octets each; the first makes cookies, all are tried on those that come back (RFC 9018 §5). */
  readonly secrets: readonly Uint8Array[];
  /**
   * `offer`: everybody who sends a client cookie gets a server cookie. `require over udp`: and with a client cookie
   * alone gets BADCOOKIE over UDP (RFC 7873 §5.2.3).
   */
  readonly policy: "offer" | "require over udp";
}

/** What a query's COOKIE option is worth; a malformed one is none. */
export type CookieVerdict = "absent" | "client only" | "good";

const CLIENT_OCTETS = 8;
/** Version, three reserved octets, time, hash (RFC 9018 §4). */
const SERVER_OCTETS = 16;
const VERSION = 1;
/** RFC 7873 §4.2: client cookie, and a server cookie of 8 to 32 octets. */
const OPTION_OCTETS_MIN = 16;
const OPTION_OCTETS_MAX = 40;
/** RFC 9018 §4.3, seconds: how old a cookie may be, how far in the future, and when it is due for a new one. */
const AGE_SECONDS_MAX = 3600;
const FUTURE_SECONDS_MAX = 300;
const FRESH_SECONDS = 1800;
/** Octets that `write` may need. */
export const COOKIE_OPTION_OCTETS = OPTION_HEADER_OCTETS + CLIENT_OCTETS + SERVER_OCTETS;

/** RFC 7873 §5.2.2: FORMERR for an option of another length than 8 or 16 to 40. */
export function hasBadCookie(view: MessageView): boolean {
  const at = view.optionOffset(EdnsOptionCode.Cookie);
  if (at < 0) return false;
  const octets = uint16At(view.octets, at - 2);
  return octets !== CLIENT_OCTETS && (octets < OPTION_OCTETS_MIN || octets > OPTION_OCTETS_MAX);
}

/** Judges and makes cookies. */
export class ServerCookies {
  readonly policy: ServerCookiesOptions["policy"];
  readonly #secrets: readonly Uint8Array[];
  readonly #wallMs: () => number;
  /** What is hashed: client cookie, the cookie's head, the address. Used again by each call. */
  readonly #input = new Uint8Array(CLIENT_OCTETS + 8 + 16);

  /** Throws a RangeError unless every secret has 16 octets and there is one. */
  constructor(options: ServerCookiesOptions, wallMs: () => number) {
    if (
      options.secrets.length === 0 ||
      options.secrets.some((secret) => secret.length !== SIPHASH_KEY_OCTETS)
    )
      throw new RangeError(`cookie secrets have ${SIPHASH_KEY_OCTETS} octets`);
    this.policy = options.policy;
    this.#secrets = options.secrets;
    this.#wallMs = wallMs;
  }

  /** Judges the option of a query without an EDNS problem. */
  judge(view: MessageView, origin: QueryOrigin): CookieVerdict {
    const at = view.optionOffset(EdnsOptionCode.Cookie);
    if (at < 0) return "absent";
    const octets = uint16At(view.octets, at - 2);
    if (octets === CLIENT_OCTETS) return "client only";
    return this.#ageSeconds(view.octets, at, octets, origin) === undefined ? "client only" : "good";
  }

  /**
   * Writes the answer's option at `at`: the client's cookie and a server cookie, its own again while that is fresh. Gives
   * the new end. Only for a query whose option is not malformed.
   */
  write(buffer: Uint8Array, at: number, view: MessageView, origin: QueryOrigin): number {
    const optionAt = view.optionOffset(EdnsOptionCode.Cookie);
    const octets = uint16At(view.octets, optionAt - 2);
    const end = at + COOKIE_OPTION_OCTETS;
    setUint16(buffer, at, EdnsOptionCode.Cookie);
    setUint16(buffer, at + 2, CLIENT_OCTETS + SERVER_OCTETS);
    const cookieAt = at + OPTION_HEADER_OCTETS;
    const age =
      octets === CLIENT_OCTETS + SERVER_OCTETS
        ? this.#ageSeconds(view.octets, optionAt, octets, origin)
        : undefined;
    if (age !== undefined && age <= FRESH_SECONDS) {
      buffer.set(view.octets.subarray(optionAt, optionAt + octets), cookieAt);
      return end;
    }
    buffer.set(view.octets.subarray(optionAt, optionAt + CLIENT_OCTETS), cookieAt);
    const headAt = cookieAt + CLIENT_OCTETS;
    buffer.fill(0, headAt, headAt + 4);
    buffer[headAt] = VERSION;
    new DataView(buffer.buffer, buffer.byteOffset).setUint32(headAt + 4, this.#nowSeconds());
    const [secret = NO_SECRET] = this.#secrets;
    buffer.set(this.#hash(buffer, cookieAt, secret, origin), headAt + 8);
    return end;
  }

  #nowSeconds(): number {
    return Math.floor(this.#wallMs() / 1000) >>> 0;
  }

  /** Negative for a cookie of the future; undefined for one that is not ours, too old or too new. */
  #ageSeconds(octets: Uint8Array, at: number, length: number, origin: QueryOrigin): number | undefined {
    const headAt = at + CLIENT_OCTETS;
    if (length !== CLIENT_OCTETS + SERVER_OCTETS || octets[headAt] !== VERSION) return undefined;
    const madeSeconds = (uint16At(octets, headAt + 4) << 16) | uint16At(octets, headAt + 6);
    // RFC 9018 §4.3: serial number arithmetic.
    const age = (this.#nowSeconds() - madeSeconds) | 0;
    if (age > AGE_SECONDS_MAX || age < -FUTURE_SECONDS_MAX) return undefined;
    const isOurs = this.#secrets.some((secret) =>
      isEqual(this.#hash(octets, at, secret, origin), octets, headAt + 8),
    );
    return isOurs ? age : undefined;
  }

  /** Over client cookie, version, reserved, time and the client's address (RFC 9018 §4.4). */
  #hash(octets: Uint8Array, cookieAt: number, secret: Uint8Array, origin: QueryOrigin): Uint8Array {
    const headOctets = CLIENT_OCTETS + 8;
    this.#input.set(octets.subarray(cookieAt, cookieAt + headOctets));
    const address = tryParsePeerAddress(origin.remote?.address ?? "");
    const addressOctets = address.ok ? address.value : NO_SECRET;
    this.#input.set(addressOctets, headOctets);
    return sipHash24(secret, this.#input.subarray(0, headOctets + addressOctets.length));
  }
}

/** Looks at all octets, whatever the first difference is. */
function isEqual(hash: Uint8Array, octets: Uint8Array, at: number): boolean {
  let difference = 0;
  for (let i = 0; i < hash.length; i++) difference |= (hash[i] ?? 0) ^ (octets[at + i] ?? 0);
  return difference === 0;
}

const NO_SECRET = new Uint8Array(0);
