/**
 * Cuts a master file into entries (RFC 1035 §5.1): tokens of one line, or of several when parentheses join them, without
 * comments. Escapes stay as they are, because only the type of a field tells what they mean.
 */
import { type Parsed, parsed, problem } from "./parsed.ts";
import type { TextToken } from "./text-token.ts";

/** The tokens between two line ends; never empty. */
export interface MasterFileEntry {
  /** Where it starts, counted from 1. */
  readonly line: number;
  /** The entry begins with a blank: it belongs to the owner before it. */
  readonly isIndented: boolean;
  readonly tokens: readonly TextToken[];
}

/** Reads entry by entry. After a problem it must not be used any more; `line` then tells where. */
export class MasterFileLexer {
  /** The line being read, counted from 1. */
  line = 1;
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next entry, undefined at the end of the text. */
  next(): Parsed<MasterFileEntry | undefined> {
    for (;;) {
      if (this.#at >= this.#text.length) return parsed(undefined);
      const line = this.line;
      const isIndented = isBlank(this.#text.charCodeAt(this.#at));
      const tokens = this.#tokens();
      if (!tokens.ok) return tokens;
      if (tokens.value.length > 0) return parsed({ line, isIndented, tokens: tokens.value });
    }
  }

  #tokens(): Parsed<TextToken[]> {
    const text = this.#text;
    const start = this.#at;
    const tokens: TextToken[] = [];
    while (this.#at < text.length) {
      if (this.#at - start > ENTRY_CHARACTERS_MAX)
        return problem(`entry is longer than ${ENTRY_CHARACTERS_MAX} characters`);
      const character = text.charCodeAt(this.#at);
      if (character === LINE_FEED) {
        this.#at++;
        this.line++;
        if (this.#depth === 0) return parsed(tokens);
      } else if (isBlank(character)) this.#at++;
      else if (character === SEMICOLON) this.#skipComment();
      else if (character === OPEN || character === CLOSE) {
        this.#at++;
        this.#depth += character === OPEN ? 1 : -1;
        if (this.#depth < 0) return problem("closing parenthesis without an opening one");
      } else {
        const token = character === QUOTE ? this.#quoted() : this.#bare();
        if (!token.ok) return token;
        tokens.push(token.value);
      }
    }
    return this.#depth === 0 ? parsed(tokens) : problem("parenthesis is never closed");
  }

  #skipComment(): void {
    const end = this.#text.indexOf("\n", this.#at);
    this.#at = end < 0 ? this.#text.length : end;
  }

  /** A string in quotes; it ends at its closing quote, on the same line. */
  #quoted(): Parsed<TextToken> {
    const start = this.#at + 1;
    const end = this.#closingQuote(start);
    if (end < 0) return problem("quoted string is not closed on its line");
    this.#at = end + 1;
    return parsed({ text: this.#text.slice(start, end), isQuoted: true });
  }

  /** Where the quote that closes a string stands, -1 when the line or the text ends before. */
  #closingQuote(start: number): number {
    const text = this.#text;
    for (let at = start; at < text.length; at++) {
      const character = text.charCodeAt(at);
      if (character === QUOTE) return at;
      if (character === LINE_FEED || at - start > ENTRY_CHARACTERS_MAX) return -1;
      if (character === BACKSLASH && text.charCodeAt(at + 1) !== LINE_FEED) at++;
    }
    return -1;
  }

  /** A token without quotes around it; quotes within, as in `alpn="h2,h3"` (RFC 9460 §2.1), protect blanks. */
  #bare(): Parsed<TextToken> {
    const text = this.#text;
    let piece = "";
    let start = this.#at;
    let at = start;
    for (; at < text.length; at++) {
      const character = text.charCodeAt(at);
      if (endsToken(character) || at - this.#at > ENTRY_CHARACTERS_MAX) break;
      if (character === BACKSLASH && at + 1 < text.length && text.charCodeAt(at + 1) !== LINE_FEED) at++;
      else if (character === QUOTE) {
        const end = this.#closingQuote(at + 1);
        if (end < 0) return problem("quoted string is not closed on its line");
        piece += text.slice(start, at) + text.slice(at + 1, end);
        start = end + 1;
        at = end;
      }
    }
    this.#at = at;
    return parsed({ text: piece + text.slice(start, at), isQuoted: false });
  }
}

/** Room for 65535 octets of rdata in which every octet is escaped, with line ends and indentation. */
export const ENTRY_CHARACTERS_MAX = 0x80000;

function isBlank(character: number): boolean {
  return character === 0x20 || character === 0x09 || character === 0x0d;
}

function endsToken(character: number): boolean {
  return (
    isBlank(character) ||
    character === LINE_FEED ||
    character === SEMICOLON ||
    character === OPEN ||
    character === CLOSE
  );
}

const LINE_FEED = 0x0a;
const QUOTE = 0x22;
const OPEN = 0x28;
const CLOSE = 0x29;
const SEMICOLON = 0x3b;
const BACKSLASH = 0x5c;
