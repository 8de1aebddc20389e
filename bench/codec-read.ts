/** Makes of a decoded message what dns-packet makes of it: texts for names and addresses, values for rdata. */
import { addressToText, decodeRdataOf, type Message, type ResourceRecord, RRType } from "@sotto/dns/wire";

/** Reads everything; the result is a number that depends on all of it. */
export function readEverything(message: Message): number {
  let sum = 0;
  for (const question of message.questions) sum += question.name.toString().length;
  for (const section of [message.answers, message.authorities, message.additionals])
    for (const record of section) sum += record.owner.toString().length + readRdata(record);
  for (const option of message.edns?.options ?? []) sum += option.code + option.data.length;
  return sum;
}

/** The types of the benchmark's messages; another one is a mistake. */
function readRdata({ type, rdata }: ResourceRecord): number {
  switch (type) {
    case RRType.A:
    case RRType.AAAA:
      return addressToText(rdata).length;
    case RRType.NS:
    case RRType.CNAME: {
      const fields = decodeRdataOf(type === RRType.NS ? "NS" : "CNAME", rdata);
      return fields.ok ? fields.value.host.toString().length : 0;
    }
    case RRType.RRSIG: {
      const fields = decodeRdataOf("RRSIG", rdata);
      if (!fields.ok) return 0;
      const { signerName, signature, keyTag } = fields.value;
      return signerName.toString().length + signature.length + keyTag;
    }
    default:
      throw new Error(`the benchmark does not read type ${type}`);
  }
}
