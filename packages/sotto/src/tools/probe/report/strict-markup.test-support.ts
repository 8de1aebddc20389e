/** A reader of markup that forgives nothing, for tests: what it takes is well-formed XML, and so the same page for every parser. */
import assert from "node:assert/strict";

export interface MarkupElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: (MarkupElement | string)[];
}

const TOKEN = /<(\/?)([A-Za-z][\w-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/y;

/** The root element; fails the test where the text is not well-formed. A document type or an XML declaration may stand first. */
export function readMarkup(text: string): MarkupElement {
  const start = /^(?:<!DOCTYPE html>|<\?xml version="1\.0" encoding="UTF-8"\?>)\n/.exec(text);
  assert.ok(start, "no document type and no XML declaration");
  const root: MarkupElement = { name: "", attributes: new Map(), children: [] };
  const open = [root];
  TOKEN.lastIndex = start[0].length;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const [, slash, name, attributes = "", end, content] = TOKEN.exec(text) ?? [];
    const inside = open.at(-1);
    assert.ok(inside !== undefined, "something stands after the root");
    if (content !== undefined) inside.children.push(withoutReferences(content));
    else if (name === undefined) assert.fail(`no markup: ${JSON.stringify(text.slice(at, at + 80))}`);
    else if (slash === "/") {
      assert.equal(inside.name, name, `</${name}> closes <${inside.name}>`);
      open.pop();
    } else {
      const element: MarkupElement = { name, attributes: attributesOf(attributes), children: [] };
      inside.children.push(element);
      if (end !== "/") open.push(element);
    }
  }
  assert.equal(open.length, 1, `<${open.at(-1)?.name}> is not closed`);
  const elements = root.children.filter((child) => typeof child !== "string");
  assert.equal(elements.length, 1, "there is more than one root");
  return elements[0] ?? root;
}

/** An element and everything below it, in order. */
export function* walk(element: MarkupElement): Generator<MarkupElement> {
  yield element;
  for (const child of element.children) if (typeof child !== "string") yield* walk(child);
}

/** All text of an element. */
export function textOf(element: MarkupElement): string {
  return element.children.map((child) => (typeof child === "string" ? child : textOf(child))).join("");
}

function attributesOf(text: string): Map<string, string> {
  const attributes = new Map<string, string>();
  for (const [, key = "", value = ""] of text.matchAll(/([\w:-]+)="([^"]*)"/g)) {
    assert.ok(!attributes.has(key), `the attribute ${key} stands twice`);
    attributes.set(key, withoutReferences(value));
  }
  return attributes;
}

function withoutReferences(text: string): string {
  const plain = text.replace(/&(#(\d+);)?/g, (whole, _reference, code: string | undefined) => {
    assert.ok(code !== undefined, `an ampersand that is no reference: ${JSON.stringify(text.slice(0, 80))}`);
    return code === undefined ? whole : String.fromCodePoint(Number(code));
  });
  // XML 1.0 has no place for these, neither as they are nor as references.
  assert.doesNotMatch(plain, /(?![\t\n\r])[\p{Cc}\ufffe\uffff]/u);
  return plain;
}
