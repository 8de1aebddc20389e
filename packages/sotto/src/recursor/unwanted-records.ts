/**
 * Records that nobody outside may say, such as addresses of the own network (rebinding): they are taken out of replies
 * before anything is believed or cached, so that neither clients nor we ourselves are led there. Whose records those are is
 * the configuration's to say. Where signatures will be verified, a signed set stays whole until then: half of it would look
 * like a forgery, and the server takes the rest out of its answer.
 */
import type { RRset } from "@sotto/dns/cache";
import { type Message, type ResourceRecord, RRClass, RRType, uint16At } from "@sotto/dns/wire";
import { serverAddresses } from "./referral.ts";

/** True for records that must not come from outside. */
export type IsUnwanted = (record: ResourceRecord) => boolean;

/** The message without unwanted records; the same object when it has none. */
export function withoutUnwanted(message: Message, isUnwanted: IsUnwanted, keepsSigned: boolean): Message {
  const { answers, authorities, additionals } = message;
  if (![answers, authorities, additionals].some((section) => section.some(isUnwanted))) return message;
  const signed = new Set(keepsSigned ? answers.filter(isSignature).map(coveredKey) : []);
  const touched = new Set<string>();
  const isLeft = (record: ResourceRecord): boolean => {
    const isOut = isUnwanted(record) && !signed.has(keyOf(record));
    if (isOut) touched.add(keyOf(record));
    return !isOut;
  };
  const left = answers.filter(isLeft);
  return {
    ...message,
    // Nobody can verify what signed the whole set.
    answers: left.filter((record) => !isSignature(record) || !touched.has(coveredKey(record))),
    authorities: authorities.filter((record) => !isUnwanted(record)),
    additionals: additionals.filter((record) => !isUnwanted(record)),
  };
}

/** The addresses in a set that a server can have. */
export function wantedAddresses(rrset: RRset, isUnwanted: IsUnwanted): string[] {
  const { owner, type, ttlSeconds: ttl } = rrset;
  const rdatas = rrset.rdatas.filter((rdata) => !isUnwanted({ owner, type, class: RRClass.IN, ttl, rdata }));
  return serverAddresses({ ...rrset, rdatas });
}

function isSignature({ type, rdata }: ResourceRecord): boolean {
  return type === RRType.RRSIG && rdata.length >= 2;
}

function keyOf({ owner, type }: ResourceRecord): string {
  return `${type} ${owner.key}`;
}

function coveredKey({ owner, rdata }: ResourceRecord): string {
  return `${uint16At(rdata, 0)} ${owner.key}`;
}
