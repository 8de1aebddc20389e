/**
 * The one table of `+flags`: names, what they take, help. The parser, `--help` and abbreviations come from it. Names
 * and meanings are dig's, those for TLS and privacy are kdig's.
 */

/** What a query looks like and how its reply is shown; changed by flags, one copy for each query. */
export interface QueryOptions {
  transport: "udp" | "tcp" | "tls";
  tlsAuthenticate: boolean;
  /** Files with trust anchors instead of the system's. */
  tlsCaFiles: string[];
  tlsHostname: string | undefined;
  /** Undefined: the host name; empty: no SNI. */
  tlsSni: string | undefined;
  /** Base64 of SHA-256. */
  tlsPins: string[];
  tlsCertificateFile: string | undefined;
  tlsKeyFile: string | undefined;
  recursionDesired: boolean;
  authenticData: boolean;
  checkingDisabled: boolean;
  dnssecOk: boolean;
  /** EDNS version, undefined for no EDNS. */
  ednsVersion: number | undefined;
  udpPayloadOctets: number;
  nsid: boolean;
  keepalive: boolean;
  /** Undefined: 128 over TLS; 0: none. */
  padBlockOctets: number | undefined;
  /** Address with prefix length; `0` asks for privacy (RFC 7871 §7.1.2). */
  clientSubnet: string | undefined;
  /** Hex of a client cookie; empty string for a random one. */
  cookie: string | undefined;
  expire: boolean;
  ednsOptions: { code: number; hex: string }[];
  keepOpen: boolean;
  /** Asks for TCP Fast Open (RFC 7413). */
  fastOpen: boolean;
  pipeline: boolean;
  ignoreTruncation: boolean;
  timeoutMs: number;
  tries: number;
  isShort: boolean;
  isJson: boolean;
  showCommand: boolean;
  showComments: boolean;
  showQuestion: boolean;
  showAnswer: boolean;
  showAuthority: boolean;
  showAdditional: boolean;
  showStats: boolean;
  showTtl: boolean;
  showClass: boolean;
  showCrypto: boolean;
  showQuery: boolean;
  identify: boolean;
}

/** Dig's defaults: recursion desired, AD set, EDNS, five seconds, three tries. */
export function defaultOptions(): QueryOptions {
  return {
    transport: "udp",
    tlsAuthenticate: false,
    tlsCaFiles: [],
    tlsHostname: undefined,
    tlsSni: undefined,
    tlsPins: [],
    tlsCertificateFile: undefined,
    tlsKeyFile: undefined,
    recursionDesired: true,
    authenticData: true,
    checkingDisabled: false,
    dnssecOk: false,
    ednsVersion: 0,
    udpPayloadOctets: 1232,
    nsid: false,
    keepalive: false,
    padBlockOctets: undefined,
    clientSubnet: undefined,
    cookie: undefined,
    expire: false,
    ednsOptions: [],
    keepOpen: false,
    fastOpen: false,
    pipeline: false,
    ignoreTruncation: false,
    timeoutMs: 5000,
    tries: 3,
    isShort: false,
    isJson: false,
    showCommand: true,
    showComments: true,
    showQuestion: true,
    showAnswer: true,
    showAuthority: true,
    showAdditional: true,
    showStats: true,
    showTtl: true,
    showClass: true,
    showCrypto: true,
    showQuery: false,
    identify: false,
  };
}

/** One flag. `apply` gives a sentence when the value is wrong. */
export interface Flag {
  readonly names: readonly string[];
  /** How the value is called in help; absent when the flag takes none. */
  readonly value?: string;
  /** The value may be left out. */
  readonly isValueOptional?: boolean;
  /** May be written `+noNAME`. */
  readonly isNegatable: boolean;
  readonly help: string;
  readonly apply: (options: QueryOptions, on: boolean, value: string | undefined) => string | undefined;
}

type BooleanKey = {
  [K in keyof QueryOptions]: QueryOptions[K] extends boolean ? K : never;
}[keyof QueryOptions];

function toggle(key: BooleanKey, names: readonly string[], help: string): Flag {
  return {
    names,
    isNegatable: true,
    help,
    apply: (options, on) => {
      options[key] = on;
      return undefined;
    },
  };
}

function valued(
  names: readonly string[],
  value: string,
  help: string,
  apply: (options: QueryOptions, value: string) => string | undefined,
): Flag {
  return {
    names,
    value,
    isNegatable: false,
    help,
    apply: (options, _on, given) => apply(options, given ?? ""),
  };
}

function number(text: string, least: number, most: number): number | string {
  const value = Number(text);
  return /^[0-9]+$/.test(text) && value >= least && value <= most
    ? value
    : `wants a number from ${least} to ${most}`;
}

