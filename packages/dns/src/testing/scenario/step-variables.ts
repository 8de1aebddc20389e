/** What steps compute: `ASSIGN t = ${time}`, `${$t + 3600}`, `${31*24*3600}`, `${range 4800 ${timeout} 5400}`. */
import { type Parsed, parsed, problem } from "@sotto/dns/wire";

export class StepVariables {
  readonly #values = new Map<string, number>();
  readonly #known: ReadonlyMap<string, () => number>;

  /** `known`: words with a meaning of their own, such as `time`. */
  constructor(known: ReadonlyMap<string, () => number>) {
    this.#known = known;
  }

  /** Does `NAME = EXPRESSION`; the result is what is wrong with it. */
  assign(text: string): string | undefined {
    const [, name = "", expression = ""] = /^(\w+)\s*=\s*(.*)$/.exec(text) ?? [];
    const value = this.numberOf(expression);
    if (name === "" || !value.ok) return value.ok ? "no name to assign to" : value.problem;
    this.#values.set(name, value.value);
    return undefined;
  }

  numberOf(text: string): Parsed<number> {
    const whole = this.expand(text);
    if (!whole.ok) return whole;
    const value = Number(whole.value.trim());
    return whole.value.trim() === "" || !Number.isFinite(value)
      ? problem(`${text} is no number`)
      : parsed(value);
  }

  /** The text with every `${…}` replaced, the innermost first. */
  expand(text: string): Parsed<string> {
    let whole = text;
    for (let i = 0; i < EXPRESSIONS_MAX; i++) {
      const found = /\$\{([^{}]*)\}/.exec(whole);
      if (found === null) return parsed(whole);
      const value = this.#evaluate(found[1]?.trim() ?? "");
      if (!value.ok) return value;
      whole = whole.slice(0, found.index) + value.value + whole.slice(found.index + found[0].length);
    }
    return problem(`more than ${EXPRESSIONS_MAX} expressions`);
  }

  #evaluate(text: string): Parsed<string> {
    const known = this.#known.get(text);
    if (known !== undefined) return parsed(String(known()));
    // For people.
    if (text.startsWith("ctime ")) return parsed("");
    const range = /^range\s+(\S+)\s+(\S+)\s+(\S+)$/.exec(text);
    if (range === null) return this.#sum(text);
    const [low = 0, value = 0, high = 0] = range.slice(1).map(Number);
    return value >= low && value <= high
      ? parsed(String(value))
      : problem(`${value} is not between ${low} and ${high}`);
  }

  /** Sums of products, from left to right. */
  #sum(text: string): Parsed<string> {
    if (!/^[+-]?[^+-]+(?:[+-][^+-]+)*$/.test(text)) return problem(`${JSON.stringify(text)} is no sum`);
    let sum = 0;
    for (const [, sign = "", product = ""] of text.matchAll(/([+-]?)([^+-]+)/g)) {
      let value = 1;
      for (const factor of product.split("*")) {
        const name = factor.trim();
        const number = name.startsWith("$") ? this.#values.get(name.slice(1)) : Number(name);
        if (number === undefined || name === "" || Number.isNaN(number))
          return problem(`${JSON.stringify(name)} is not known`);
        value *= number;
      }
      sum += sign === "-" ? -value : value;
    }
    return parsed(String(sum));
  }
}

const EXPRESSIONS_MAX = 1000;
