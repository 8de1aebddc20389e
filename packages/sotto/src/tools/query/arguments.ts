/**
 * Dig's command line: `[@server] [name] [type] [class] [+flags]`, several queries per line, flags before the first
 * name are for all queries, options of one query follow its name.
 */
import { domainToASCII } from "node:url";
import {
  Name,
  type Parsed,
  parsed,
  problem,
  RRClass,
  RRType,
  rrClassFromText,
  rrTypeFromText,
  tryParseAddress,
  tryParseName,
} from "@sotto/dns/wire";
import { applyFlag, defaultOptions, type QueryOptions } from "./flags.ts";

/** One question to one server. */
export interface QuerySpec {
  readonly name: Name;
  readonly type: RRType;
  readonly class: RRClass;
  /** Address or host name; undefined: the system's first name server. */
  readonly server: string | undefined;
  /** Undefined: 53, or 853 for TLS. */
  readonly port: number | undefined;
  /** 4, 6 or either. */
  readonly family: 4 | 6 | undefined;
  readonly localAddress: string | undefined;
  readonly options: Readonly<QueryOptions>;
}

/** What the arguments ask for. */
export type Arguments =
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | {
      readonly kind: "queries";
      readonly queries: readonly QuerySpec[];
      readonly batchFile: string | undefined;
    };

/** Queries in one command line or batch file; more is a mistake. */
export const QUERIES_MAX = 10_000;

interface Draft {
  name: Name | undefined;
  type: RRType | undefined;
  class: RRClass | undefined;
  server: string | undefined;
  port: number | undefined;
  family: 4 | 6 | undefined;
  localAddress: string | undefined;
  options: QueryOptions;
}

/** Reads the arguments; a problem is a sentence for the user. */
export function parseArguments(args: readonly string[]): Parsed<Arguments> {
  const reader = new ArgumentReader(args);
  return reader.read();
}