const TLS: readonly Flag[] = [
  {
    names: ["tls"],
    isNegatable: true,
    help: "ask over TLS, port 853; encrypted but not authenticated unless one of the next is given",
    apply: (options, on) => {
      options.transport = on ? "tls" : "udp";
      return undefined;
    },
  },
  {
    names: ["tls-ca"],
    value: "FILE",
    isValueOptional: true,
    isNegatable: true,
    help: "authenticate by certificate: system's trust anchors, or those of FILE",
    apply: (options, on, value) => {
      options.tlsAuthenticate = on;
      if (!on) options.tlsCaFiles = [];
      else options.transport = "tls";
      if (on && value !== undefined) options.tlsCaFiles = [...options.tlsCaFiles, value];
      return undefined;
    },
  },
  valued(
    ["tls-hostname"],
    "NAME",
    "authentication domain name, when it is not the server's name",
    (options, value) => {
      options.tlsHostname = value;
      options.tlsAuthenticate = true;
      options.transport = "tls";
      return value === "" ? "wants a name" : undefined;
    },
  ),
  valued(
    ["tls-pin"],
    "BASE64",
    "authenticate by SHA-256 of the public key; may be given several times",
    (options, value) => {
      const pin = value.replace(/^sha256:/, "");
      options.tlsPins = [...options.tlsPins, pin];
      options.transport = "tls";
      return /^[A-Za-z0-9+/]{43}=$/.test(pin) ? undefined : "wants 44 characters of base64";
    },
  ),
  {
    names: ["tls-sni"],
    value: "NAME",
    isNegatable: true,
    help: "server name to send, +notls-sni sends none",
    apply: (options, on, value) => {
      options.tlsSni = on ? value : "";
      return undefined;
    },
  },
  valued(["tls-certfile"], "FILE", "PEM client certificate", (options, value) => {
    options.tlsCertificateFile = value;
    return undefined;
  }),
  valued(["tls-keyfile"], "FILE", "PEM key of the client certificate", (options, value) => {
    options.tlsKeyFile = value;
    return undefined;
  }),
];

const TRANSPORT: readonly Flag[] = [
  {
    names: ["tcp", "vc"],
    isNegatable: true,
    help: "ask over TCP",
    apply: (options, on) => {
      options.transport = on ? "tcp" : "udp";
      return undefined;
    },
  },
  toggle("keepOpen", ["keepopen"], "use one connection for all queries to a server"),
  toggle("fastOpen", ["fastopen"], "send data with the SYN, where system and server can (RFC 7413)"),
  {
    names: ["pipeline"],
    isNegatable: true,
    help: "send all queries at once on one TCP or TLS connection",
    apply: (options, on) => {
      options.pipeline = on;
      if (on && options.transport === "udp") options.transport = "tcp";
      return undefined;
    },
  },
  toggle("ignoreTruncation", ["ignore"], "do not repeat a truncated answer over TCP"),
  valued(["time", "timeout"], "SECONDS", "how long one try waits", (options, value) => {
    const seconds = number(value, 1, 300);
    if (typeof seconds === "string") return seconds;
    options.timeoutMs = seconds * 1000;
    return undefined;
  }),
  valued(["tries"], "N", "number of tries", (options, value) => {
    const tries = number(value, 1, 20);
    if (typeof tries === "string") return tries;
    options.tries = tries;
    return undefined;
  }),
  valued(["retry"], "N", "number of tries after the first", (options, value) => {
    const retries = number(value, 0, 19);
    if (typeof retries === "string") return retries;
    options.tries = retries + 1;
    return undefined;
  }),
];

