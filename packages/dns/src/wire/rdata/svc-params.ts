/** Service parameters of SVCB and HTTPS (RFC 9460 §2.1, §2.2, §7, §8; RFC 9461 §5; RFC 9540). */
import { SvcParamKey, svcParamKeyFromText, svcParamKeyToText } from "../iana/svc-param-key.ts";
import { addressToText, tryParseAddress } from "../ip-address.ts";
import { type OctetReader, uint16At } from "../octets.ts";
import { type FormatProblem, type Parsed, parsed, problem } from "../parsed.ts";
import { escapeText, tryUnescape } from "../text-token.ts";
import { octetsToBase64, tryBase64ToOctets } from "./base-encoding.ts";
import type { Field } from "./field.ts";

/** One parameter as it stands on the wire. */
export interface SvcParam {
  readonly key: number;
  readonly value: Uint8Array;
}

/** What is wrong with a value for its key, undefined when nothing is or the key is unknown. */
function valueProblem(key: number, value: Uint8Array): FormatProblem | undefined {
  switch (key) {
    case SvcParamKey.mandatory: {
      if (value.length === 0 || value.length % 2 !== 0) return "mandatory is not a list of keys";
      for (let at = 0; at < value.length; at += 2) {
        // RFC 9460 §8: ascending, and never the key itself.
        if (uint16At(value, at) === 0 || (at > 0 && uint16At(value, at) <= uint16At(value, at - 2)))
          return "mandatory is not in order";
      }
      return undefined;
    }
    case SvcParamKey.alpn: {
      let at = 0;
      while (at < value.length && (value[at] ?? 0) > 0) at += (value[at] ?? 0) + 1;
      return value.length > 0 && at === value.length ? undefined : "alpn is not a list of protocol names";
    }
    case SvcParamKey["no-default-alpn"]:
    case SvcParamKey.ohttp:
      return value.length === 0 ? undefined : `${svcParamKeyToText(key)} has a value`;
    case SvcParamKey.port:
      return value.length === 2 ? undefined : "port is not 2 octets long";
    case SvcParamKey.ipv4hint:
      return value.length > 0 && value.length % 4 === 0 ? undefined : "ipv4hint is not a list of addresses";
    case SvcParamKey.ipv6hint:
      return value.length > 0 && value.length % 16 === 0 ? undefined : "ipv6hint is not a list of addresses";
    case SvcParamKey["tls-supported-groups"]:
      return value.length > 0 && value.length % 2 === 0
        ? undefined
        : "tls-supported-groups is not a list of groups";
    default:
      return undefined;
  }
}

/**
 * Reads parameters up to the end: keys ascend without doubles, values fit their keys (RFC 9460 §2.2), keys that are
 * mandatory are there (§8), and there is alpn where there is no-default-alpn (§7.1.1). Calls `found` for
 * each; gives what is wrong, undefined when nothing is.
 */
function walk(
  reader: OctetReader,
  found: ((param: SvcParam) => void) | undefined,
): FormatProblem | undefined {
  let lastKey = -1;
  let mandatory: Uint8Array | undefined;
  let mandatoryAt = 0;
  while (reader.remaining > 0) {
    const key = reader.uint16();
    const value = reader.take(reader.uint16());
    if (reader.problem !== undefined) return reader.problem;
    const wrong = key <= lastKey ? "service parameters are not in order" : valueProblem(key, value);
    if (wrong !== undefined) return wrong;
    if (key === SvcParamKey["no-default-alpn"] && lastKey !== SvcParamKey.alpn) return NO_ALPN;
    if (key === SvcParamKey.mandatory) mandatory = value;
    // Both lists ascend: a mandatory key that was passed is not there.
    else if (mandatory !== undefined && mandatoryAt < mandatory.length) {
      const awaited = uint16At(mandatory, mandatoryAt);
      if (key === awaited) mandatoryAt += 2;
      else if (key > awaited) return NO_MANDATORY;
    }
    lastKey = key;
    found?.({ key, value });
  }
  return mandatory !== undefined && mandatoryAt < mandatory.length ? NO_MANDATORY : undefined;
}

