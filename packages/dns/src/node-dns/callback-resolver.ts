/** `dns.Resolver` over a channel. */
import { type AnyCallback, requireCallback, requireString, wrongType } from "./argument-checks.ts";
import { defineMethod, questionOf, ResolverBase, wantsTtl } from "./promise-resolver.ts";
import { QUESTIONS, type Question, REVERSE, resolveRecords, reverseNames } from "./resolve.ts";

/**
 * Hands a result to a callback outside of the promise: what a callback throws is an uncaught exception, as with Node, and no
 * rejection of ours.
 */
export function callBack<T>(
  promise: Promise<T>,
  callback: AnyCallback,
  results: (value: T) => readonly unknown[] = (value) => [value],
): void {
  promise.then(
    (value) => queueMicrotask(() => callback(null, ...results(value))),
    (error: Error) => queueMicrotask(() => callback(error)),
  );
}

function ask(
  resolver: ResolverBase,
  question: Question,
  name: unknown,
  callback: unknown,
  options?: unknown,
): object {
  requireString(name, "name");
  requireCallback(callback);
  callBack(resolveRecords(ResolverBase.channelOf(resolver), question, name, wantsTtl(options)), callback);
  return {};
}

export class CallbackResolver extends ResolverBase {
  resolve(hostname: unknown, rrtype: unknown, callback?: unknown): object {
    if (typeof rrtype === "function") return ask(this, questionOf("A"), hostname, rrtype);
    if (typeof rrtype !== "string") throw wrongType("rrtype", "of type string", rrtype);
    return ask(this, questionOf(rrtype), hostname, callback);
  }

  reverse(address: unknown, callback: unknown): object {
    requireString(address, "name");
    requireCallback(callback);
    callBack(reverseNames(ResolverBase.channelOf(this), address), callback);
    return {};
  }
}

Object.defineProperty(CallbackResolver.prototype.reverse, "name", { value: REVERSE });

for (const question of QUESTIONS) {
  const method = function (this: ResolverBase, name: unknown, last: unknown, ...more: unknown[]): object {
    return more.length > 0 ? ask(this, question, name, more[0], last) : ask(this, question, name, last);
  };
  defineMethod(CallbackResolver.prototype, question, method);
}
