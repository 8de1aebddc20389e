/** A reply as dig prints it, with one more line at the end: what protected the exchange. */
import type { ExchangeFacts } from "@sotto/dns/transport";
import {
  type Edns,
  ednsOptionToText,
  type Message,
  opcodeToText,
  type ResourceRecord,
  RRType,
  rcodeToText,
  rdataToText,
  rrClassToText,
  rrTypeToText,
} from "@sotto/dns/wire";
import type { QueryOptions } from "./flags.ts";

/** One answered query. */
export interface Answered {
  readonly message: Message;
  readonly facts: ExchangeFacts;
  /** What the user called the server. */
  readonly server: string;
  /** Wall time when the reply came. */
  readonly wallMs: number;
}

/** Types whose data `+nocrypto` leaves out, as dig does. */
const CRYPTO_TYPES: ReadonlySet<number> = new Set([
  RRType.DNSKEY,
  RRType.RRSIG,
  RRType.CDNSKEY,
  RRType.DS,
  RRType.CDS,
  RRType.KEY,
  RRType.SIG,
]);

/** `+short`: one line of data per answer record. */
export function shortText(answered: Answered, options: QueryOptions): string {
  const from = options.identify
    ? ` from server ${serverText(answered.facts)} in ${Math.round(answered.facts.exchangeMs)} ms.`
    : "";
  return answered.message.answers
    .map((record) => `${rdataToText(record.type, record.rdata)}${from}\n`)
    .join("");
}

/** The whole reply in dig's form. */
export function replyText(answered: Answered, options: QueryOptions): string {
  const { message } = answered;
  const parts = [
    options.showComments ? `;; Got answer:\n${headerText(message)}` : "",
    sectionsText(message, options),
  ];
  if (options.showStats) parts.push(`${statsText(answered)}\n`);
  return parts.join("");
}

/** A query as `+qr` prints it. */
export function queryText(message: Message, options: QueryOptions): string {
  return `;; Sending:\n${headerText(message)}${sectionsText(message, options)}`;
}

function headerText(message: Message): string {
  const flags = [
    message.isResponse ? " qr" : "",
    message.isAuthoritative ? " aa" : "",
    message.isTruncated ? " tc" : "",
    message.recursionDesired ? " rd" : "",
    message.recursionAvailable ? " ra" : "",
    message.reservedFlag ? " z" : "",
    message.authenticData ? " ad" : "",
    message.checkingDisabled ? " cd" : "",
  ].join("");
  const additional = message.additionals.length + (message.edns === undefined ? 0 : 1);
  const warning =
    message.isResponse && message.recursionDesired && !message.recursionAvailable
      ? ";; WARNING: recursion requested but not available\n"
      : "";
  return (
    `;; ->>HEADER<<- opcode: ${opcodeToText(message.opcode)}, status: ${rcodeToText(message.rcode)}, id: ${message.id}\n` +
    `;; flags:${flags}; QUERY: ${message.questions.length}, ANSWER: ${message.answers.length}, ` +
    `AUTHORITY: ${message.authorities.length}, ADDITIONAL: ${additional}\n${warning}\n`
  );
}

function sectionsText(message: Message, options: QueryOptions): string {
  const parts: string[] = [];
  if (message.edns !== undefined && options.showComments) parts.push(optText(message.edns));
  if (options.showQuestion && message.questions.length > 0) parts.push(questionText(message, options));
  if (options.showAnswer) parts.push(sectionText("ANSWER", message.answers, options));
  if (options.showAuthority) parts.push(sectionText("AUTHORITY", message.authorities, options));
  if (options.showAdditional) parts.push(sectionText("ADDITIONAL", message.additionals, options));
  return parts.join("");
}

function optText(edns: Edns): string {
  const flags = edns.dnssecOk ? " do" : "";
  const unknown =
    edns.reservedFlags === 0 ? "" : `; MBZ: 0x${edns.reservedFlags.toString(16).padStart(4, "0")}`;
  const options = edns.options.map((option) => `; ${ednsOptionToText(option)}\n`).join("");
  return `;; OPT PSEUDOSECTION:\n; EDNS: version: ${edns.version}, flags:${flags}${unknown}; udp: ${edns.udpPayloadOctets}\n${options}`;
}

