/**
 * Octets of an evidence step for people: a DNS message by our own codec, line by line, a certificate, or a TLS record by its
 * kind; and the octets themselves.
 */
import { createHash, X509Certificate } from "node:crypto";
import {
  type Edns,
  ednsOptionToText,
  type Message,
  octetsToHex,
  opcodeToText,
  type Question,
  type ResourceRecord,
  rcodeToText,
  recordToText,
  rrClassToText,
  rrTypeToText,
  tryDecodeMessage,
  tryHexToOctets,
} from "@sotto/dns/wire";
import { visible } from "./words.ts";

/** What octets are, as far as the codec can tell. */
export interface DescribedOctets {
  /** `query, 45 octets`, for a heading. */
  readonly title: string;
  /** One fact each. */
  readonly lines: readonly string[];
  /** Sixteen octets a line with their offset; `*` stands for lines like the one before. */
  readonly dump: readonly string[];
}

/** Questions, records and options listed, of each section. */
const ITEMS_MAX = 20;
/** Octets dumped. */
const DUMP_OCTETS_MAX = 1024;

/** Describes octets given in hexadecimal; what is no DNS message is told with the reason. */
export function describeOctets(hex: string): DescribedOctets {
  const octets = tryHexToOctets(hex);
  if (!octets.ok) return { title: "unreadable octets", lines: [octets.problem], dump: [] };
  const { length } = octets.value;
  const dump = dumpOf(octets.value);
  const message = tryDecodeMessage(octets.value);
  if (!message.ok) return { ...describeOthers(octets.value, message.problem), dump };
  const kind = message.value.isResponse ? "reply" : "query";
  return {
    title: `${kind}, ${length} octets`,
    lines: [
      `frame on TCP and TLS: ${octetsToHex(Uint8Array.of(length >> 8, length))}, then the message`,
      ...messageLines(message.value),
    ],
    dump,
  };
}

function describeOthers(octets: Uint8Array, problem: string): Omit<DescribedOctets, "dump"> {
  const certificate = tryReadCertificate(octets);
  if (certificate !== undefined)
    return { title: `certificate, ${octets.length} octets`, lines: certificateLines(certificate) };
  const record = octets[1] === 3 ? TLS_RECORDS.get(octets[0] ?? 0) : undefined;
  return record === undefined
    ? { title: `${octets.length} octets`, lines: [`no whole DNS message: ${visible(problem)}`] }
    : { title: `TLS ${record}, ${octets.length} octets`, lines: [] };
}

/** RFC 8446 §5.1. */
const TLS_RECORDS: ReadonlyMap<number, string> = new Map([
  [20, "change_cipher_spec"],
  [21, "alert"],
  [22, "handshake"],
  [23, "application data"],
]);

/** A certificate in DER; undefined: the octets are something else. */
export function tryReadCertificate(octets: Uint8Array): X509Certificate | undefined {
  // SEQUENCE with a length of two octets, which every certificate is.
  if (octets[0] !== 0x30 || octets[1] !== 0x82) return undefined;
  try {
    return new X509Certificate(octets);
  } catch {
    // Whoever sent it may have sent anything.
    return undefined;
  }
}

function certificateLines(certificate: X509Certificate): string[] {
  const line = (title: string, read: () => string | undefined): string => {
    try {
      return `${title}: ${visible((read() ?? "none").replaceAll("\n", ", "))}`;
    } catch {
      // A key of an unknown kind, or names that cannot be read: whoever sent it may have sent anything.
      return `${title}: unreadable`;
    }
  };
  return [
    line("subject", () => certificate.subject),
    line("issuer", () => certificate.issuer),
    line("names", () => certificate.subjectAltName),
    line("valid", () => `${certificate.validFrom} to ${certificate.validTo}`),
    line("pin", () => {
      const spki = certificate.publicKey.export({ type: "spki", format: "der" });
      return `sha256:${createHash("sha256").update(spki).digest("base64")}`;
    }),
  ];
}

function messageLines(message: Message): string[] {
  const flags = FLAGS.filter(([key]) => message[key]).map(([, text]) => text);
  const rcode = message.isResponse ? `, ${rcodeToText(message.rcode)}` : "";
  return [
    `id ${message.id}, ${opcodeToText(message.opcode)}${rcode}, flags ${flags.length === 0 ? "none" : flags.join(" ")}`,
    ...linesOf("question", message.questions, questionText),
    ...linesOf("answer", message.answers, recordText),
    ...linesOf("authority", message.authorities, recordText),
    ...linesOf("additional", message.additionals, recordText),
    ...(message.edns === undefined ? ["no EDNS"] : ednsLines(message.edns)),
  ];
}

const FLAGS = [
  ["isResponse", "qr"],
  ["isAuthoritative", "aa"],
  ["isTruncated", "tc"],
  ["recursionDesired", "rd"],
  ["recursionAvailable", "ra"],
  ["reservedFlag", "z"],
  ["authenticData", "ad"],
  ["checkingDisabled", "cd"],
] as const;

/** A line each of the first, and one that says how many more there are. */
function linesOf<T>(title: string, items: readonly T[], textOf: (item: T) => string): string[] {
  const lines = items.slice(0, ITEMS_MAX).map((item) => `${title}: ${visible(textOf(item))}`);
  return items.length > ITEMS_MAX ? [...lines, `${title}: and ${items.length - ITEMS_MAX} more`] : lines;
}

function questionText({ name, type, class: rrClass }: Question): string {
  return `${name.toString()} ${rrClassToText(rrClass)} ${rrTypeToText(type)}`;
}

function recordText(record: ResourceRecord): string {
  return recordToText(record).replaceAll("\t", " ");
}

function ednsLines(edns: Edns): string[] {
  const flags = edns.dnssecOk ? ", flag do" : "";
  return [
    `EDNS: version ${edns.version}, udp payload ${edns.udpPayloadOctets}${flags}`,
    ...linesOf("option", edns.options, ednsOptionToText),
  ];
}

function dumpOf(octets: Uint8Array): string[] {
  const lines: string[] = [];
  const shown = Math.min(octets.length, DUMP_OCTETS_MAX);
  let last = "";
  for (let at = 0; at < shown; at += 16) {
    const part = octets.subarray(at, Math.min(at + 16, shown));
    const hex = [...part].map((octet) => octet.toString(16).padStart(2, "0")).join(" ");
    // Padding is one line and a star, as hexdump shows what repeats.
    if (hex === last) {
      if (lines.at(-1) !== "*") lines.push("*");
      continue;
    }
    last = hex;
    const text = [...part]
      .map((octet) => (octet > 31 && octet < 127 ? String.fromCharCode(octet) : "."))
      .join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${hex.padEnd(47)}  ${text}`);
  }
  if (shown < octets.length) lines.push(`and ${octets.length - shown} more octets`);
  return lines;
}