const NO_ALPN = "no-default-alpn stands without alpn";
const NO_MANDATORY = "a mandatory service parameter is missing";

/** What is wrong with sorted parameters, undefined when nothing is. */
function paramsProblem(params: readonly SvcParam[]): FormatProblem | undefined {
  let last = -1;
  for (const { key, value } of params) {
    const wrong = key === last ? `${svcParamKeyToText(key)} stands twice` : valueProblem(key, value);
    if (wrong !== undefined) return wrong;
    if (value.length > 0xffff) return `${svcParamKeyToText(key)} is longer than 65535 octets`;
    last = key;
  }
  const has = (wanted: number): boolean => params.some(({ key }) => key === wanted);
  if (has(SvcParamKey["no-default-alpn"]) && !has(SvcParamKey.alpn)) return NO_ALPN;
  const mandatory = params[0]?.key === SvcParamKey.mandatory ? uint16s(params[0].value) : [];
  return mandatory.every(has) ? undefined : NO_MANDATORY;
}

/** Parameters up to the end. */
export const svcParams: Field<readonly SvcParam[]> = {
  read(reader) {
    const params: SvcParam[] = [];
    const wrong = walk(reader, (param) => params.push(param));
    if (wrong !== undefined) reader.fail(wrong);
    return params;
  },
  skip(reader) {
    const wrong = walk(reader, undefined);
    if (wrong !== undefined) reader.fail(wrong);
  },
  write(writer, params) {
    const sorted = [...params].sort((a, b) => a.key - b.key);
    const wrong = paramsProblem(sorted);
    if (wrong !== undefined) return wrong;
    for (const { key, value } of sorted) {
      writer.uint16(key);
      writer.uint16(value.length);
      writer.octets(value);
    }
    return undefined;
  },
  toText: (params) => params.map(paramToText).join(" "),
  parse(tokens) {
    const params: SvcParam[] = [];
    for (const { text } of tokens.rest()) {
      const param = tryParseParam(text);
      if (!param.ok) tokens.fail(param.problem);
      else if (params.some(({ key }) => key === param.value.key))
        tokens.fail(`${svcParamKeyToText(param.value.key)} stands twice`);
      else params.push(param.value);
    }
    return params.sort((a, b) => a.key - b.key);
  },
};

function paramToText({ key, value }: SvcParam): string {
  const name = svcParamKeyToText(key);
  switch (key) {
    case SvcParamKey.mandatory:
      return `${name}=${uint16s(value).map(svcParamKeyToText).join(",")}`;
    case SvcParamKey.alpn:
      return `${name}="${alpnToText(value)}"`;
    case SvcParamKey["no-default-alpn"]:
    case SvcParamKey.ohttp:
      return name;
    case SvcParamKey.port:
    case SvcParamKey["tls-supported-groups"]:
      return `${name}=${uint16s(value).join(",")}`;
    case SvcParamKey.ipv4hint:
      return `${name}=${addresses(value, 4)}`;
    case SvcParamKey.ipv6hint:
      return `${name}=${addresses(value, 16)}`;
    case SvcParamKey.ech:
      return `${name}=${octetsToBase64(value)}`;
    default:
      return value.length === 0 ? name : `${name}="${escapeText(value)}"`;
  }
}

function uint16s(value: Uint8Array): number[] {
  return Array.from({ length: value.length / 2 }, (_, i) => uint16At(value, 2 * i));
}

function addresses(value: Uint8Array, octets: number): string {
  return Array.from({ length: value.length / octets }, (_, i) =>
    addressToText(value.subarray(i * octets, (i + 1) * octets)),
  ).join(",");
}

