/** Tokens of presentation format (RFC 1035 §5.1) and reading them one after another. */
import { Name, readEscape, tryParseName } from "./name.ts";
import { type FormatProblem, type Parsed, parsed, problem } from "./parsed.ts";

/** One token: its text with escapes kept and the quotes around it removed. */
export interface TextToken {
  readonly text: string;
  readonly isQuoted: boolean;
}

const NO_TOKEN: TextToken = { text: "", isQuoted: false };

/** Reads tokens forward; after the first problem every read gives something empty. */
export class TokenReader {
  readonly origin: Name;
  problem: FormatProblem | undefined = undefined;
  readonly #tokens: readonly TextToken[];
  #at = 0;

  constructor(tokens: readonly TextToken[], origin: Name) {
    this.#tokens = tokens;
    this.origin = origin;
  }

  get remaining(): number {
    return this.#tokens.length - this.#at;
  }

  /** Notes a problem, unless there was one before. */
  fail(text: FormatProblem): void {
    this.problem ??= text;
    this.#at = this.#tokens.length;
  }

  next(what: string): TextToken {
    const token = this.#tokens[this.#at];
    if (token === undefined) {
      this.fail(`${what} is missing`);
      return NO_TOKEN;
    }
    this.#at++;
    return token;
  }

  /** The next token without moving on; undefined at the end. */
  peek(): TextToken | undefined {
    return this.#tokens[this.#at];
  }

  rest(): readonly TextToken[] {
    const rest = this.#tokens.slice(this.#at);
    this.#at = this.#tokens.length;
    return rest;
  }

  /** A whole number from 0 to `most`. */
  number(what: string, most: number): number {
    const { text } = this.next(what);
    if (this.problem !== undefined) return 0;
    const value = Number(text);
    if (!/^[0-9]{1,16}$/.test(text) || value > most) {
      this.fail(`${what} ${JSON.stringify(text)} is not a number from 0 to ${most}`);
      return 0;
    }
    return value;
  }

  /** A name, relative to the origin unless it ends in a dot. */
  name(what: string): Name {
    const { text } = this.next(what);
    if (this.problem !== undefined) return Name.root;
    const name = tryParseName(text, this.origin);
    if (name.ok) return name.value;
    this.fail(name.problem);
    return Name.root;
  }

  /** The octets that a parser makes of the rest, blanks taken out. */
  joined(what: string, parse: (text: string) => Parsed<Uint8Array>): Uint8Array {
    const text = this.rest()
      .map((token) => token.text)
      .join("");
    if (this.problem !== undefined) return NOTHING;
    const octets = parse(text);
    if (octets.ok) return octets.value;
    this.fail(`${what}: ${octets.problem}`);
    return NOTHING;
  }
}

const NOTHING = new Uint8Array(0);

/** Octets of a token's text with its escapes resolved; characters above U+007F are their UTF-8. */
export function tryUnescape(text: string): Parsed<Uint8Array> {
  const octets: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const character = text.charCodeAt(i);
    if (character === 0x5c) {
      const escaped = readEscape(text, i);
      if (escaped === undefined) return problem(`${JSON.stringify(text)} has a bad escape`);
      octets.push(escaped.octet);
      i += escaped.length - 1;
    } else if (character < 0x80) octets.push(character);
    else {
      const point = String.fromCodePoint(text.codePointAt(i) ?? 0);
      octets.push(...new TextEncoder().encode(point));
      i += point.length - 1;
    }
  }
  return parsed(Uint8Array.from(octets));
}

/** Text for octets within quotes: quotes and backslashes escaped, what is not printable as `\DDD`. */
export function escapeText(octets: Uint8Array): string {
  let text = "";
  for (const octet of octets) {
    if (octet === 0x22 || octet === 0x5c) text += `\\${String.fromCharCode(octet)}`;
    else if (octet >= 0x20 && octet < 0x7f) text += String.fromCharCode(octet);
    else text += `\\${String(octet).padStart(3, "0")}`;
  }
  return text;
}
