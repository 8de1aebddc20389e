/**
 * HTML as strings that know that they are HTML, so that a text can never become markup: `element` escapes every child that is
 * not made here. Elements are always closed, which keeps the page readable for parsers of XML, too.
 */
import { visible } from "../words.ts";

/** Markup that was made by `element`, or by us as a constant. */
export class Html {
  readonly text: string;

  /** Only for constants of this folder; texts of others are children of `element`. */
  constructor(text: string) {
    this.text = text;
  }
}

export type Child = Html | string | readonly Child[] | undefined;
export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** An element with attributes and children; undefined attributes are left out. */
export function element(name: string, attributes: Attributes = {}, ...children: readonly Child[]): Html {
  const written = Object.entries(attributes).map(([key, value]) =>
    value === undefined ? "" : ` ${key}="${escapeText(String(value))}"`,
  );
  const head = `<${name}${written.join("")}`;
  return new Html(VOID.has(name) ? `${head}/>` : `${head}>${markup(children)}</${name}>`);
}

/** The text of children, escaped where they are texts. */
export function markup(child: Child): string {
  if (child === undefined) return "";
  if (child instanceof Html) return child.text;
  if (typeof child === "string") return escapeText(child);
  return child.map(markup).join("");
}

const VOID: ReadonlySet<string> = new Set(["meta", "br", "line", "path", "circle"]);

function escapeText(text: string): string {
  return visible(text, Number.POSITIVE_INFINITY).replace(
    /[&<>"']/g,
    (character) => `&#${character.charCodeAt(0)};`,
  );
}
