/**
 * What options must be, for callers whom no compiler tells: a slip of the pen must not make a resolver weaker than its
 * configuration looks. Options that are not known are passed over.
 */
import { DnsError } from "@sotto/dns/runtime";
import { isMetaType, Name, RRType } from "@sotto/dns/wire";
import type { QueryOptions } from "./stub-answer.ts";
import type { StubResolverOptions } from "./stub-resolver.ts";
import type { UpstreamSpec } from "./upstream-spec.ts";

/** Whether a value will do, and what it must be. */
type Check = readonly [isRight: (value: unknown) => boolean, must: string];
type Checks<T> = { readonly [K in keyof T]?: Check };

/** Throws ERR_CONFIG that names the option. */
export function checkOptions(options: StubResolverOptions): void {
  check(options, OPTIONS, "");
  const { connection } = options;
  if (connection === undefined) return;
  check(connection, EXCHANGER, "connection.");
  if (connection.connection !== undefined) check(connection.connection, CONNECTION, "connection.connection.");
}

/** The same for one upstream. */
export function checkUpstream(spec: UpstreamSpec): void {
  if (typeof spec !== "object" || spec === null) throw wrong("an upstream", "text or an object", spec);
  check(spec, UPSTREAM, "upstream ");
}

/** The same for a question. */
export function checkQuery(name: unknown, type: RRType, options: QueryOptions): void {
  if (typeof name !== "string" && !(name instanceof Name))
    throw new DnsError("ERR_NAME_MALFORMED", `${show(name)} is not a domain name`);
  if (!Number.isInteger(type) || type < 0 || type > 0xffff)
    throw wrong("a record type", "from 0 to 65535", type);
  // RFC 6895 §3.1: those are no data; a transfer would be more than one message, too.
  if (type !== RRType.ANY && isMetaType(type))
    throw new DnsError("ERR_CONFIG", `type ${type} is nothing that a resolver can be asked for`);
  check(options, QUERY, "");
}

function check<T extends object>(given: T, checks: Checks<T>, where: string): void {
  for (const key in checks) {
    const value = given[key];
    const [isRight, must] = checks[key] ?? ANYTHING;
    if (value !== undefined && !isRight(value)) throw wrong(`${where}${key}`, must, value);
  }
}

function wrong(what: string, must: string, value: unknown): DnsError {
  return new DnsError("ERR_CONFIG", `${what} must be ${must}, not ${show(value)}`);
}

/** Short, on one line, whatever it is. */
function show(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

function oneOf(...words: readonly string[]): Check {
  return [(value) => typeof value === "string" && words.includes(value), words.join(" or ")];
}

function numberFrom(least: number, most: number, unit: string): Check {
  const range = most === Number.POSITIVE_INFINITY ? `at least ${least}` : `from ${least} to ${most}`;
  return [
    (value) => typeof value === "number" && value >= least && value <= most,
    `a number of ${unit}, ${range}`,
  ];
}

function listOf(isOne: (value: unknown) => boolean, must: string): Check {
  return [(value) => Array.isArray(value) && value.every(isOne), must];
}

const isText = (value: unknown): boolean => typeof value === "string";
const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

const ANYTHING: Check = [() => true, ""];
const FLAG: Check = [(value) => typeof value === "boolean", "true or false"];
const TEXT: Check = [isText, "text"];
const MILLISECONDS = numberFrom(0, Number.POSITIVE_INFINITY, "milliseconds");
const PORT: Check = [
  (value) => Number.isInteger(value) && Number(value) > 0 && Number(value) < 65_536,
  "a port between 1 and 65535",
];
const SIGNAL: Check = [
  (value) => isObject(value) && "addEventListener" in value && "aborted" in value,
  "an AbortSignal",
];

const OPTIONS: Checks<StubResolverOptions> = {
  upstreams: [Array.isArray, "a list"],
  profile: oneOf("strict", "opportunistic"),
  choice: oneOf("ordered", "round-robin", "fastest"),
  bootstrap: [(value) => value === "system" || Array.isArray(value), "system or a list of upstreams"],
  discovery: oneOf("off", "verified"),
  addressStore: [isObject, "an object"],
  timeoutMs: MILLISECONDS,
  tryTimeoutMs: MILLISECONDS,
  outagePatienceMs: MILLISECONDS,
  cacheBytesMax: numberFrom(0, Number.MAX_SAFE_INTEGER, "bytes"),
  validate: [
    (value) => typeof value === "boolean" || (Array.isArray(value) && value.every(isObject)),
    "true, false or a list of trust anchors",
  ],
  search: [
    (value) => value === "system" || (Array.isArray(value) && value.every(isText)),
    "system or a list of domains",
  ],
  ndots: numberFrom(0, 255, "dots"),
  hosts: [
    (value) =>
      value === "system" || value === "none" || (isObject(value) && "text" in value && isText(value.text)),
    "system, none or { text }",
  ],
  connection: [isObject, "an object"],
  hideClientSubnet: FLAG,
  keepalive: FLAG,
  neverClear: FLAG,
  padBlockOctets: numberFrom(0, 4096, "octets"),
  trustAnchors: [
    (value) => typeof value === "function" || (Array.isArray(value) && value.every(isObject)),
    "a list of trust anchors or a function that gives one",
  ],
};

const UPSTREAM: Checks<UpstreamSpec> = {
  address: TEXT,
  port: PORT,
  clearPort: PORT,
  transport: oneOf("auto", "tls", "tcp", "udp"),
  name: TEXT,
  pins: listOf(isText, "a list of pins"),
  trustAnchorsPem: listOf(isText, "a list of PEM texts"),
  dane: oneOf("off", "prefer", "only"),
};

const EXCHANGER: Checks<NonNullable<StubResolverOptions["connection"]>> = {
  localAddresses: listOf(isText, "a list of addresses"),
  udpQueriesMax: numberFrom(1, 65_000, "queries"),
  sharesUdpSockets: FLAG,
  connectionsMax: numberFrom(1, 65_000, "connections"),
  connectTimeoutMs: MILLISECONDS,
  handshakeTimeoutMs: MILLISECONDS,
  fastOpen: FLAG,
  acknowledges: FLAG,
};

type Connection = NonNullable<NonNullable<StubResolverOptions["connection"]>["connection"]>;
const CONNECTION: Checks<Connection> = {
  // Each has an id of its own (RFC 7766 §6.2.1), drawn until one is free: half of them must be.
  inFlightMax: numberFrom(1, 32_768, "queries"),
  queriesMax: numberFrom(1, Number.POSITIVE_INFINITY, "queries"),
  queueMax: numberFrom(0, Number.POSITIVE_INFINITY, "queries"),
  idleTimeoutMs: MILLISECONDS,
  keepaliveMsMax: MILLISECONDS,
  firstAnswerTimeoutMs: MILLISECONDS,
  answerAfterPauseTimeoutMs: MILLISECONDS,
};

const QUERY: Checks<QueryOptions> = {
  signal: SIGNAL,
  timeoutMs: MILLISECONDS,
  search: FLAG,
  hosts: FLAG,
  dnssecOk: FLAG,
  checkingDisabled: FLAG,
};

/** Of what was given, in a message. */
const SHOWN_MAX = 80;
