/** Kinds of settings: texts that are known to parse, numbers within bounds. */
import {
  addressToText,
  type Parsed,
  parsed,
  problem,
  tryParseAddress,
  tryParseName,
  tryParsePrefix,
} from "@sotto/dns/wire";
import { z } from "zod";
import { tryParseDuration, tryParseSize } from "./units.ts";

/** A text that `parse` accepts; its problem becomes the message. */
export function text<T>(parse: (text: string) => Parsed<T>, sample: string): z.ZodString {
  return z
    .string()
    .superRefine((value, context) => {
      const result = parse(value);
      if (!result.ok) context.addIssue({ code: "custom", message: result.problem });
    })
    .meta({ examples: [sample] });
}

/** The same at the type level: a Zod string whose value is known to parse. */
export const duration = (): z.ZodString => text(tryParseDuration, "10s");
export const size = (): z.ZodString => text(tryParseSize, "64MiB");
export const address = (): z.ZodString => text(tryParseAddress, "192.0.2.1");
export const prefix = (): z.ZodString => text(tryParsePrefix, "192.0.2.0/24");
export const zoneName = (): z.ZodString => text((value) => tryParseName(value), "example.");
/** The pin's base64 of `sha256:…`. */
export function tryParsePin(value: string): Parsed<string> {
  const pin = /^sha256:([A-Za-z0-9+/]{43}=)$/.exec(value)?.[1];
  return pin === undefined
    ? problem(`${JSON.stringify(value)} is not a pin such as sha256: and 44 characters of base64`)
    : parsed(pin);
}
/** `192.0.2.1` or `192.0.2.1@5353`. */
export function tryParseStubServer(
  value: string,
): Parsed<{ readonly address: string; readonly port: number | undefined }> {
  const [literal = "", portText] = value.split("@");
  const octets = tryParseAddress(literal);
  if (!octets.ok) return octets;
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && (!Number.isInteger(port) || port < 1 || port > 65535))
    return problem(`${JSON.stringify(portText)} is not a port`);
  return parsed({ address: addressToText(octets.value), port });
}
export const port = (): z.ZodNumber => z.number().int().min(0).max(65535);
