/**
 * DNS cookies of a client (RFC 7873 §5.1, §5.3): a cookie of ours for each server and own address, and the one that the
 * server gave. A reply with another client cookie is forged; a server that sees its own cookie knows that we are real.
 */
import type { Random } from "@sotto/dns/runtime";
import {
  CLIENT_COOKIE_OCTETS,
  type EdnsOption,
  makeCookie,
  SIPHASH_KEY_OCTETS,
  sipHash24,
  tryReadCookie,
} from "@sotto/dns/wire";

/** Servers whose cookie is kept; beyond it the one used least recently is forgotten, and gives another one. */
const SERVERS_MAX = 2000;

/**
 * `wrong`: another client cookie than ours, or an unreadable one: the reply is dropped. `missing`: none, although this
 * server has given some: forged, or the server has stopped giving them, which TCP finds out.
 */
export type CookieVerdict = "good" | "wrong" | "missing";

/** Cookies of one client. */
export class ClientCookies {
  readonly #random: Random;
  #secret: Uint8Array;
  /** By server and own address (RFC 9018 §3: a cookie is never used from another address). */
  readonly #serverCookies = new Map<string, Uint8Array>();
  /** What was made of the secret already. */
  readonly #clientOptions = new Map<string, EdnsOption>();
  #latestServer = "";
  #latestAddress = "";
  #latestKey = "|";

  constructor(random: Random) {
    this.#random = random;
    this.#secret = random.octets(SIPHASH_KEY_OCTETS);
  }

  /** The option for a query. */
  optionFor(server: string, localAddress: string): EdnsOption {
    const key = this.#keyOf(server, localAddress);
    const known = this.#serverCookies.get(key);
    if (known === undefined) return this.#clientOption(key);
    this.#serverCookies.delete(key);
    this.#serverCookies.set(key, known);
    return makeCookie({ client: this.#clientOption(key).data, server: known });
  }

  /**
   * Judges the option of a reply (undefined: none) and keeps the server's cookie (RFC 7873 §5.3).
   */
  judge(server: string, localAddress: string, data: Uint8Array | undefined): CookieVerdict {
    const key = this.#keyOf(server, localAddress);
    if (data === undefined) return this.#serverCookies.has(key) ? "missing" : "good";
    const cookie = tryReadCookie(data);
    if (!cookie.ok) return "wrong";
    const { client, server: given } = cookie.value;
    const own = this.#clientOption(key).data;
    if (client.length !== CLIENT_COOKIE_OCTETS || client.some((octet, i) => octet !== own[i])) return "wrong";
    if (given.length > 0) {
      this.#serverCookies.delete(key);
      this.#serverCookies.set(key, given.slice());
      if (this.#serverCookies.size > SERVERS_MAX) {
        const [oldest] = this.#serverCookies.keys();
        if (oldest !== undefined) this.#serverCookies.delete(oldest);
      }
    }
    return "good";
  }

  /** No reply with a cookie came: the server may have stopped giving them. */
  forget(server: string, localAddress: string): void {
    this.#serverCookies.delete(this.#keyOf(server, localAddress));
  }

  /** The network is another one: new cookies for everybody, so that nobody recognises us. */
  forgetAll(): void {
    this.#secret = this.#random.octets(SIPHASH_KEY_OCTETS);
    this.#clientOptions.clear();
    this.#serverCookies.clear();
  }

  /** Kept, because a text that is put together anew is also hashed anew each time. */
  #keyOf(server: string, localAddress: string): string {
    if (server !== this.#latestServer || localAddress !== this.#latestAddress) {
      this.#latestServer = server;
      this.#latestAddress = localAddress;
      this.#latestKey = `${server}|${localAddress}`;
    }
    return this.#latestKey;
  }

  /** As it is sent while the server has given none. */
  #clientOption(key: string): EdnsOption {
    const known = this.#clientOptions.get(key);
    if (known !== undefined) return known;
    const made = makeCookie({ client: sipHash24(this.#secret, utf8.encode(key)), server: NONE });
    // They can be made again.
    if (this.#clientOptions.size >= SERVERS_MAX) this.#clientOptions.clear();
    this.#clientOptions.set(key, made);
    return made;
  }
}

const utf8 = new TextEncoder();
const NONE = new Uint8Array(0);