class ArgumentReader {
  readonly #args: readonly string[];
  #at = 0;
  readonly #global: Draft = {
    name: undefined,
    type: undefined,
    class: undefined,
    server: undefined,
    port: undefined,
    family: undefined,
    localAddress: undefined,
    options: defaultOptions(),
  };
  readonly #drafts: Draft[] = [];
  #batchFile: string | undefined = undefined;

  constructor(args: readonly string[]) {
    this.#args = args;
  }

  read(): Parsed<Arguments> {
    while (this.#at < this.#args.length) {
      const argument = this.#args[this.#at++] ?? "";
      if (argument === "--help" || argument === "-h") return parsed({ kind: "help" });
      if (argument === "--version" || argument === "-v") return parsed({ kind: "version" });
      const wrong = this.#take(argument);
      if (wrong !== undefined) return problem(wrong);
      if (this.#drafts.length > QUERIES_MAX) return problem(`more than ${QUERIES_MAX} queries`);
    }
    if (this.#drafts.length === 0 && this.#batchFile === undefined) this.#begin(undefined);
    return parsed({ kind: "queries", queries: this.#drafts.map(toSpec), batchFile: this.#batchFile });
  }

  /** The draft that the next option belongs to. */
  get #current(): Draft {
    return this.#drafts.at(-1) ?? this.#global;
  }

  #begin(name: Name | undefined): Draft {
    const base = this.#global;
    const draft: Draft = { ...base, name, options: structuredClone(base.options) };
    this.#drafts.push(draft);
    return draft;
  }

  #take(argument: string): string | undefined {
    if (argument.startsWith("@")) {
      this.#current.server = argument.slice(1);
      return argument === "@" ? "@ wants a server" : undefined;
    }
    if (argument.startsWith("+")) return applyFlag(this.#current.options, argument);
    if (argument.startsWith("-") && argument.length > 1) return this.#takeOption(argument);
    return this.#takeWord(argument);
  }

  /** A name begins a query, unless the word is a type or class for a query that has none yet. */
  #takeWord(word: string): string | undefined {
    const current = this.#drafts.at(-1);
    const type = rrTypeFromText(word);
    const rrClass = rrClassFromText(word);
    if (type !== undefined && word.toUpperCase() !== "ANY" && this.#acceptType(current, type))
      return undefined;
    if (word.toUpperCase() === "ANY" && this.#acceptType(current, RRType.ANY)) return undefined;
    if (rrClass !== undefined && current !== undefined && current.class === undefined) {
      current.class = rrClass;
      return undefined;
    }
    if (current !== undefined && current.name === undefined) return this.#setName(current, word);
    return this.#setName(this.#begin(undefined), word);
  }

  /** `sotto query MX example.` and `sotto query example. MX` both work, as with dig. */
  #acceptType(current: Draft | undefined, type: RRType): boolean {
    if (current !== undefined && current.type !== undefined) return false;
    const draft = current ?? this.#begin(undefined);
    draft.type = type;
    return true;
  }

  #setName(draft: Draft, text: string): string | undefined {
    // Names in other scripts are written as A-labels on the wire (RFC 5891).
    const name = tryParseName(/^[ -~]*$/.test(text) ? text : domainToASCII(text));
    if (!name.ok) return name.problem;
    draft.name = name.value;
    return undefined;
  }

  #takeOption(argument: string): string | undefined {
    const letter = argument.slice(1, 2);
    if (letter === "4" || letter === "6") {
      this.#current.family = letter === "4" ? 4 : 6;
      return argument.length > 2 ? `${argument} is not an option` : undefined;
    }
    if (!"pbxtcqf".includes(letter)) return `${argument} is not an option, see sotto query --help`;
    const value = argument.length > 2 ? argument.slice(2) : this.#args[this.#at++];
    if (value === undefined) return `-${letter} wants a value`;
    return this.#takeOptionValue(letter, value);
  }

  #takeOptionValue(letter: string, value: string): string | undefined {
    switch (letter) {
      case "p":
        if (!/^[0-9]{1,5}$/.test(value) || Number(value) < 1 || Number(value) > 65535)
          return "-p wants a port from 1 to 65535";
        this.#current.port = Number(value);
        return undefined;
      case "b":
        if (!tryParseAddress(value).ok) return "-b wants an IP address";
        this.#current.localAddress = value;
        return undefined;
      case "x":
        return this.#takeReverse(value);
      case "t": {
        const type = rrTypeFromText(value);
        if (type === undefined) return `-t ${value} is not a record type`;
        this.#current.type = type;
        return undefined;
      }
      case "c": {
        const rrClass = rrClassFromText(value);
        if (rrClass === undefined) return `-c ${value} is not a class`;
        this.#current.class = rrClass;
        return undefined;
      }
      case "q":
        return this.#setName(this.#begin(undefined), value);
      default:
        this.#batchFile = value;
        return undefined;
    }
  }

  #takeReverse(text: string): string | undefined {
    const name = reverseName(text);
    if (!name.ok) return `-x ${name.problem}`;
    const draft = this.#begin(name.value);
    draft.type = RRType.PTR;
    return undefined;
  }
}

function toSpec(draft: Draft): QuerySpec {
  const { name, type } = draft;
  return {
    ...draft,
    name: name ?? Name.root,
    // Dig asks for the root's name servers when it is told nothing.
    type: type ?? (name === undefined ? RRType.NS : RRType.A),
    class: draft.class ?? RRClass.IN,
  };
}

/** The name that PTR records of an address stand at (RFC 1035 §3.5, RFC 3596 §2.5). */
export function reverseName(address: string): Parsed<Name> {
  const octets = tryParseAddress(address);
  if (!octets.ok) return octets;
  if (octets.value.length === 4)
    return tryParseName(`${[...octets.value].reverse().join(".")}.in-addr.arpa.`);
  const nibbles = [...octets.value].flatMap((octet) => [octet >>> 4, octet & 15]).reverse();
  return tryParseName(`${nibbles.map((nibble) => nibble.toString(16)).join(".")}.ip6.arpa.`);
}
