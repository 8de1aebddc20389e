/** Whether a reply belongs to a query, beyond its id (RFC 5452 §9.1, RFC 7766 §7). */
import { HEADER_OCTETS, lowerOctet, type MessageView, type Question } from "@sotto/dns/wire";

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
