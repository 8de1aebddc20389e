import assert from "node:assert/strict";
import { test } from "node:test";
import { Name, parseName } from "./name.ts";
import { parsed, problem } from "./parsed.ts";
import { escapeText, TokenReader, tryUnescape } from "./text-token.ts";

function tokensOf(...texts: string[]): TokenReader {
  return new TokenReader(
    texts.map((text) => ({ text, isQuoted: false })),
    parseName("example."),
  );
}

test("escapes are resolved to octets, other characters to their UTF-8", () => {
  for (const [text, octets] of [
    ["", []],
    ["a b", [0x61, 0x20, 0x62]],
    ['\\"\\\\', [0x22, 0x5c]],
    ["\\000\\255\\0651", [0, 255, 0x41, 0x31]],
    ["\\a\\;", [0x61, 0x3b]],
    ["\u00e9\u{1f600}", [0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80]],
  ] as const) {
    assert.deepEqual(tryUnescape(text), { ok: true, value: Uint8Array.from(octets) }, text);
  }
});

test("an escape that ends early or is over 255 is a problem", () => {
  for (const text of ["\\", "a\\", "\\1", "\\12", "\\12x", "\\256", "\\999"])
    assert.equal(tryUnescape(text).ok, false, text);
});

test("every octet is printed so that it reads back", () => {
  const all = Uint8Array.from({ length: 256 }, (_, octet) => octet);
  const text = escapeText(all);
  assert.match(text, /^[ -~]+$/);
  assert.deepEqual(tryUnescape(text), { ok: true, value: all });
  assert.equal(escapeText(Uint8Array.of(0x22, 0x5c, 0x20, 0x7f)), '\\"\\\\ \\127');
});

test("tokens are read in order, relative names below the origin", () => {
  const tokens = tokensOf("65535", "mail", "mail.", "@", "61", "62");
  assert.equal(tokens.number("preference", 0xffff), 65_535);
  assert.equal(tokens.name("exchange").toString(), "mail.example.");
  assert.equal(tokens.name("exchange").toString(), "mail.");
  assert.equal(tokens.name("exchange").toString(), "example.");
  assert.equal(tokens.remaining, 2);
  const joined = tokens.joined("octets", (text) => parsed(new TextEncoder().encode(text)));
  assert.equal(new TextDecoder().decode(joined), "6162");
  assert.equal(tokens.peek(), undefined);
  assert.equal(tokens.problem, undefined);
});

test("the first problem stays, and everything after it is empty", () => {
  const tokens = tokensOf("65536", "next", "more");
  assert.equal(tokens.number("preference", 0xffff), 0);
  assert.equal(tokens.problem, 'preference "65536" is not a number from 0 to 65535');
  assert.equal(tokens.remaining, 0);
  assert.equal(tokens.name("exchange"), Name.root);
  assert.equal(tokens.number("weight", 1), 0);
  assert.equal(tokens.joined("octets", () => problem("never asked")).length, 0);
  assert.equal(tokens.problem, 'preference "65536" is not a number from 0 to 65535');
});

test("numbers are digits only", () => {
  for (const text of ["", "-1", "+1", "1e3", "0x10", " 1", "1.0", "99999999999999999"])
    assert.notEqual(
      (() => {
        const tokens = tokensOf(text);
        tokens.number("count", 0xffff_ffff);
        return tokens.problem;
      })(),
      undefined,
      text,
    );
});
