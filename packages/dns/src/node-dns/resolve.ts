/** The `resolve*` questions and `reverse`: a channel asked, and its answer as Node gives it or as Node's error. */
import { domainToASCII } from "node:url";
import { DnsError } from "@sotto/dns/runtime";
import type { StubAnswer } from "@sotto/dns/stub";
import { Rcode, RRType, tryParseAddress } from "@sotto/dns/wire";
import type { Channel } from "./channel.ts";
import { causeOfAnswer, codeOfAnswer, codeOfError, dnsException } from "./dns-exception.ts";
import { EMPTY_BEHIND_ALIASES, RECORD_KINDS, type RecordKind, taggedValues } from "./record-values.ts";

/** What is asked: the name of the method, of the record type for `resolve`, and of the call in errors. */
export interface Question {
  readonly method: string;
  readonly rrtype: keyof typeof RECORD_KINDS | "ANY";
  readonly syscall: string;
}

const METHODS: Readonly<Record<string, string>> = { A: "resolve4", AAAA: "resolve6" };

export const QUESTIONS: readonly Question[] = [
  // Keys of the table are what its type says.
  ...(Object.entries(RECORD_KINDS) as [keyof typeof RECORD_KINDS, RecordKind][]).map(
    ([rrtype, { syscall }]) => ({
      method: METHODS[rrtype] ?? `resolve${capital(rrtype)}`,
      rrtype,
      syscall,
    }),
  ),
  { method: "resolveAny", rrtype: "ANY", syscall: "queryAny" },
];

function capital(mnemonic: string): string {
  return mnemonic.charAt(0) + mnemonic.slice(1).toLowerCase();
}

/** Rejects with a `DnsException`. The hosts file and the search list are for `lookup` only, as in Node. */
export function resolveRecords(
  channel: Channel,
  question: Question,
  hostname: string,
  withTtl: boolean,
): Promise<unknown> {
  const { rrtype, syscall } = question;
  const type = rrtype === "ANY" ? RRType.ANY : RECORD_KINDS[rrtype].type;
  return askFor(channel, hostname, type, { syscall, hostname, hosts: false }, (answer) =>
    resultOf(answer, question, hostname, withTtl),
  );
}

function resultOf(
  answer: StubAnswer,
  { rrtype, syscall }: Question,
  hostname: string,
  withTtl: boolean,
): unknown {
  const values = rrtype === "ANY" ? taggedValues(answer.records) : valuesOf(answer, rrtype, withTtl);
  if (values.length > 0) return rrtype === "SOA" ? values[0] : values;
  if (EMPTY_BEHIND_ALIASES.has(rrtype) && endsBehindAlias(answer)) return [];
  // Records that cannot be read are a broken answer, not an empty one.
  const code = answer.records.length > 0 && rrtype !== "ANY" ? "EBADRESP" : codeOfAnswer(answer);
  throw dnsException(code, syscall, hostname, { cause: causeOfAnswer(answer) });
}

function endsBehindAlias({ message, records }: StubAnswer): boolean {
  return message.rcode === Rcode.NoError && records.length === 0 && message.answers.length > 0;
}

function valuesOf({ records }: StubAnswer, rrtype: keyof typeof RECORD_KINDS, withTtl: boolean): unknown[] {
  const { read } = RECORD_KINDS[rrtype];
  const isAddress = rrtype === "A" || rrtype === "AAAA";
  const values: unknown[] = [];
  for (const { rdata, ttl } of records) {
    const value = read(rdata);
    if (value !== undefined) values.push(withTtl && isAddress ? { address: value, ttl } : value);
  }
  return values;
}

/** Names of an address, those of the hosts file first. Throws for what is no address; rejects with a `DnsException`. */
export function reverseNames(channel: Channel, address: string): Promise<string[]> {
  const name = reverseName(address);
  if (name === undefined) throw dnsException("EINVAL", REVERSE, address, { errno: UV_EINVAL });
  return askForNames(channel, name, address);
}

function askForNames(channel: Channel, name: string, address: string): Promise<string[]> {
  const call = { syscall: REVERSE, hostname: address, hosts: true };
  return askFor(channel, name, RRType.PTR, call, (answer) => {
    const names = valuesOf(answer, "PTR", false).map(String);
    if (names.length > 0) return names;
    const code = codeOfAnswer(answer);
    // An address without a name is not found, whatever else there is.
    throw dnsException(code === "ENODATA" ? "ENOTFOUND" : code, REVERSE, address, {
      cause: causeOfAnswer(answer),
    });
  });
}

/** The call as errors name it, and whether the hosts file counts. */
interface AskedFor {
  readonly syscall: string;
  readonly hostname: string;
  readonly hosts: boolean;
}

function askFor<T>(
  channel: Channel,
  name: string,
  type: RRType,
  { syscall, hostname, hosts }: AskedFor,
  onAnswer: (answer: StubAnswer) => T,
): Promise<T> {
  // c-ares takes nothing for the root.
  return channel.askFor(asciiName(name) || ".", type, { search: false, hosts }, onAnswer, (cause) => {
    if (!DnsError.is(cause)) throw cause;
    throw dnsException(codeOfError(cause), syscall, hostname, { cause });
  });
}

/**
 * A name with its labels in letters of ASCII (RFC 5891); as it is when that cannot be, and then it cannot be asked. `domainToASCII`
 * reads the host of a URL: it would stop at `/` or `?`, and make an address of digits at the end.
 */
export function asciiName(name: string): string {
  if (!hasForeignLetters(name) || URL_PUNCTUATION.test(name)) return name;
  const [bare, dot] = name.endsWith(".") ? [name.slice(0, -1), "."] : [name, ""];
  const converted = domainToASCII(`${bare}.${LETTERS}`);
  return converted === "" ? name : converted.slice(0, -LETTERS.length - 1) + dot;
}

function hasForeignLetters(name: string): boolean {
  for (let at = 0; at < name.length; at++) if (name.charCodeAt(at) > 0x7f) return true;
  return false;
}

const URL_PUNCTUATION = /[\p{Cc} #%/:<>?@[\\\]^|]/u;
/** A last label with which no name looks like an address. */
const LETTERS = "a";

/** The name that an address has in `in-addr.arpa` or `ip6.arpa` (RFC 1035 §3.5, RFC 3596 §2.5). */
function reverseName(address: string): string | undefined {
  const octets = tryParseAddress(address.replace(/%.*/, ""));
  if (!octets.ok) return undefined;
  const bytes = [...octets.value];
  if (bytes.length === 4) return `${bytes.reverse().join(".")}.in-addr.arpa.`;
  const nibbles = bytes.flatMap((octet) => [octet >>> 4, octet & 15]);
  return `${nibbles
    .reverse()
    .map((nibble) => nibble.toString(16))
    .join(".")}.ip6.arpa.`;
}

/** Name of the call in errors. */
export const REVERSE = "getHostByAddr";
const UV_EINVAL = -22;
