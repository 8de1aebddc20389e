/** Keys of TLS session tickets: derived from a secret and the epoch, so that servers with one secret agree without a bus. */
import { hkdfSync } from "node:crypto";

/** Octets of Node's ticket keys: name, HMAC key and AES key. */
const TICKET_KEYS_OCTETS = 48;

/** The number of the epoch that contains a moment; all servers with a right clock agree on it. */
export function ticketEpoch(wallMs: number, rotationMs: number): number {
  return Math.floor(wallMs / rotationMs);
}

/** The 48 octets of an epoch: HKDF-SHA-256 (RFC 5869) of the secret. */
export function ticketKeysOf(secret: Uint8Array, epoch: number): Uint8Array {
  return new Uint8Array(
    hkdfSync("sha256", secret, "sotto ticket keys", `epoch ${epoch}`, TICKET_KEYS_OCTETS),
  );
}
