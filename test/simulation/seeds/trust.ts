/**
 * Whose word can be forged: what each zone is worth to a validator, and which zones the liars of a seed can reach. What neither
 * DNSSEC nor distance protects may be answered with anything; all else must be the truth.
 */
import type { ServedZone, ServerText } from "@sotto/dns/testing";
import { decodeRdataOf, type Name, RRType } from "@sotto/dns/wire";
import { type Expectation, zoneExpectations } from "../../interop/dnssec-expectations.ts";
import type { Step } from "./truth.ts";

/**
 * `secure`: everything can be validated. `opt-out`: names that do not exist, and what stands for them, cannot. `costly`: too
 * many rounds of hashing, so that everything can be denied. `partly bogus`: whatever validates is true.
 */
export type Worth = "secure" | "opt-out" | "costly" | "partly bogus" | "bogus" | "insecure";

/** Zones that are not in the table of expectations and not simply as signed as they look. */
const OTHERS: Readonly<Record<string, Worth>> = {
  "expired.example.": "bogus",
  "wrongkey.example.": "bogus",
  // What is not valid yet will be, in ten days.
  "early.dnssec.": "partly bogus",
};

/** What every zone is worth by itself. */
export function worthOfZones(zones: readonly ServedZone[]): ReadonlyMap<string, Worth> {
  const expectations = zoneExpectations();
  const worths = new Map<string, Worth>();
  for (const { origin, zone } of zones) {
    const text = origin.toString();
    const expectation = expectations.get(text);
    const signed = zone.isSigned ? "secure" : "insecure";
    worths.set(text, OTHERS[text] ?? (expectation === undefined ? signed : worthOf(expectation)));
  }
  return worths;
}

function worthOf({ security, kinds = {} }: Expectation): Worth {
  if (security !== "secure") return security;
  const values = Object.values(kinds);
  if (values.includes("bogus")) return "partly bogus";
  if (kinds.nodata === "insecure") return "costly";
  return values.includes("insecure") && kinds.nxdomain === "insecure" ? "opt-out" : "secure";
}

/** What is protected in one seed. */
export class Trust {
  readonly #worths: ReadonlyMap<string, Worth>;
  readonly #exposed: ReadonlySet<string>;
  readonly #flawed: ReadonlySet<string>;

  /** `flawed`: zones whose servers answer wrongly by themselves. */
  constructor(worths: ReadonlyMap<string, Worth>, exposed: ReadonlySet<string>, flawed: ReadonlySet<string>) {
    this.#flawed = flawed;
    this.#worths = worths;
    this.#exposed = exposed;
  }

  worth(zone: string): Worth {
    return this.#worths.get(zone) ?? "insecure";
  }

  /** True when no liar of this seed can make anybody believe something else, or nothing is the only other thing. */
  isSafe({ zone, kind }: Step): boolean {
    if (!this.#exposed.has(zone)) return true;
    if (kind === "delegated to nobody") return false;
    switch (this.worth(zone)) {
      case "secure":
      case "partly bogus":
      case "bogus":
        return !this.#isDeniable(zone);
      case "opt-out":
        return kind === "rrset" || kind === "nodata";
      default:
        return false;
    }
  }

  /** Whoever can deny a DS set can take the security of all that is beneath (RFC 9276 §3.2). */
  #isDeniable(zone: string): boolean {
    for (let at = zone.indexOf(".") + 1; at > 0 && at < zone.length; at = zone.indexOf(".", at) + 1)
      if (this.worth(zone.slice(at)) === "costly") return true;
    return false;
  }

  /** True when no liar of this seed gets to say anything about it, and the zone's own servers say what it holds. */
  isOutOfReach({ zone }: Step): boolean {
    return !this.#exposed.has(zone) && !this.#flawed.has(zone);
  }

  /** True when AD may stand beside it, if it is the truth. */
  mayBeAuthentic({ zone, kind }: Step): boolean {
    switch (this.worth(zone)) {
      case "secure":
      case "partly bogus":
        return true;
      case "opt-out":
        return kind === "rrset" || kind === "nodata" || kind === "any";
      case "costly":
        return kind === "rrset" || kind === "any";
      default:
        return false;
    }
  }
}

/**
 * Zones that lying servers can forge, as far as signatures do not stop them: those they serve, those beneath, and those whose
 * servers have names in such zones, or addresses as glue from there.
 */
export function exposedZones(
  zones: readonly ServedZone[],
  servers: readonly ServerText[],
  liars: ReadonlySet<string>,
): ReadonlySet<string> {
  const exposed = new Set(servers.filter(({ name }) => liars.has(name)).flatMap((server) => server.zones));
  for (let before = -1; before !== exposed.size; ) {
    before = exposed.size;
    for (const one of zones) if (isReachable(one, zones, exposed)) exposed.add(one.origin.toString());
  }
  return exposed;
}

function isReachable(
  { origin, zone }: ServedZone,
  zones: readonly ServedZone[],
  exposed: ReadonlySet<string>,
): boolean {
  const isExposed = (name: Name): boolean =>
    zones.some((other) => name.isAtOrBelow(other.origin) && exposed.has(other.origin.toString()));
  if (isExposed(origin)) return true;
  return zone.rrset(origin, RRType.NS).some(({ rdata }) => {
    const fields = decodeRdataOf("NS", rdata);
    return fields.ok && isExposed(fields.value.host);
  });
}
