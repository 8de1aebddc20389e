/** What callers of `lookup` pass, in all the forms that Node takes. */
import {
  requireBoolean,
  requireNumber,
  requireOneOf,
  requireString,
  wrongType,
  wrongValue,
} from "./argument-checks.ts";

export type Family = 0 | 4 | 6;
export type ResultOrder = "verbatim" | "ipv4first" | "ipv6first";

export interface LookupArguments {
  readonly family: Family;
  readonly hints: number;
  readonly all: boolean;
  readonly order: ResultOrder;
}

/** Flags of getaddrinfo as glibc numbers them; Node exports what its platform has, and so do we. */
export { ADDRCONFIG, ALL, V4MAPPED } from "node:dns";

import { ADDRCONFIG, ALL, V4MAPPED } from "node:dns";

const ORDERS = ["verbatim", "ipv4first", "ipv6first"] as const satisfies readonly ResultOrder[];
const FAMILIES = [0, 4, 6] as const satisfies readonly Family[];

export function readOrder(value: unknown, name: string): ResultOrder {
  requireOneOf(value, name, ORDERS);
  return value;
}

export function requireHostname(hostname: unknown): void {
  if (!hostname) return;
  requireString(hostname, "hostname");
  if (hostname.includes("\0")) throw wrongValue("hostname", hostname, "must be a string without null bytes");
}

/** Throws what Node throws. `isCallback`: names of families as text are known there only. */
export function readLookupOptions(
  options: unknown,
  order: ResultOrder,
  isCallback: boolean,
): LookupArguments {
  const silent = { family: 0, hints: 0, all: false, order } as const;
  if (options === undefined || options === null) return silent;
  if (typeof options === "number") {
    requireOneOf(options, "family", FAMILIES);
    return { ...silent, family: options };
  }
  if (typeof options !== "object") throw wrongType("options", "of type object or integer", options);
  // Inherited ones count, too: options may be an instance of a class. What a field holds is checked below.
  return readFields(options as Readonly<Record<string, unknown>>, silent, isCallback);
}

function readFields(
  given: Readonly<Record<string, unknown>>,
  silent: LookupArguments,
  isCallback: boolean,
): LookupArguments {
  let { family, hints, all, order } = silent;
  if (isGiven(given["hints"])) {
    requireNumber(given["hints"], "options.hints");
    hints = given["hints"] >>> 0;
    if ((hints & ~(ADDRCONFIG | ALL | V4MAPPED)) !== 0) throw wrongValue("hints", hints);
  }
  if (isGiven(given["family"])) {
    const named = isCallback ? { IPv4: 4, IPv6: 6 }[String(given["family"])] : undefined;
    const value = named ?? given["family"];
    requireOneOf(value, "options.family", FAMILIES);
    family = value;
  }
  if (isGiven(given["all"])) {
    requireBoolean(given["all"], "options.all");
    all = given["all"];
  }
  if (isGiven(given["verbatim"])) {
    requireBoolean(given["verbatim"], "options.verbatim");
    order = given["verbatim"] ? "verbatim" : "ipv4first";
  }
  if (isGiven(given["order"])) order = readOrder(given["order"], "options.order");
  return { family, hints, all, order };
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}
