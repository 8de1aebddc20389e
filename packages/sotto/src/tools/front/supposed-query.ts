/** The query that somebody asks about with `sotto front explain`, from words such as dig and kdig take them. */
import {
  type EdnsOption,
  encodeMessage,
  makeClientSubnet,
  makeEdns,
  makeMessage,
  type Parsed,
  parsed,
  problem,
  RRClass,
  rrClassFromText,
  rrTypeFromText,
  tryHexToOctets,
  tryParseAddress,
  tryParseName,
  tryParsePrefix,
} from "@sotto/dns/wire";
import type { SupposedQuery } from "../../compose/index.ts";
import { type FrontConfig, suggest, tryParseMoment } from "../../config/index.ts";

/** What was typed. */
export interface ExplainCommand {
  /** Name, perhaps type and class, and flags such as `+dnssec`. */
  readonly words: readonly string[];
  readonly client: string | undefined;
  readonly transport: string | undefined;
  readonly listener: string | undefined;
  readonly tlsVersion: string | undefined;
  readonly alpn: string | undefined;
  /** `YYYYMMDDHHMMSS`, UTC; absent: now. */
  readonly at: string | undefined;
  readonly json: boolean;
}

/** What flags make of a query. */
interface Flags {
  recursionDesired: boolean;
  checkingDisabled: boolean;
  authenticData: boolean;
  dnssecOk: boolean;
  hasEdns: boolean;
  payloadOctets: number | undefined;
  readonly options: EdnsOption[];
}

/** The query, or what is wrong with the words. */
export function trySupposedQuery(config: FrontConfig, command: ExplainCommand): Parsed<SupposedQuery> {
  const octets = tryMessage(command.words);
  if (!octets.ok) return octets;
  const way = tryWay(config, command);
  if (!way.ok) return way;
  const { client = "127.0.0.1", at } = command;
  if (!tryParseAddress(client).ok) return problem(`${JSON.stringify(client)} is no address`);
  const moment = at === undefined ? undefined : tryParseMoment(at);
  if (moment?.ok === false) return moment;
  const wallMs = moment === undefined ? undefined : moment.value * 1000;
  return parsed({ octets: octets.value, client, ...way.value, wallMs });
}

type Way = Pick<SupposedQuery, "transport" | "listener" | "tls">;

/** Over what it comes: listener and transport tell of each other. */
function tryWay({ listeners }: FrontConfig, command: ExplainCommand): Parsed<Way> {
  const named = listeners.find(({ name }) => name === command.listener);
  if (command.listener !== undefined && named === undefined)
    return unknown(
      "listener",
      command.listener,
      listeners.map(({ name }) => name),
    );
  const transport = command.transport ?? named?.transport ?? "udp";
  if (!isTransport(transport)) return unknown("transport", transport, TRANSPORTS);
  if (named !== undefined && named.transport !== transport)
    return problem(`listener ${named.name} is one for ${named.transport}, not for ${transport}`);
  const listener = named?.name ?? listeners.find((one) => one.transport === transport)?.name ?? "";
  const alpn = command.alpn ?? (transport === "https" ? "h2" : "dot");
  const isOverTls = transport === "tls" || transport === "https";
  const { tlsVersion = "TLSv1.3" } = command;
  if (!VERSIONS.includes(tlsVersion)) return unknown("TLS version", tlsVersion, VERSIONS);
  return parsed({ transport, listener, tls: isOverTls ? { protocol: tlsVersion, alpn } : undefined });
}

function tryMessage(words: readonly string[]): Parsed<Uint8Array> {
  const [nameText, typeText = "A", classText = "IN", ...more] = words.filter((word) => !word.startsWith("+"));
  if (nameText === undefined || more.length > 0)
    return problem("give one name, and type and class if they are not A and IN");
  const name = tryParseName(nameText);
  if (!name.ok) return problem(`${JSON.stringify(nameText)} is no name: ${name.problem}`);
  const type = rrTypeFromText(typeText);
  if (type === undefined) return problem(`${JSON.stringify(typeText)} is no record type`);
  const rrClass = rrClassFromText(classText);
  if (rrClass === undefined) return problem(`${JSON.stringify(classText)} is no class`);
  const flags = tryFlags(words.filter((word) => word.startsWith("+")));
  if (!flags.ok) return flags;
  const { hasEdns, dnssecOk, options, payloadOctets, ...header } = flags.value;
  const edns = makeEdns({
    dnssecOk,
    options,
    ...(payloadOctets === undefined ? {} : { udpPayloadOctets: payloadOctets }),
  });
  return parsed(
    encodeMessage(
      makeMessage({
        ...header,
        questions: [{ name: name.value, type, class: rrClass ?? RRClass.IN }],
        edns: hasEdns ? edns : undefined,
      }),
    ),
  );
}

function tryFlags(words: readonly string[]): Parsed<Flags> {
  const flags: Flags = {
    recursionDesired: true,
    checkingDisabled: false,
    authenticData: false,
    dnssecOk: false,
    hasEdns: true,
    payloadOctets: undefined,
    options: [],
  };
  for (const word of words) {
    const [flag = "", value = ""] = word.split(/=(.*)/s);
    Object.assign(flags, SWITCHES[word]);
    if (SWITCHES[word] !== undefined) continue;
    const set = VALUES[flag];
    if (set === undefined) return unknown("flag", word, [...Object.keys(SWITCHES), ...Object.keys(VALUES)]);
    const wrong = set(flags, value);
    if (wrong !== undefined) return problem(`${word}: ${wrong}`);
  }
  return parsed(flags);
}

const SWITCHES: Readonly<Record<string, Partial<Flags>>> = {
  "+dnssec": { dnssecOk: true },
  "+cd": { checkingDisabled: true },
  "+ad": { authenticData: true },
  "+nord": { recursionDesired: false },
  "+noedns": { hasEdns: false },
};

/** Each gives what is wrong with its value. */
const VALUES: Readonly<Record<string, (flags: Flags, value: string) => string | undefined>> = {
  "+bufsize": (flags, value) => {
    flags.payloadOctets = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
    return flags.payloadOctets <= 0xffff ? undefined : "give octets, such as +bufsize=1232";
  },
  "+ednsopt": (flags, value) => {
    const [, code, hex = ""] = /^(\d{1,5})(?::([0-9a-fA-F]*))?$/.exec(value) ?? [];
    const data = tryHexToOctets(hex);
    if (code === undefined || Number(code) > 0xffff || !data.ok)
      return "give a code and perhaps octets in hexadecimal, such as +ednsopt=65001:00ff";
    flags.options.push({ code: Number(code), data: data.value });
    return undefined;
  },
  "+subnet": (flags, value) => {
    const prefix = tryParsePrefix(value);
    if (!prefix.ok) return prefix.problem;
    const { octets: address, bits: sourcePrefixBits } = prefix.value;
    flags.options.push(makeClientSubnet({ address, sourcePrefixBits, scopePrefixBits: 0 }));
    return undefined;
  },
};

function unknown(what: string, text: string, known: readonly string[]): Parsed<never> {
  const near = suggest(text, known);
  const help = near === undefined ? `but ${known.join(", ")}` : `did you mean ${JSON.stringify(near)}?`;
  return problem(`there is no ${what} ${JSON.stringify(text)}, ${help}`);
}

const TRANSPORTS = ["udp", "tcp", "tls", "https"] as const;
const VERSIONS: readonly string[] = ["TLSv1.2", "TLSv1.3"];

function isTransport(text: string): text is (typeof TRANSPORTS)[number] {
  return TRANSPORTS.some((one) => one === text);
}
