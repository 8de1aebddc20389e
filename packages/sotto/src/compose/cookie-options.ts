/** DNS cookies as they are configured: with the secrets of the file, or one that was drawn at start. */
import type { Config } from "../config/index.ts";
import type { ServerCookiesOptions } from "../server/index.ts";

/** What SipHash takes. */
export const COOKIE_SECRET_OCTETS = 16;

/** Undefined: none are given. */
export function cookieOptions(
  { cookies }: Pick<Config, "cookies">,
  drawn: Uint8Array,
): ServerCookiesOptions | undefined {
  if (cookies.policy === "off") return undefined;
  return { policy: cookies.policy, secrets: cookies.secrets.length === 0 ? [drawn] : cookies.secrets };
}