const MESSAGE: readonly Flag[] = [
  toggle("recursionDesired", ["recurse", "rdflag"], "set RD"),
  toggle("authenticData", ["adflag"], "set AD"),
  toggle("checkingDisabled", ["cdflag"], "set CD"),
  toggle("dnssecOk", ["dnssec", "do"], "ask for DNSSEC records"),
  {
    names: ["edns"],
    value: "VERSION",
    isValueOptional: true,
    isNegatable: true,
    help: "EDNS version, +noedns sends no OPT record",
    apply: (options, on, value) => {
      const version = number(value ?? "0", 0, 255);
      if (typeof version === "string") return version;
      options.ednsVersion = on ? version : undefined;
      return undefined;
    },
  },
  valued(["bufsize"], "OCTETS", "UDP payload size to announce", (options, value) => {
    const octets = number(value, 0, 65535);
    if (typeof octets === "string") return octets;
    options.udpPayloadOctets = octets;
    return undefined;
  }),
  toggle("nsid", ["nsid"], "ask which server instance answers (RFC 5001)"),
  toggle("keepalive", ["keepalive"], "ask how long the connection may idle (RFC 7828)"),
  {
    names: ["padding"],
    value: "BLOCK",
    isValueOptional: true,
    isNegatable: true,
    help: "pad queries over TLS to this block, 128 by default (RFC 8467)",
    apply: (options, on, value) => {
      const block = number(value ?? "128", 0, 512);
      if (typeof block === "string") return block;
      options.padBlockOctets = on ? block : 0;
      return undefined;
    },
  },
  {
    names: ["subnet"],
    value: "PREFIX",
    isNegatable: true,
    help: "client subnet; 0 asks that none is told (RFC 7871)",
    apply: (options, on, value) => {
      options.clientSubnet = on ? (value ?? "") : undefined;
      return on && (value ?? "") === "" ? "wants a prefix such as 192.0.2.0/24 or 0" : undefined;
    },
  },
  {
    names: ["cookie"],
    value: "HEX",
    isValueOptional: true,
    isNegatable: true,
    help: "send a DNS cookie (RFC 7873)",
    apply: (options, on, value) => {
      options.cookie = on ? (value ?? "") : undefined;
      return value === undefined || /^([0-9a-fA-F]{2}){8,40}$/.test(value)
        ? undefined
        : "wants 16 to 80 hexadecimal digits";
    },
  },
  toggle("expire", ["expire"], "ask for the zone's expire timer (RFC 7314)"),
  {
    names: ["ednsopt"],
    value: "CODE[:HEX]",
    isNegatable: true,
    help: "add any EDNS option, +noednsopt removes them all",
    apply: (options, on, value) => {
      const parts = /^([0-9]{1,5})(?::((?:[0-9a-fA-F]{2})*))?$/.exec(value ?? "");
      if (!on) options.ednsOptions = [];
      else if (parts === null || Number(parts[1]) > 65535)
        return "wants a code and hexadecimal digits, such as 65001:0102";
      else options.ednsOptions = [...options.ednsOptions, { code: Number(parts[1]), hex: parts[2] ?? "" }];
      return undefined;
    },
  },
];

const OUTPUT: readonly Flag[] = [
  toggle("isShort", ["short"], "print the data of the answer only"),
  toggle("isJson", ["json"], "print JSON (RFC 8427) and facts about the exchange"),
  toggle("identify", ["identify"], "with +short: tell which server answered"),
  toggle("showCommand", ["cmd"], "print the first line"),
  toggle("showComments", ["comments"], "print headings and the header"),
  toggle("showQuestion", ["question"], "print the question"),
  toggle("showAnswer", ["answer"], "print the answer section"),
  toggle("showAuthority", ["authority"], "print the authority section"),
  toggle("showAdditional", ["additional"], "print the additional section"),
  toggle("showStats", ["stats"], "print times, server and protection"),
  toggle("showQuery", ["qr"], "print the query too"),
  toggle("showTtl", ["ttlid"], "print TTLs"),
  toggle("showClass", ["class"], "print classes"),
  toggle("showCrypto", ["crypto"], "print keys and signatures"),
  {
    names: ["all"],
    isNegatable: true,
    help: "all of the sections, headings and statistics, or none",
    apply: (options, on) => {
      for (const key of [
        "showComments",
        "showQuestion",
        "showAnswer",
        "showAuthority",
        "showAdditional",
        "showStats",
      ] as const) {
        options[key] = on;
      }
      return undefined;
    },
  },
];

/** All flags in the order of the help. */
export const FLAGS: readonly Flag[] = [...TLS, ...TRANSPORT, ...MESSAGE, ...OUTPUT];

const byName = new Map(FLAGS.flatMap((flag) => flag.names.map((name) => [name, flag] as const)));

/** The flag with this name, or the only one that begins with it; a sentence when there is none or several. */
export function findFlag(name: string): Flag | string {
  const exact = byName.get(name);
  if (exact !== undefined) return exact;
  const near = new Set([...byName].filter(([known]) => known.startsWith(name)).map(([, flag]) => flag));
  const [only] = near;
  if (near.size === 1 && only !== undefined) return only;
  if (near.size === 0) return `+${name} is not a flag, see sotto query --help`;
  return `+${name} could be ${[...near].map((flag) => `+${flag.names[0] ?? ""}`).join(" or ")}`;
}

/** Applies `+flag`, `+noflag` or `+flag=value`; gives a sentence when that cannot be done. */
export function applyFlag(options: QueryOptions, argument: string): string | undefined {
  const parts = /^\+([^=]*)(?:=(.*))?$/s.exec(argument);
  const name = (parts?.[1] ?? "").toLowerCase();
  const value = parts?.[2];
  const isOff = name.startsWith("no") && !byName.has(name);
  const flag = findFlag(isOff ? name.slice(2) : name);
  if (typeof flag === "string") return isOff ? `+${name} is not a flag, see sotto query --help` : flag;
  if (isOff && !flag.isNegatable) return `+${flag.names[0] ?? ""} cannot be switched off`;
  if (value !== undefined && flag.value === undefined) return `+${name} takes no value`;
  if (!isOff && value === undefined && flag.value !== undefined && flag.isValueOptional !== true) {
    return `+${name} wants a value: +${name}=${flag.value}`;
  }
  const wrong = flag.apply(options, !isOff, value);
  return wrong === undefined ? undefined : `+${name} ${wrong}`;
}
