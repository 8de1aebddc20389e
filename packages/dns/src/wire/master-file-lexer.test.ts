import assert from "node:assert/strict";
import { test } from "node:test";
import { ENTRY_CHARACTERS_MAX, MasterFileLexer } from "./master-file-lexer.ts";

/** Entries as `line:tokens`, with `>` for an indented one and quotes around quoted tokens; a problem ends the list. */
function entriesOf(text: string): string[] {
  const lexer = new MasterFileLexer(text);
  const entries: string[] = [];
  for (;;) {
    const next = lexer.next();
    if (!next.ok) return [...entries, `${lexer.line}! ${next.problem}`];
    if (next.value === undefined) return entries;
    const { line, isIndented, tokens } = next.value;
    const words = tokens.map((token) => (token.isQuoted ? `"${token.text}"` : token.text));
    entries.push(`${line}:${isIndented ? ">" : ""}${words.join(" ")}`);
  }
}

test("text is cut into entries and tokens", async (context) => {
  const table: readonly (readonly [string, string, readonly string[]])[] = [
    ["nothing", "", []],
    ["blank lines and comments", '\n  \n; a ( comment " \n\t; more\n', []],
    ["an entry without a line end", "a 1 A", ["1:a 1 A"]],
    ["tabs, blanks and carriage returns", "a\t 1\tA \r\nb\r\n", ["1:a 1 A", "2:b"]],
    ["an owner left out", "a A\n A\n\tB\n", ["1:a A", "2:>A", "3:>B"]],
    ["a comment right behind a token", "a;b c\nd", ["1:a", "2:d"]],
    ["parentheses over lines", "a SOA ( x ; one\n 1 2\n\n3 ) 4\nb", ["1:a SOA x 1 2 3 4", "5:b"]],
    ["parentheses without blanks", "a(b)c", ["1:a b c"]],
    ["parentheses within parentheses", "a ( ( b\n) c\n) d", ["1:a b c d"]],
    ["an empty pair", "()\na", ["2:a"]],
    ["a line that begins with a parenthesis", "(a\nb)", ["1:a b"]],
    ["quoted blanks and comments", 'a "b ; ( c" "" d', ['1:a "b ; ( c" "" d']],
    ["quoted strings without a blank between", '"a""b"c', ['1:"a" "b" c']],
    [
      "escapes are kept",
      String.raw`a\;b\ c\"d\(e \065 "x\"y\\"`,
      [String.raw`1:a\;b\ c\"d\(e \065 "x\"y\\"`],
    ],
    ["quotes within a token", 'a alpn="h2, h3"x key=""', ["1:a alpn=h2, h3x key="]],
    ["a backslash at the end of a line", "a\\\nb", ["1:a\\", "2:b"]],
    ["a backslash at the end of the text", "a\\", ["1:a\\"]],
  ];
  for (const [title, text, entries] of table) {
    await context.test(title, () => assert.deepEqual(entriesOf(text), entries));
  }
});

test("text that cannot be cut is a problem at its line", async (context) => {
  const table: readonly (readonly [string, string, readonly string[]])[] = [
    ["an open parenthesis", "a\nb ( c\nd\n", ["1:a", "4! parenthesis is never closed"]],
    ["a stray closing parenthesis", "a\nb ) c", ["1:a", "2! closing parenthesis without an opening one"]],
    ["an open quote", 'a\nb "c\nd"', ["1:a", "2! quoted string is not closed on its line"]],
    ["an open quote at the end", 'a "', ["1! quoted string is not closed on its line"]],
    ["an open quote within a token", 'a k="v\n', ["1! quoted string is not closed on its line"]],
    ["a quote whose closing is escaped", String.raw`a "b\"`, ["1! quoted string is not closed on its line"]],
  ];
  for (const [title, text, entries] of table) {
    await context.test(title, () => assert.deepEqual(entriesOf(text), entries));
  }
});

test("an entry may be as long as the limit and not much longer", () => {
  const room = ENTRY_CHARACTERS_MAX - 10;
  assert.equal(entriesOf(`a ${"b".repeat(room)}`).length, 1);
  const tooLong = new RegExp(`^[0-9]+! entry is longer than ${ENTRY_CHARACTERS_MAX} characters$`);
  for (const text of [
    `a (${"b\n".repeat(ENTRY_CHARACTERS_MAX)})`,
    " a".repeat(ENTRY_CHARACTERS_MAX),
    "b".repeat(2 * ENTRY_CHARACTERS_MAX),
  ])
    assert.match(entriesOf(text).at(-1) ?? "", tooLong);
});