/** RFC 9460 Appendix A.1: commas and backslashes within a list item are escaped, and the whole once more as a string. */
function alpnToText(value: Uint8Array): string {
  const items: string[] = [];
  for (let at = 0; at < value.length; at += (value[at] ?? 0) + 1) {
    const item = value.subarray(at + 1, at + 1 + (value[at] ?? 0));
    const escaped: number[] = [];
    for (const octet of item) {
      if (octet === COMMA || octet === BACKSLASH) escaped.push(BACKSLASH);
      escaped.push(octet);
    }
    items.push(escapeText(Uint8Array.from(escaped)));
  }
  return items.join(",");
}

function tryParseParam(text: string): Parsed<SvcParam> {
  const equals = text.indexOf("=");
  const keyText = equals < 0 ? text : text.slice(0, equals);
  const key = svcParamKeyFromText(keyText);
  if (key === undefined) return problem(`${JSON.stringify(keyText)} is not a service parameter`);
  const raw = equals < 0 ? "" : text.slice(equals + 1).replace(/^"(.*)"$/s, "$1");
  // RFC 9460 §2.1: behind keyN stand the octets of the value, also when the key has a name.
  const value = /^key[0-9]/.test(keyText) ? tryUnescape(raw) : tryParseValue(key, raw);
  if (!value.ok) return problem(`${keyText}: ${value.problem}`);
  const wrong = valueProblem(key, value.value);
  return wrong === undefined ? parsed({ key, value: value.value }) : problem(wrong);
}

function tryParseValue(key: number, text: string): Parsed<Uint8Array> {
  switch (key) {
    case SvcParamKey.mandatory:
      return listOf(text.split(",").map(svcParamKeyFromText), true);
    case SvcParamKey.alpn:
      return tryParseAlpn(text);
    case SvcParamKey.port:
    case SvcParamKey["tls-supported-groups"]:
      return listOf(
        text
          .split(",")
          .map((part) => (/^[0-9]{1,5}$/.test(part) && Number(part) <= 0xffff ? Number(part) : undefined)),
        false,
      );
    case SvcParamKey.ipv4hint:
      return tryParseHints(text, 4);
    case SvcParamKey.ipv6hint:
      return tryParseHints(text, 16);
    case SvcParamKey.ech:
      return tryBase64ToOctets(text);
    default:
      return tryUnescape(text);
  }
}

function listOf(values: readonly (number | undefined)[], isSorted: boolean): Parsed<Uint8Array> {
  const numbers: number[] = [];
  for (const value of values) {
    if (value === undefined) return problem("a value of the list cannot be read");
    numbers.push(value);
  }
  if (isSorted) numbers.sort((a, b) => a - b);
  return parsed(Uint8Array.from(numbers.flatMap((value) => [value >>> 8, value & 0xff])));
}

function tryParseHints(text: string, octets: number): Parsed<Uint8Array> {
  const all: number[] = [];
  for (const part of text.split(",")) {
    const address = tryParseAddress(part);
    if (!address.ok) return address;
    if (address.value.length !== octets) return problem(`${part} is not of the right family`);
    all.push(...address.value);
  }
  return parsed(Uint8Array.from(all));
}

function tryParseAlpn(text: string): Parsed<Uint8Array> {
  const octets = tryUnescape(text);
  if (!octets.ok) return octets;
  const value: number[] = [];
  let item: number[] = [];
  const close = (): void => {
    value.push(item.length, ...item);
    item = [];
  };
  for (let i = 0; i < octets.value.length; i++) {
    const octet = octets.value[i] ?? 0;
    if (octet === COMMA) close();
    else if (octet === BACKSLASH && i + 1 < octets.value.length) item.push(octets.value[++i] ?? 0);
    else item.push(octet);
  }
  close();
  // A name of more than 255 octets would give a wrong length octet.
  return value.every((octet) => octet < 256)
    ? parsed(Uint8Array.from(value))
    : problem("protocol name is longer than 255 octets");
}

const COMMA = 0x2c;
const BACKSLASH = 0x5c;
