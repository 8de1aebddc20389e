/** Whether a reply belongs to a query, beyond its id (RFC 5452 §9.1, RFC 7766 §7). */
import { HEADER_OCTETS, lowerOctet, type MessageView, type Question } from "@sotto/dns/wire";

/** The same, with the message that asked, whose question comes first as in all of ours. */
export function echoesQuestion(reply: MessageView, query: Uint8Array): boolean {
  const { octets, questionEnd } = reply;
  if (reply.questionCount !== 1 || questionEnd > query.length) return false;
  const nameEnd = questionEnd - TYPE_AND_CLASS_OCTETS;
  for (let at = HEADER_OCTETS; at < questionEnd; at++) {
    const octet = octets[at] ?? 0;
    const asked = query[at] ?? 0;
    if (octet !== asked && (at >= nameEnd || lowerOctet(octet) !== lowerOctet(asked))) return false;
  }
  return true;
}

const TYPE_AND_CLASS_OCTETS = 4;

/** True when the reply has exactly this question; letters may differ in case (RFC 4343 §3). */
export function hasQuestion(reply: MessageView, question: Question): boolean {
  if (reply.questionCount !== 1 || reply.qtype !== question.type || reply.qclass !== question.class)
    return false;
  const { wire } = question.name;
  if (reply.qnameOctets !== wire.length) return false;
  for (let i = 0; i < wire.length; i++) {
    const octet = reply.octets[HEADER_OCTETS + i] ?? 0;
    if (octet !== wire[i] && lowerOctet(octet) !== lowerOctet(wire[i] ?? 0)) return false;
  }
  return true;
}
