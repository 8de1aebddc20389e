/** One question that the stub asks for itself, about its upstreams, with its answer validated here where that is wanted. */
import { INDETERMINATE, type Validator, type Verdict } from "@sotto/dns/dnssec";
import { DnsError, type StopSignal } from "@sotto/dns/runtime";
import type { Responder } from "@sotto/dns/transport";
import { type Message, type Name, Rcode, type RRType } from "@sotto/dns/wire";
import { judgeReply } from "./answer-validation.ts";
import { queryOf } from "./internal-query.ts";

export interface MetaQuestion {
  readonly owner: Name;
  readonly type: RRType;
  /** Undefined: nothing is validated. */
  readonly validator: Validator | undefined;
  readonly signal: StopSignal;
  /** Monotonic milliseconds. */
  readonly deadlineMs: number;
}

export type MetaAnswer =
  /** NOERROR or NXDOMAIN; indeterminate when nothing was validated. */
  | { readonly kind: "answer"; readonly message: Message; readonly verdict: Verdict }
  | { readonly kind: "failed"; readonly cause: DnsError | undefined; readonly why: string };

/** Rejects only for bugs. */
export async function lookUpMeta(source: Responder, question: MetaQuestion): Promise<MetaAnswer> {
  const { owner, type, validator, signal, deadlineMs } = question;
  let failure: DnsError | undefined;
  const ask = async (name: Name, qtype: RRType): Promise<Message | undefined> => {
    try {
      // CD: what is bogus is wanted, too, to be judged here.
      const query = queryOf(name, qtype, validator !== undefined, validator !== undefined);
      return (await source.respond(query, { signal, deadlineMs })).message;
    } catch (cause) {
      if (!DnsError.is(cause)) throw cause;
      failure = cause;
      return undefined;
    }
  };
  const message = await ask(owner, type);
  if (message === undefined) return failed(failure);
  if (message.rcode !== Rcode.NoError && message.rcode !== Rcode.NXDomain)
    return failed(undefined, `the reply's code is ${message.rcode}`);
  if (validator === undefined) return { kind: "answer", message, verdict: INDETERMINATE };
  const verdict = await judgeReply(message, owner, type, validator, ask);
  // What could not be validated because something did not come is no lie of anybody's.
  if (verdict.status === "bogus" && failure !== undefined) return failed(failure);
  return { kind: "answer", message, verdict };
}

/** Why an answer is bogus, in words. */
export function bogusReason(verdict: Verdict & { readonly status: "bogus" }): string {
  return verdict.errors.map(({ text }) => text).find((text) => text !== "") ?? "validation failed";
}

function failed(cause: DnsError | undefined, why = cause?.message ?? "nobody answered"): MetaAnswer {
  return { kind: "failed", cause, why };
}
