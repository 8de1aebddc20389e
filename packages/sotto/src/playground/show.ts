/** The queries that the playground resolves before your eyes, and how their paths from the root are drawn. */
import type { Events } from "@sotto/dns/runtime";
import type { ExchangeFacts, Transport } from "@sotto/dns/transport";
import { type Message, rcodeToText, rdataToText, rrTypeToText } from "@sotto/dns/wire";

/** One query of the show. */
export interface ShowQuery {
  readonly name: string;
  readonly type: string;
  readonly transport: Exclude<Transport, "https" | "internal">;
  /** What one should notice. */
  readonly why: string;
  /** Mnemonic that the reply must have for the show to succeed. */
  readonly rcode: string;
}

/** One step of the recursor, as its event `recursor.step` tells it. */
export interface ShowStep {
  readonly zone: string;
  readonly serverName: string;
  readonly server: string;
  readonly question: string;
  readonly transport: string;
  readonly outcome: string;
  readonly elapsedMs: number;
}

/** Steps kept for one query; more than a client query may cause anyway. */
const STEPS_MAX = 200;

/** Collects the steps that happen while a query is resolved, and passes everything on. */
export class StepRecorder implements Events {
  readonly #next: Events;
  #steps: ShowStep[] = [];

  constructor(next: Events) {
    this.#next = next;
  }

  wants(name: string): boolean {
    return name === "recursor.step" || this.#next.wants(name);
  }

  publish(name: string, details: Readonly<Record<string, unknown>>): void {
    if (name === "recursor.step" && this.#steps.length < STEPS_MAX) {
      this.#steps.push({
        zone: String(details["zone"]),
        serverName: String(details["serverName"]),
        server: String(details["server"]),
        question: String(details["question"]),
        transport: String(details["transport"]),
        outcome: String(details["outcome"]),
        elapsedMs: Number(details["elapsedMs"]),
      });
    }
    this.#next.publish(name, details);
  }

  /** The steps since the last call. */
  take(): ShowStep[] {
    const steps = this.#steps;
    this.#steps = [];
    return steps;
  }
}

/** The heading of a query: what is asked, how, and why it is worth watching. */
export function queryHeading(query: ShowQuery, number: number): string {
  return `\n${number}. ${query.name} ${query.type} over ${query.transport === "tls" ? "TLS" : query.transport.toUpperCase()}: ${query.why}\n`;
}

/** One line per step, indented by the depth of the zone. */
export function stepText(step: ShowStep): string {
  const depth = step.zone === "." ? 0 : step.zone.split(".").length - 1;
  const place = `${step.zone} at ${step.serverName} (${step.server}, ${step.transport})`;
  return `   ${"  ".repeat(depth)}${place}: ${step.question}? ${step.outcome}, ${step.elapsedMs.toFixed(1)} ms\n`;
}

/** Records shown of one answer; the rest is counted. */
const RECORDS_SHOWN_MAX = 6;
/** Characters shown of one record's data. */
const DATA_SHOWN_MAX = 72;

/** The answer in a few lines. */
export function answerText(message: Message, facts: ExchangeFacts, protection: string): string {
  const shown = message.answers.slice(0, RECORDS_SHOWN_MAX).map((record) => {
    const text = rdataToText(record.type, record.rdata);
    const cut =
      text.length > DATA_SHOWN_MAX
        ? `${text.slice(0, DATA_SHOWN_MAX)}… (${record.rdata.length} octets)`
        : text;
    return `   = ${record.owner.toString()} ${record.ttl} ${rrTypeToText(record.type)} ${cut}\n`;
  });
  const more =
    message.answers.length > shown.length ? `   = … and ${message.answers.length - shown.length} more\n` : "";
  return `${shown.join("")}${more}   ${rcodeToText(message.rcode)}, ${facts.replyOctets} octets; ${protection}\n`;
}