function questionText(message: Message, options: QueryOptions): string {
  const heading = options.showComments ? ";; QUESTION SECTION:\n" : "";
  const lines = message.questions.map(
    (question) =>
      `${columns([`;${question.name.toString()}`, 32], [rrClassToText(question.class), 40])}${rrTypeToText(question.type)}\n`,
  );
  return `${heading}${lines.join("")}\n`;
}

function sectionText(title: string, records: readonly ResourceRecord[], options: QueryOptions): string {
  if (records.length === 0) return "";
  const heading = options.showComments ? `;; ${title} SECTION:\n` : "";
  return `${heading}${records.map((record) => recordLine(record, options)).join("")}\n`;
}

function recordLine(record: ResourceRecord, options: QueryOptions): string {
  const hidden = !options.showCrypto && CRYPTO_TYPES.has(record.type);
  const start = columns(
    [record.owner.toString(), 24],
    [options.showTtl ? String(record.ttl) : "", 32],
    [options.showClass ? rrClassToText(record.class) : "", 40],
    [rrTypeToText(record.type), 48],
  );
  return `${start}${hidden ? "[omitted]" : rdataToText(record.type, record.rdata)}\n`;
}

const TAB = 8;

/** Joins texts with tabs so that each starts at the column before it; an empty text takes no column. */
function columns(...cells: readonly (readonly [text: string, nextColumn: number])[]): string {
  let line = "";
  let column = 0;
  for (const [text, next] of cells) {
    if (text === "") continue;
    line += text;
    column += text.length;
    do {
      line += "\t";
      column = (Math.floor(column / TAB) + 1) * TAB;
    } while (column < next);
  }
  return line;
}

function statsText(answered: Answered): string {
  const { facts } = answered;
  const retried = facts.retriedOverTcp ? ";; Truncated over UDP, repeated over TCP\n" : "";
  return (
    `;; Query time: ${Math.round(facts.exchangeMs + facts.connectMs + facts.handshakeMs)} msec\n` +
    `;; SERVER: ${serverText(facts)}(${answered.server}) (${facts.transport.toUpperCase()})\n` +
    `;; WHEN: ${new Date(answered.wallMs).toUTCString()}\n` +
    `;; MSG SIZE  sent: ${facts.queryOctets}  rcvd: ${facts.replyOctets}\n${retried}` +
    `;; PROTECTION: ${protectionText(facts)}\n`
  );
}

function serverText(facts: ExchangeFacts): string {
  return `${facts.upstream.address}#${facts.upstream.port}`;
}

/**
 * What protected the exchange, in RFC 8310's words, and what it cost:
 * `authenticated (name dns.example), TLSv1.3 …; connection new, session resumed; connect 0.2, handshake 3.1, exchange 0.4 ms`.
 */
export function protectionText(facts: ExchangeFacts): string {
  const by = facts.authenticatedBy === undefined ? "" : ` (${facts.authenticatedBy})`;
  const words = {
    authenticated: `authenticated and encrypted${by}`,
    encrypted: "encrypted, server not authenticated",
    clear: "clear, anyone on the way can read it",
    local: "local",
  };
  const { security } = facts;
  const tls =
    security === undefined
      ? ""
      : `, ${[security.protocol, security.cipher, security.group, security.alpn === undefined ? "no ALPN" : `ALPN ${security.alpn}`].filter((word) => word !== undefined).join(" ")}`;
  if (facts.transport === "udp")
    return `${words[facts.protection]}; exchange ${milliseconds(facts.exchangeMs)} ms`;
  const connection = facts.connectionReused ? "connection reused" : "connection new";
  const session = facts.sessionResumed ? ", session resumed" : "";
  const handshake = security === undefined ? "" : `handshake ${milliseconds(facts.handshakeMs)}, `;
  return `${words[facts.protection]}${tls}; ${connection}${session}; connect ${milliseconds(facts.connectMs)}, ${handshake}exchange ${milliseconds(facts.exchangeMs)} ms`;
}

function milliseconds(ms: number): string {
  return ms.toFixed(1);
}
