/**
 * The command line of Debian's dnsperf for an order of ours, and the file of questions it reads. One thread asks, as the load has one
 * core; how many queries are under way is for all connections together, and the next query goes to the next connection.
 */
import { RRType } from "@sotto/dns/wire";
import type { LoadTransport, PipelineOrder } from "../generator/orders.ts";
import { questions } from "../zone.ts";

/** Where Debian's package puts it; `scripts/install-peers.sh` installs it. */
export const DNSPERF = "/usr/bin/dnsperf";
/** Debian's package. */
export const DNSPERF_PACKAGE = "dnsperf";

/** How long it asks, and what. */
export interface DnsperfRun {
  /** The questions as {@link questionsText} writes them. */
  readonly questionsFile: string;
  readonly windowMs: number;
}

/** The program and its arguments. Throws at an order that it cannot take. */
export function dnsperfCommand(order: PipelineOrder, { questionsFile, windowMs }: DnsperfRun): string[] {
  const { target, connections, outstanding, names, ratePerSecond } = order;
  if (names.kind === "cold" || order.answersMax !== undefined)
    throw new Error("dnsperf takes the questions of the zone over and over, for a time");
  const pairs: readonly (readonly [flag: string, value: string | number])[] = [
    ["-s", target.address],
    ["-p", target.port],
    ["-m", MODES[target.transport]],
    ["-d", questionsFile],
    ["-c", connections],
    ["-q", outstanding],
    ["-T", 1],
    ["-t", TIMEOUT_SECONDS],
    ["-l", windowMs / 1000],
    ...(ratePerSecond === undefined ? [] : [["-Q", ratePerSecond] as const]),
    ...(names.kind === "padded" ? [["-E", PADDING] as const] : []),
  ];
  return [DNSPERF, ...pairs.flatMap(([flag, value]) => [flag, String(value)])];
}

/** All questions of the zone in their order, a line each. */
export function questionsText(): string {
  const mnemonics = new Map<number, string>([
    [RRType.A, "A"],
    [RRType.AAAA, "AAAA"],
    [RRType.TXT, "TXT"],
  ]);
  const lines = questions().map(({ name, type }) => `${name}. ${mnemonics.get(type) ?? `TYPE${type}`}`);
  return `${lines.join("\n")}\n`;
}

const MODES: Readonly<Record<LoadTransport, string>> = { udp: "udp", tcp: "tcp", tls: "dot" };
/** A query without an answer for so long is lost; the same as our generator has. */
export const TIMEOUT_SECONDS = 2;
/** Option 12 of EDNS (RFC 7830) with 70 octets: queries of about 128 octets, as the goals were set with. */
const PADDING = `12:${"00".repeat(70)}`;
