/** What an operator may ask of a captive portal's opening, and what is refused with a reason. */
import type { Endpoint } from "@sotto/dns/runtime";
import { type Name, type Parsed, parsed, parseName, problem, tryParseName } from "@sotto/dns/wire";
import { tryParseDuration, tryParseStubServer } from "../config/index.ts";

/** A checked request. */
export interface PortalRequest {
  /** Asked in clear, each with what is below it. */
  readonly names: readonly Name[];
  readonly server: Endpoint;
  readonly forMs: number;
}

/** A portal needs its own name and perhaps those of a payment service; more is a list of everything. */
const PORTAL_NAMES_MAX = 16;
/** Time to read terms and to type a voucher. */
const FOR_MS_DEFAULT = 5 * 60_000;
/** Below this nobody gets a page loaded. */
const FOR_MS_MIN = 10_000;
const DNS_PORT = 53;

/**
 * Reads `NAME[,NAME…]`, `ADDRESS[@PORT]` and a duration, absent for five minutes or `forMsMax`, whichever is less.
 * `isOurself` tells whether asking that endpoint would come back to us.
 */
export function readPortalRequest(
  [namesText = "", serverText = "", forText]: readonly string[],
  forMsMax: number,
  isOurself: (server: Endpoint) => boolean,
): Parsed<PortalRequest> {
  const names = readNames(namesText);
  if (!names.ok) return names;
  const server = readServer(serverText, isOurself);
  if (!server.ok) return server;
  const forMs = readDuration(forText, forMsMax);
  if (!forMs.ok) return forMs;
  return parsed({ names: names.value, server: server.value, forMs: forMs.value });
}

function readNames(text: string): Parsed<Name[]> {
  const texts = text.split(",").map((one) => one.trim());
  if (texts.length > PORTAL_NAMES_MAX)
    return problem(`${texts.length} names are given, ${PORTAL_NAMES_MAX} at most go in clear`);
  const names: Name[] = [];
  for (const one of texts) {
    const name = tryParseName(one);
    if (!name.ok || one === "") return problem(`${JSON.stringify(one)} is not a name`);
    const why = tooMuch(name.value);
    if (why !== undefined) return problem(`${name.value} ${why}`);
    names.push(name.value);
  }
  return parsed(names);
}

/** Why a name would open more than a portal, or what must never leave. */
function tooMuch(name: Name): string | undefined {
  if (name.labelCount < 2) return "is everything, or a whole top-level domain: give the portal's own name";
  const special = NEVER_IN_CLEAR.find((zone) => name.isAtOrBelow(zone));
  if (special !== undefined && !name.isAtOrBelow(HOME))
    return `is below ${special}, whose names no server is asked for (RFC 6761, RFC 7686)`;
  const [first, second] = name.labels();
  if (name.labelCount === 2 && (first?.length ?? 0) <= 3 && (second?.length ?? 0) <= 3)
    return `is so short that everybody may have names below it, as below co.uk.: give the portal's own name, such as www.${name}`;
  return undefined;
}

const NEVER_IN_CLEAR = ["localhost.", "invalid.", "onion.", "alt.", "arpa."].map((zone) => parseName(zone));
/** RFC 8375: routers have portals there. */
const HOME = parseName("home.arpa.");

function readServer(text: string, isOurself: (server: Endpoint) => boolean): Parsed<Endpoint> {
  const read = tryParseStubServer(text);
  if (!read.ok) return problem(`the server must be ADDRESS or ADDRESS@PORT: ${read.problem}`);
  const { address, port = DNS_PORT } = read.value;
  if (/^(?:0\.0\.0\.0|::|2(?:2[4-9]|[3-5]\d)\..*|ff.*)$/.test(address))
    return problem(`${address} is not the address of one server`);
  if (isOurself({ address, port }))
    return problem(
      `${address} port ${port} is this machine, which would come back to us: give the server that the network's DHCP names`,
    );
  return parsed({ address, port });
}

function readDuration(text: string | undefined, forMsMax: number): Parsed<number> {
  const forMs = text === undefined ? parsed(Math.min(FOR_MS_DEFAULT, forMsMax)) : tryParseDuration(text);
  if (!forMs.ok) return forMs;
  if (forMs.value > forMsMax)
    return problem(`${text} is longer than ${forMsMax / 1000} s, which stub.portal.for-max allows`);
  if (forMs.value < FOR_MS_MIN) return problem(`${text} is shorter than ${FOR_MS_MIN / 1000} s`);
  return forMs;
}
