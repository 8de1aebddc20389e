/**
 * As much of XML 1.0 as `root-anchors.xml` needs: elements, attributes, text, comments. No entities, no DOCTYPE, no CDATA, no
 * processing instructions, no namespaces: what could grow or reach out is a problem.
 */
import { type Parsed, parsed, problem } from "@sotto/dns/wire";

export interface XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** Without the blanks around it; empty when there are children. */
  readonly text: string;
}

export interface XmlLimits {
  readonly charactersMax: number;
  readonly elementsMax: number;
  /** 1: the outermost element only. */
  readonly depthMax: number;
}

/** Reads a document; the result is its outermost element. */
export function tryReadXml(text: string, limits: XmlLimits): Parsed<XmlElement> {
  if (text.length > limits.charactersMax) return problem(`is longer than ${limits.charactersMax} characters`);
  const reader = new XmlReader(limits);
  // RFC 9718 §2.1: the file is UTF-8; what a mark before it says is known already.
  const start = DECLARATION.exec(text)?.[0].length ?? 0;
  for (let at = start; at < text.length; ) {
    const next = text[at] === "<" ? reader.takeMarkup(text, at) : reader.takeText(text, at);
    if (!next.ok) return problem(`character ${at + 1}: ${next.problem}`);
    at = next.value;
  }
  return reader.done();
}

interface OpenElement extends XmlElement {
  readonly attributes: Map<string, string>;
  readonly children: XmlElement[];
  text: string;
}

class XmlReader {
  readonly #limits: XmlLimits;
  readonly #open: OpenElement[] = [];
  #root: XmlElement | undefined = undefined;
  #count = 0;

  constructor(limits: XmlLimits) {
    this.#limits = limits;
  }

  /** Text up to the next markup; the result is where it ends. */
  takeText(text: string, at: number): Parsed<number> {
    const next = text.indexOf("<", at);
    const end = next < 0 ? text.length : next;
    const content = text.slice(at, end);
    if (content.includes("&")) return problem("entities are not read here");
    const inside = this.#open.at(-1);
    if (inside !== undefined) inside.text += content;
    else if (content.trim() !== "") return problem("there is text outside of the outermost element");
    return parsed(end);
  }

  takeMarkup(text: string, at: number): Parsed<number> {
    if (text.startsWith("<!--", at)) {
      const end = text.indexOf("--", at + 4);
      return end < 0 || text[end + 2] !== ">" ? problem("a comment does not end") : parsed(end + 3);
    }
    const end = text.indexOf(">", at);
    if (end < 0) return problem("a tag does not end");
    const wrong = this.#takeTag(text.slice(at + 1, end));
    return wrong === undefined ? parsed(end + 1) : problem(wrong);
  }

  done(): Parsed<XmlElement> {
    const inside = this.#open.at(-1);
    if (inside !== undefined) return problem(`${inside.name} does not end`);
    return this.#root === undefined ? problem("there is no element") : parsed(this.#root);
  }

  #takeTag(tag: string): string | undefined {
    if (tag.startsWith("/")) return this.#close(tag.slice(1).trimEnd());
    const isEmpty = tag.endsWith("/");
    const [, name = "", rest = ""] =
      /^([A-Za-z][A-Za-z0-9]*)(\s.*)?$/s.exec(isEmpty ? tag.slice(0, -1) : tag) ?? [];
    if (name === "") return "markup that is not read here";
    if (this.#root !== undefined) return `${name} follows the outermost element`;
    if (this.#open.length >= this.#limits.depthMax) return `${name} is nested too deep`;
    if (++this.#count > this.#limits.elementsMax)
      return `there are more than ${this.#limits.elementsMax} elements`;
    const attributes = readAttributes(rest);
    if (typeof attributes === "string") return `${name} ${attributes}`;
    const element: OpenElement = { name, attributes, children: [], text: "" };
    this.#open.at(-1)?.children.push(element);
    this.#open.push(element);
    return isEmpty ? this.#close(name) : undefined;
  }

  #close(name: string): string | undefined {
    const element = this.#open.pop();
    if (element?.name !== name) return `${name} ends where it did not begin`;
    element.text = element.text.trim();
    if (element.children.length > 0 && element.text !== "") return `${name} has text beside its elements`;
    if (this.#open.length === 0) this.#root = element;
    return undefined;
  }
}

/** The attributes, or what is wrong with them. */
function readAttributes(text: string): Map<string, string> | string {
  const attributes = new Map<string, string>();
  let rest = text.trim();
  while (rest !== "") {
    const match = ATTRIBUTE.exec(rest);
    const [whole = "", name = "", double, single] = match ?? [];
    if (match === null || attributes.has(name) || attributes.size >= ATTRIBUTES_MAX)
      return "has malformed attributes";
    attributes.set(name, double ?? single ?? "");
    rest = rest.slice(whole.length).trimStart();
  }
  return attributes;
}

const DECLARATION = /^\uFEFF?<\?xml\s[^<>?]*\?>/;
const ATTRIBUTE = /^([A-Za-z][A-Za-z0-9]*)\s*=\s*(?:"([^"<>&]*)"|'([^'<>&]*)')(?=\s|$)/;
/** Of one element; the form we read has three. */
const ATTRIBUTES_MAX = 16;
