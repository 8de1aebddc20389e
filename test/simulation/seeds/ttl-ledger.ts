/** Until when what servers said may be given to clients: the latest end of life of each record and of each negative answer. */
import { readRrsig } from "@sotto/dns/dnssec";
import {
  canonicalRdata,
  type Message,
  Name,
  Rcode,
  type ResourceRecord,
  RRType,
  uint32At,
} from "@sotto/dns/wire";

export class TtlLedger {
  readonly #until = new Map<string, number>();

  /** A server says this; it is on its way for at most until `arrivesAtMs`. */
  note({ questions, rcode, answers, authorities, additionals }: Message, arrivesAtMs: number): void {
    for (const record of [...answers, ...authorities, ...additionals]) {
      const endMs = arrivesAtMs + record.ttl * 1000;
      this.#keep(recordKey(record.owner, record), endMs);
      const wildcard = wildcardOf(record, [...answers, ...authorities]);
      if (wildcard !== undefined) this.#keep(recordKey(wildcard, record), endMs);
    }
    const [question] = questions;
    const soa = authorities.find(({ type }) => type === RRType.SOA);
    if (question === undefined || soa === undefined) return;
    const endMs = arrivesAtMs + negativeTtl(soa) * 1000;
    const name = lastName(question.name, answers);
    if (rcode === Rcode.NXDomain) this.#keep(negativeKey(name, undefined), endMs);
    this.#keep(negativeKey(name, question.type), endMs);
  }

  #keep(key: string, endMs: number): void {
    if ((this.#until.get(key) ?? 0) < endMs) this.#until.set(key, endMs);
  }

  /** Until when a record may be given; undefined: nobody ever said it. */
  untilOf(record: ResourceRecord): number | undefined {
    let until = this.#until.get(recordKey(record.owner, record));
    // Names made from a wildcard, by us or by the server.
    for (let above = record.owner; !above.isRoot; ) {
      above = above.parent();
      const wildcard = above.tryPrepend(Uint8Array.of(0x2a));
      const other = wildcard.ok ? this.#until.get(recordKey(wildcard.value, record)) : undefined;
      if (other !== undefined && other > (until ?? 0)) until = other;
    }
    return until;
  }

  /** Until when it may be said that a name, or a type of it, does not exist. */
  untilOfNegative(name: Name, type: RRType): number | undefined {
    let until = this.#until.get(negativeKey(name, type));
    for (let at = name; ; at = at.parent()) {
      const other = this.#until.get(negativeKey(at, undefined));
      if (other !== undefined && other > (until ?? 0)) until = other;
      if (at.isRoot) return until;
    }
  }
}

/** The wildcard that a record was made from, as its signature tells (RFC 4035 §5.3.2). */
function wildcardOf(record: ResourceRecord, among: readonly ResourceRecord[]): Name | undefined {
  const signature =
    record.type === RRType.RRSIG
      ? record
      : among.find(
          (one) =>
            one.type === RRType.RRSIG &&
            one.owner.equals(record.owner) &&
            readRrsig(one.rdata).typeCovered === record.type,
        );
  if (signature === undefined) return undefined;
  const { labels } = readRrsig(signature.rdata);
  if (labels >= record.owner.labelCount) return undefined;
  const wildcard = record.owner.suffix(labels).tryPrepend(Uint8Array.of(0x2a));
  return wildcard.ok ? wildcard.value : undefined;
}

/** The name at the end of the aliases in a message. */
export function lastName(qname: Name, answers: readonly ResourceRecord[]): Name {
  let name = qname;
  for (let i = 0; i < answers.length; i++) {
    const alias = answers.find(({ owner, type }) => type === RRType.CNAME && owner.equals(name));
    if (alias === undefined) return name;
    name = new Name(alias.rdata);
  }
  return name;
}

export function negativeTtl(soa: ResourceRecord): number {
  return soa.rdata.length < 4 ? soa.ttl : Math.min(soa.ttl, uint32At(soa.rdata, soa.rdata.length - 4));
}

function recordKey(owner: Name, { type, rdata }: ResourceRecord): string {
  const octets = canonicalRdata(type, rdata);
  return `${owner.key} ${type} ${Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("latin1")}`;
}

function negativeKey(name: Name, type: RRType | undefined): string {
  return `not ${name.key} ${type ?? "at all"}`;
}
