/** Errors for wrong arguments, with the classes, codes and texts of Node's own modules: programs match on them. */
import { inspect } from "node:util";

/** What the checks of Node throw. */
function failure(
  Kind: TypeErrorConstructor | RangeErrorConstructor,
  code: string,
  message: string,
): TypeError | RangeError {
  return Object.assign(new Kind(message), { code });
}

/** `argument`, or `property` when the name tells whose. */
function kindOf(name: string): string {
  return name.includes(".") ? "property" : "argument";
}

function received(value: unknown): string {
  if (value === undefined || value === null) return ` Received ${value}`;
  if (typeof value === "function") return ` Received function ${value.name}`;
  if (typeof value === "object") {
    const maker = value.constructor?.name;
    return maker ? ` Received an instance of ${maker}` : ` Received ${inspect(value, { depth: -1 })}`;
  }
  let text = inspect(value, { colors: false });
  if (text.length > 28) text = `${text.slice(0, 25)}...`;
  return ` Received type ${typeof value} (${text})`;
}

export function wrongType(name: string, wanted: string, value: unknown): TypeError {
  return failure(
    TypeError,
    "ERR_INVALID_ARG_TYPE",
    `The "${name}" ${kindOf(name)} must be ${wanted}.${received(value)}`,
  );
}

export function wrongValue(name: string, value: unknown, reason = "is invalid"): TypeError {
  let text = inspect(value);
  if (text.length > 128) text = `${text.slice(0, 128)}...`;
  return failure(
    TypeError,
    "ERR_INVALID_ARG_VALUE",
    `The ${kindOf(name)} '${name}' ${reason}. Received ${text}`,
  );
}

/** Throws an ERR_INVALID_ARG_VALUE with a text of its own. */
export function wrongArgument(message: string): TypeError {
  return failure(TypeError, "ERR_INVALID_ARG_VALUE", message);
}

export function wrongAddress(text: string): TypeError {
  return failure(TypeError, "ERR_INVALID_IP_ADDRESS", `Invalid IP address: ${text}`);
}

export function missingArguments(names: readonly string[]): TypeError {
  const quoted = names.map((name) => `"${name}"`);
  const last = quoted.pop();
  const list = quoted.length > 1 ? `${quoted.join(", ")}, and ${last}` : `${quoted[0]} and ${last}`;
  return failure(TypeError, "ERR_MISSING_ARGS", `The ${list} arguments must be specified`);
}

export function requireString(value: unknown, name: string): asserts value is string {
  if (typeof value !== "string") throw wrongType(name, "of type string", value);
}

/** Callbacks take what their caller documents. */
export type AnyCallback = (error: Error | null, ...results: unknown[]) => void;

export function requireCallback(value: unknown): asserts value is AnyCallback {
  if (typeof value !== "function") throw wrongType("callback", "of type function", value);
}

export function requireBoolean(value: unknown, name: string): asserts value is boolean {
  if (typeof value !== "boolean") throw wrongType(name, "of type boolean", value);
}

export function requireNumber(value: unknown, name: string): asserts value is number {
  if (typeof value !== "number") throw wrongType(name, "of type number", value);
}

export function requireInteger(
  value: unknown,
  name: string,
  min: number,
  max: number,
): asserts value is number {
  requireNumber(value, name);
  const wanted = Number.isInteger(value) ? `>= ${min} && <= ${max}` : "an integer";
  if (!Number.isInteger(value) || value < min || value > max)
    throw failure(
      RangeError,
      "ERR_OUT_OF_RANGE",
      `The value of "${name}" is out of range. It must be ${wanted}. Received ${inspect(value)}`,
    );
}

export function requireOneOf<T>(value: unknown, name: string, allowed: readonly T[]): asserts value is T {
  const known: readonly unknown[] = allowed;
  if (known.includes(value)) return;
  const list = allowed.map((one) => (typeof one === "string" ? `'${one}'` : String(one))).join(", ");
  throw wrongValue(name, value, `must be one of: ${list}`);
}

/** A port as Node takes it: a number, or digits. */
export function requirePort(value: unknown): number {
  const isText = typeof value === "string" && value.trim() !== "";
  const port = typeof value === "number" || isText ? Number(value) : Number.NaN;
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw failure(RangeError, "ERR_SOCKET_BAD_PORT", `Port should be >= 0 and < 65536.${received(value)}.`);
  return port;
}
