/** Why octets or text are not what they should be, for people: lower case, no full stop. */
export type FormatProblem = string;

/** The outcome of reading something that came from outside: hostile input is a value, not an exception. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: FormatProblem };

/** A successful {@link Parsed}. */
export function parsed<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

/** A failed {@link Parsed}. */
export function problem(text: FormatProblem): { readonly ok: false; readonly problem: FormatProblem } {
  return { ok: false, problem: text };
}
