/**
 * EDNS options for people, in the words of dig 9.18 where it has some: `COOKIE: 0102…`, `TCP KEEPALIVE: 30.0 secs`.
 * Malformed and unknown options are printed as octets. One direction only: nobody reads these texts back.
 */

import { octetsToHex } from "../hex.ts";
import { edeCodeToText } from "../iana/ede-code.ts";
import { EdnsOptionCode } from "../iana/edns-option-code.ts";
import { addressToText } from "../ip-address.ts";
import type { Parsed } from "../parsed.ts";
import { tryReadAlgorithmList } from "./algorithm-list.ts";
import { tryReadChain } from "./chain.ts";
import { tryReadClientSubnet } from "./client-subnet.ts";
import { tryReadCookie } from "./cookie.ts";
import type { EdnsOption } from "./edns.ts";
import { tryReadExpire } from "./expire.ts";
import { tryReadExtendedError } from "./extended-error.ts";
import { tryReadKeepalive } from "./keepalive.ts";
import { tryReadKeyTag } from "./key-tag.ts";
import { tryReadReportChannel } from "./report-channel.ts";
import { tryReadZoneVersion, zoneVersionSerial } from "./zone-version.ts";

/** One line without `; ` and line end, never with control characters: `CLIENT-SUBNET: 192.0.2.0/24/0`. */
export function ednsOptionToText(option: EdnsOption): string {
  const known = PRINTERS.get(option.code);
  const value = known?.print(option.data) ?? octetsText(option.data);
  return `${known?.title ?? `OPT=${option.code}`}:${value === "" ? "" : ` ${value}`}`;
}

/** `print` gives undefined for malformed data, which is then shown as octets. */
interface Printer {
  readonly title: string;
  readonly print: (data: Uint8Array) => string | undefined;
}

/** A printer from a reader and the text of what it reads. */
function printer<T>(
  title: string,
  tryRead: (data: Uint8Array) => Parsed<T>,
  text: (value: T) => string,
): Printer {
  return {
    title,
    print: (data) => {
      const read = tryRead(data);
      return read.ok ? text(read.value) : undefined;
    },
  };
}

const joinNumbers = (numbers: readonly number[]): string => numbers.join(", ");

const PRINTERS: ReadonlyMap<number, Printer> = new Map<number, Printer>([
  [EdnsOptionCode.Nsid, { title: "NSID", print: octetsText }],
  [EdnsOptionCode.Dau, printer("DAU", tryReadAlgorithmList, joinNumbers)],
  [EdnsOptionCode.Dhu, printer("DHU", tryReadAlgorithmList, joinNumbers)],
  [EdnsOptionCode.N3u, printer("N3U", tryReadAlgorithmList, joinNumbers)],
  [
    EdnsOptionCode.ClientSubnet,
    printer("CLIENT-SUBNET", tryReadClientSubnet, (subnet) => {
      const address = subnet.address.length === 0 ? "0" : addressToText(subnet.address);
      return `${address}/${subnet.sourcePrefixBits}/${subnet.scopePrefixBits}`;
    }),
  ],
  [
    EdnsOptionCode.Expire,
    printer("EXPIRE", tryReadExpire, (seconds) =>
      seconds === undefined ? "" : `${seconds} (${durationText(seconds)})`,
    ),
  ],
  [
    EdnsOptionCode.Cookie,
    printer("COOKIE", tryReadCookie, (cookie) => octetsToHex(cookie.client) + octetsToHex(cookie.server)),
  ],
  [
    EdnsOptionCode.TcpKeepalive,
    printer("TCP KEEPALIVE", tryReadKeepalive, (units) =>
      units === undefined ? "" : `${Math.floor(units / 10)}.${units % 10} secs`,
    ),
  ],
  [
    EdnsOptionCode.Padding,
    { title: "PAD", print: (data) => (data.length === 0 ? "" : `(${data.length} bytes)`) },
  ],
  [EdnsOptionCode.Chain, printer("CHAIN", tryReadChain, (name) => name.toString())],
  [EdnsOptionCode.KeyTag, printer("KEY-TAG", tryReadKeyTag, joinNumbers)],
  [
    EdnsOptionCode.ExtendedError,
    printer("EDE", tryReadExtendedError, ({ code, text }) => {
      const known = edeCodeToText(code);
      return `${code}${known === "" ? "" : ` (${known})`}${text === "" ? "" : `: (${printable(text)})`}`;
    }),
  ],
  [EdnsOptionCode.ReportChannel, printer("REPORT-CHANNEL", tryReadReportChannel, (name) => name.toString())],
  [
    EdnsOptionCode.ZoneVersion,
    printer("ZONEVERSION", tryReadZoneVersion, (zone) => {
      if (zone === undefined) return "";
      const serial = zoneVersionSerial(zone);
      const version =
        serial === undefined ? `TYPE${zone.type} ${octetsToHex(zone.version)}` : `SOA-SERIAL ${serial}`;
      return `${version} (zone with ${zone.labelCount} labels)`;
    }),
  ],
]);

/** `68 69 ("hi")`, nothing for no octets. */
function octetsText(data: Uint8Array): string {
  if (data.length === 0) return "";
  const hex = Array.from(data, (octet) => octet.toString(16).padStart(2, "0")).join(" ");
  const text = Array.from(data, (octet) =>
    octet >= 0x20 && octet < 0x7f ? String.fromCharCode(octet) : ".",
  );
  return `${hex} ("${text.join("")}")`;
}

/** Control characters become dots: text from the network must not steer a terminal. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ".");
}

/** `1 week 2 days`, as dig prints it. */
function durationText(seconds: number): string {
  const parts: string[] = [];
  let left = seconds;
  for (const [unit, length] of DURATION_UNITS) {
    const count = Math.floor(left / length);
    left -= count * length;
    if (count > 0) parts.push(`${count} ${unit}${count === 1 ? "" : "s"}`);
  }
  return parts.length === 0 ? "0 seconds" : parts.join(" ");
}

const DURATION_UNITS = [
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
] as const;
