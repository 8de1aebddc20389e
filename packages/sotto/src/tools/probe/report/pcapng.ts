/**
 * `--pcapng`: the messages behind all cells as packets, for Wireshark and tshark. The messages and the times within a row are those
 * that were seen. The packets around them are made up: addresses of the prober, ports, sequence numbers, and no SYN, FIN or
 * retransmission. TLS is left out, so that what was in it can be read; the comment of the packet says so.
 */
import { tryParseUpstreamAddress } from "@sotto/dns/transport";
import { MESSAGE_OCTETS_MAX, tryHexToOctets, tryParseAddress } from "@sotto/dns/wire";
import type { Cell, EvidenceStep, ProbeReport } from "../model.ts";
import { interfaceBlock, joinBlocks, packetBlock, sectionBlock } from "./pcapng-block.ts";
import { Flow, type FlowEnds } from "./pcapng-flow.ts";
import type { TitledReport } from "./sheet.ts";
import { visible } from "./words.ts";

/** A pcapng file with an interface for each report; without messages there are no packets in it. */
export function pcapngOf(reports: readonly TitledReport[]): Uint8Array {
  const capture = new Capture();
  const interfaces = reports.map(({ title, report }, index) => {
    capture.addReport(index, report);
    return interfaceBlock(visible(title), `sotto probe ${report.kind} ${visible(report.target)}`);
  });
  return joinBlocks([sectionBlock(capture.remark()), ...interfaces, ...capture.packets]);
}

/** Whether such a file would hold any packet: evidence of clients, and of earlier versions, has no messages. */
export function hasMessages(reports: readonly TitledReport[]): boolean {
  return reports.some(({ report }) =>
    report.cells.some(({ evidence }) => evidence.some((step) => messageOf(step) !== undefined)),
  );
}

/** Packets kept of all reports, and flows, which have a port each. */
const MESSAGES_MAX = 100_000;
const FLOWS_MAX = 16_384;
/** Where dynamic ports begin (RFC 6335 §6). */
const FIRST_PORT = 49_152;

class Capture {
  readonly packets: Uint8Array[] = [];
  #flows = 0;
  #messages = 0;
  #leftOut = 0;

  /** What whoever opens the file should know first. */
  remark(): string {
    return [
      "Made from the evidence of sotto probe. Messages, and times within a row, are as seen; addresses of the prober, ports and sequence numbers are made up.",
      "Rows stand one behind the other. Port 53 stands for all ports. What was in TLS is shown decrypted.",
      ...(this.#leftOut > 0 ? [`${this.#leftOut} messages are left out.`] : []),
    ].join(" ");
  }

  /** Rows are laid one behind the other: evidence does not tell when a row began. */
  addReport(index: number, report: ProbeReport): void {
    const ends = endsOf(report);
    let startMs = Date.parse(report.startedAt);
    if (!(startMs >= 0)) startMs = 0;
    for (const cell of report.cells) startMs = this.#addCell(index, cell, ends, startMs);
  }

  /** Gives the time at which the cell's last exchange ended. */
  #addCell(index: number, cell: Cell, ends: FlowEnds, startMs: number): number {
    let flows = new Map<string, Flow>();
    let beginMs = startMs;
    let lastMs = 0;
    for (const step of cell.evidence) {
      // Time that goes back: what was seen on another connection, told behind the first.
      if (step.atMs < lastMs) {
        beginMs += lastMs;
        flows = new Map();
      }
      lastMs = step.atMs;
      const message = messageOf(step);
      if (message === undefined) continue;
      const flow = flows.get(message.over) ?? this.#newFlow(message.over, ends);
      if (flow === undefined || this.#messages >= MESSAGES_MAX) {
        this.#leftOut++;
        continue;
      }
      flows.set(message.over, flow);
      this.#messages++;
      const packets = flow.packets(step.who === "prober", message.octets, message.wholeOctets);
      if (packets.length === 0) this.#leftOut++;
      for (const [i, packet] of packets.entries()) {
        const comment = i === 0 ? commentOf(cell, step) : undefined;
        this.packets.push(packetBlock(index, beginMs + lastMs, packet, comment));
      }
    }
    return beginMs + lastMs;
  }

  #newFlow(over: string, ends: FlowEnds): Flow | undefined {
    if (this.#flows >= FLOWS_MAX) return undefined;
    return new Flow(over === "udp" ? "udp" : "tcp", ends, FIRST_PORT + this.#flows++);
  }
}

function commentOf({ row }: Cell, { what, over }: EvidenceStep): string {
  return `${visible(row)}: ${visible(what)}${over === "tls" ? " (was sent in TLS, shown decrypted)" : ""}`;
}

interface Message {
  readonly over: "udp" | "tcp" | "tls";
  readonly octets: Uint8Array;
  readonly wholeOctets: number;
}

/** The message of a step, undefined: it has none, or it is none of DNS. */
function messageOf({ who, over, octets, wholeOctets }: EvidenceStep): Message | undefined {
  if (over === undefined || octets === undefined || who === "note") return undefined;
  const kept = tryHexToOctets(octets);
  if (!kept.ok) return undefined;
  const whole = Math.max(wholeOctets ?? 0, kept.value.length);
  return whole > MESSAGE_OCTETS_MAX ? undefined : { over, octets: kept.value, wholeOctets: whole };
}

/** The target's own address where it tells one; all others are for documentation (RFC 5737, RFC 3849). */
function endsOf({ kind, target }: ProbeReport): FlowEnds {
  const upstream = tryParseUpstreamAddress(target);
  const text = upstream.ok ? upstream.value.endpoint.address.replace(/%.*$/s, "") : TARGET_UNKNOWN;
  const address = tryParseAddress(text);
  const known = address.ok ? address.value : addressOf(TARGET_UNKNOWN);
  const [usual, other] = known.length === 4 ? ["192.0.2.1", "198.51.100.1"] : ["2001:db8::1", "2001:db8::2"];
  const prober = addressOf(usual ?? "");
  const isTaken = prober.every((octet, i) => octet === known[i]);
  return {
    prober: isTaken ? addressOf(other ?? "") : prober,
    target: known,
    isProberServer: kind === "client",
  };
}

const TARGET_UNKNOWN = "203.0.113.1";

/** Of a constant. */
function addressOf(text: string): Uint8Array {
  const address = tryParseAddress(text);
  if (!address.ok) throw new Error(address.problem);
  return address.value;
}
