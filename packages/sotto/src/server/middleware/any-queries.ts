/**
 * ANY is how amplification is done and how people look for what a resolver happens to know; both can be spared them
 * (RFC 8482). What a name has none of, and aliases, are told as ever; a name that exists has one HINFO that says why. Nobody
 * could sign that, so that whoever asks for signatures of a signed zone gets one set that is really there.
 */
import type { Middleware, Query, QueryContext, Reply, Responder } from "@sotto/dns/transport";
import {
  EdeCode,
  encodeRdataOf,
  Rcode,
  type ResourceRecord,
  RRClass,
  RRType,
  uint16At,
} from "@sotto/dns/wire";
import { refusal } from "../refusal.ts";
import { queryFor } from "./query-for.ts";

/** `full`: whatever there is. `minimal over udp`: over TCP and TLS clients are known to be there (RFC 8482 §4.4). */
export type AnyPolicy = "full" | "minimal over udp" | "minimal" | "refuse";

/** Answers ANY as far as the policy goes. */
export function anyQueries(policy: AnyPolicy): Middleware {
  if (policy === "full") return (next) => next;
  return (next) => ({
    respond: async (query, context) => {
      const { view, origin } = query;
      if (view.qtype !== RRType.ANY) return next.respond(query, context);
      if (policy === "refuse") return refusal(query, NOT_HERE);
      if (policy === "minimal") return minimal(query, context, next);
      const isSpared = origin.transport !== "udp";
      const reply = await (isSpared ? next.respond(query, context) : minimal(query, context, next));
      // What TCP clients get must not come out of the cache for a forged address.
      return { ...reply, isPersonal: true };
    },
  });
}

/** RFC 8482 §4: names that do not exist and aliases are answered by the usual rules. */
async function minimal(query: Query, context: QueryContext, next: Responder): Promise<Reply> {
  const { qname, question, dnssecOk } = query.view;
  const reply = await next.respond(queryFor(query, qname, RRType.HINFO), context);
  const message = { ...reply.message, questions: [question] };
  const { rcode, answers } = message;
  if (rcode !== Rcode.NoError) return { ...reply, message };
  // An alias is all there is at its name, and a real HINFO as good as any other set.
  if (answers.length > 0)
    return { ...reply, message: { ...message, answers: oneSet(answers), authorities: [] } };
  if (dnssecOk && reply.security === "secure") return existing(await next.respond(query, context));
  const answer = {
    owner: qname,
    type: RRType.HINFO,
    class: RRClass.IN,
    ttl: HINFO_TTL_SECONDS,
    rdata: HINFO_RDATA,
  };
  return { ...reply, message: { ...message, answers: [answer], authorities: [] }, security: "indeterminate" };
}

/** RFC 8482 §4.1 and §4.3: a set that is there, with what signs it. */
function existing(reply: Reply): Reply {
  const answers = oneSet(reply.message.answers);
  const additionals: ResourceRecord[] = [];
  return { ...reply, message: { ...reply.message, answers, additionals } };
}

/** The smallest set of the first owner, and the signatures over it. */
function oneSet(answers: readonly ResourceRecord[]): ResourceRecord[] {
  const sets = new Map<number, { octets: number; readonly records: ResourceRecord[] }>();
  for (const record of answers) {
    if (!record.owner.equals(answers[0]?.owner ?? record.owner)) continue;
    const type = record.type === RRType.RRSIG ? uint16At(record.rdata, 0) : record.type;
    const set = sets.get(type) ?? { octets: 0, records: [] };
    set.octets += record.rdata.length;
    set.records.push(record);
    sets.set(type, set);
  }
  const whole = [...sets.values()].filter(({ records }) => records.some(({ type }) => type !== RRType.RRSIG));
  return whole.sort((a, b) => a.octets - b.octets)[0]?.records ?? [];
}

const NOT_HERE = { code: EdeCode.NotSupported, text: "queries of type ANY are not answered here" };
/** RFC 8482 §4.2: the CPU says which RFC, the OS nothing. */
const HINFO_RDATA = hinfo();
/** Long enough that nobody asks again soon (RFC 8482 §4.2). */
const HINFO_TTL_SECONDS = 3600;

function hinfo(): Uint8Array {
  const text = new TextEncoder().encode("RFC8482");
  const rdata = encodeRdataOf("HINFO", { cpu: text, os: new Uint8Array() });
  if (!rdata.ok) throw new RangeError(rdata.problem);
  return rdata.value;
}
