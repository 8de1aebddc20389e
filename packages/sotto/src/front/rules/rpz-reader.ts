/**
 * Response policy zones (draft-vixie-dnsop-dns-rpz), line by line, with triggers by query name: NXDOMAIN, NODATA, drop, TCP only,
 * passthru, local data, and aliases, also to `*.name`. Triggers by address or server (`rpz-ip`, `rpz-nsdname`, …) are not done; they
 * are told. `$INCLUDE` and `$GENERATE` are bad lines. The longest entry counts.
 */
import {
  lowerOctet,
  Name,
  Rcode,
  type ResourceRecord,
  RRType,
  tryParseName,
  tryParseRecord,
  tryParseTtl,
  uint32At,
} from "@sotto/dns/wire";
import type { LineOutcome } from "./list-lines.ts";
import { type ListPolicy, PASS } from "./list-policy.ts";
import { templateOf } from "./local-answer.ts";
import type { NameSet } from "./name-set.ts";

/** Fills a set and its policies. */
export class RpzReader {
  readonly #names: NameSet;
  readonly #policies: ListPolicy[];
  /** Policies without data of their own, by what they are; made at first use. */
  readonly #shared = new Map<string, number>();
  /** The latest of them of each kind. */
  readonly #latest = new Map<string, number>();
  /** Records and number of the local data of a name, by reach and key. */
  readonly #local = new Map<string, { readonly number: number; readonly records: ResourceRecord[] }>();
  #localRecords = 0;
  #origin = Name.root;
  /** The zone's name, known from its SOA. */
  #apex = Name.root;
  #ttl = TTL_SECONDS_DEFAULT;
  #hasTtl = false;
  /** Of the last entry, for those that begin with a blank. */
  #owner = Name.root;
  /** An entry in parentheses that has not ended. */
  #open = "";
  #depth = 0;

  constructor(names: NameSet, policies: ListPolicy[]) {
    this.#names = names;
    this.#policies = policies;
  }

  /** One line, from `start` to `end`. */
  line(octets: Uint8Array, start: number, end: number): LineOutcome {
    const text = textOf(octets, start, end);
    if (text === undefined)
      return bad("has an octet outside of printable ASCII", "names are written as xn--");
    const plain = withoutComment(text);
    const depth = this.#depth + depthOf(plain);
    if (depth < 0) return bad("has a closing parenthesis too many", "one entry a line is best");
    if (this.#open.length + plain.length > ENTRY_CHARACTERS_MAX) {
      this.#open = "";
      this.#depth = 0;
      return bad(`entry is longer than ${ENTRY_CHARACTERS_MAX} characters`, "is a parenthesis never closed?");
    }
    this.#depth = depth;
    if (this.#open === "" && depth === 0) {
      const usual = this.#usual(plain);
      if (usual !== undefined) return usual;
    }
    this.#open = this.#open === "" ? plain : `${this.#open} ${plain}`;
    if (depth > 0) return NOTHING;
    const entry = this.#open;
    this.#open = "";
    return entry.trim() === "" ? NOTHING : this.#entry(entry);
  }

  /** What is wrong with the end of the file. */
  finish(): LineOutcome | undefined {
    return this.#depth > 0 ? bad("the file ends inside parentheses", "is it whole?") : undefined;
  }

  #entry(entry: string): LineOutcome {
    if (entry.startsWith("$")) return this.#directive(entry);
    const isIndented = entry.startsWith(" ") || entry.startsWith("\t");
    const text = isIndented ? `${this.#owner.toString()} ${entry}` : entry;
    const record = tryParseRecord(text, { origin: this.#origin, ttl: this.#ttl });
    if (!record.ok) return bad(record.problem, "an entry is NAME [TTL] CNAME . or another record");
    this.#owner = record.value.owner;
    return this.#record(record.value);
  }

  /** `NAME [TTL] CNAME .` and its like, of which lists consist: the same as all other entries, ten times as fast. */
  #usual(text: string): LineOutcome | undefined {
    const [, owner, ttl, target] = USUAL.exec(text) ?? [];
    if (owner === undefined || target === undefined) return undefined;
    const name = tryParseName(owner, this.#origin);
    if (!name.ok) return undefined;
    this.#owner = name.value;
    if (name.value.equals(this.#apex)) return undefined;
    const trigger = this.#nameOf(name.value);
    if (!(trigger instanceof Name)) return trigger;
    const isBelow = isWildcard(trigger);
    const seconds = ttl === undefined ? this.#ttl : Math.min(Number(ttl), TTL_SECONDS_MAX);
    return this.#special(isBelow ? trigger.parent() : trigger, isBelow, TARGETS[target] ?? "", seconds);
  }

  #directive(entry: string): LineOutcome {
    const [directive = "", argument = ""] = entry.trim().split(/\s+/);
    if (directive.toUpperCase() === "$TTL") {
      const ttl = tryParseTtl(argument);
      if (!ttl.ok) return bad(ttl.problem, "write seconds, or 1h");
      this.#ttl = ttl.value;
      this.#hasTtl = true;
      return NOTHING;
    }
    if (directive.toUpperCase() !== "$ORIGIN")
      return bad(`${directive} cannot be used here`, "write entries out");
    const origin = tryParseName(argument, this.#origin);
    if (!origin.ok) return bad(origin.problem, "write $ORIGIN NAME.");
    this.#origin = origin.value;
    return NOTHING;
  }

  #record(record: ResourceRecord): LineOutcome {
    const { owner, type } = record;
    if (type === RRType.SOA) {
      this.#apex = owner;
      // As BIND has it. The minimum is the last field (RFC 2308 §4).
      if (!this.#hasTtl)
        this.#ttl = Math.min(uint32At(record.rdata, record.rdata.length - 4), TTL_SECONDS_MAX);
      return NOTHING;
    }
    if (NOT_POLICY.has(type) || (owner.equals(this.#apex) && !owner.isRoot)) return NOTHING;
    const trigger = this.#nameOf(owner);
    if (!(trigger instanceof Name)) return trigger;
    const isBelow = isWildcard(trigger);
    const name = isBelow ? trigger.parent() : trigger;
    return type === RRType.CNAME
      ? this.#alias(name, isBelow, record)
      : this.#localData(name, isBelow, record);
  }

  /** The name that an entry is about, or why it is about none. */
  #nameOf(owner: Name): Name | LineOutcome {
    const trigger = this.#triggerOf(owner);
    if (trigger === undefined)
      return bad(`${owner.toString()} is outside of the zone`, "is $ORIGIN missing?");
    if (hasKind(trigger)) {
      const kind = trigger.suffix(1).toString().slice(0, -1);
      return {
        kind: "unsupported",
        what: `triggers of kind ${kind} are not done`,
        hint: "only query names are",
      };
    }
    return isWildcard(trigger) && trigger.labelCount === 1
      ? bad("a policy for all names is no entry of a list", "write a rule")
      : trigger;
  }

  /** The name below the zone's. */
  #triggerOf(owner: Name): Name | undefined {
    if (!owner.isBelow(this.#apex)) return undefined;
    const wire = owner.wire.slice(0, owner.wire.length - this.#apex.wire.length + 1);
    wire[wire.length - 1] = 0;
    return new Name(wire);
  }

  #alias(name: Name, isBelow: boolean, record: ResourceRecord): LineOutcome {
    const target = new Name(record.rdata);
    const special = this.#special(name, isBelow, target.key, record.ttl);
    if (special !== undefined) return special;
    // How the first version of the draft wrote passthru.
    if (target.equals(name)) return this.#put(name, isBelow, PASS);
    if (!isWildcard(target)) return this.#localData(name, isBelow, record);
    const empty = templateOf([], Rcode.NoError, record.ttl);
    if (!empty.ok) return bad(empty.problem, "name the target");
    if (this.#localRecords >= LOCAL_RECORDS_MAX) return TOO_MUCH_DATA;
    const below = { name: target.parent(), ttl: record.ttl };
    const known = this.#policies.length;
    const policy = { kind: "answer", answer: { ...empty.value, below } } as const;
    const number = this.#once(`below ${below.name.key}`, String(record.ttl), policy);
    this.#localRecords += this.#policies.length - known;
    return this.#put(name, isBelow, number);
  }

  /** What a special target says, given as its key; undefined for all others. */
  #special(name: Name, isBelow: boolean, target: string, ttl: number): LineOutcome | undefined {
    switch (target) {
      case KEYS.root:
        return this.#put(name, isBelow, this.#empty("nxdomain", Rcode.NXDomain, ttl));
      case KEYS.wildcard:
        return this.#put(name, isBelow, this.#empty("nodata", Rcode.NoError, ttl));
      case KEYS.drop:
        return this.#put(name, isBelow, this.#once("drop", "", { kind: "drop" }));
      case KEYS.tcpOnly:
        return this.#put(name, isBelow, this.#once("truncate", "", { kind: "truncate" }));
      case KEYS.passthru:
        return this.#put(name, isBelow, PASS);
      default:
        return undefined;
    }
  }

  #empty(kind: string, rcode: Rcode, ttl: number): number {
    const known = this.#shared.get(`${kind} ${ttl}`);
    if (known !== undefined) return known;
    const template = templateOf([], rcode, ttl);
    return template.ok ? this.#once(kind, String(ttl), { kind: "answer", answer: template.value }) : 0;
  }

  /** The number of a policy that many names share. */
  #once(kind: string, ttl: string, policy: ListPolicy): number {
    const key = `${kind} ${ttl}`;
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    // A zone with so many different TTLs gets the last of them for what it says.
    const latest = this.#latest.get(kind);
    if (latest !== undefined && this.#shared.size >= SHARED_MAX) return latest;
    const number = this.#policies.push(policy) - 1;
    this.#shared.set(key, number);
    this.#latest.set(kind, number);
    return number;
  }

  /** Records of one name come one after the other, and are one answer. */
  #localData(name: Name, isBelow: boolean, record: ResourceRecord): LineOutcome {
    if (this.#localRecords >= LOCAL_RECORDS_MAX) return TOO_MUCH_DATA;
    const key = `${isBelow ? "*" : ""}${name.key}`;
    const known = this.#local.get(key);
    const records = [...(known?.records ?? []), { ...record, owner: Name.root }];
    const template = templateOf(records, Rcode.NoError, record.ttl);
    if (!template.ok) return bad(template.problem, "leave out one of them");
    const number = known?.number ?? this.#policies.length;
    if (known === undefined) {
      const outcome = this.#put(name, isBelow, number);
      if (outcome.kind !== "names" || outcome.repeated > 0) return outcome;
    }
    this.#policies[number] = { kind: "answer", answer: template.value };
    this.#local.set(key, { number, records });
    this.#localRecords++;
    return ADDED;
  }

  #put(name: Name, isBelow: boolean, number: number): LineOutcome {
    const addition = this.#names.add(name.wire, 0, name.wire.length, isBelow ? "below" : "exact", number);
    if (addition === "full")
      return bad("there is no room for more names", "split the list, or leave some out");
    return { kind: "names", repeated: addition === "known" ? 1 : 0 };
  }
}

function isWildcard({ wire }: Name): boolean {
  return wire[0] === 1 && wire[1] === STAR;
}

/** True when the last label begins with `rpz-`: it says what the rest of the name is, which is no name then. */
function hasKind({ wire }: Name): boolean {
  let last = 0;
  for (let at = 0; wire[at] !== 0 && at < wire.length; at += (wire[at] ?? 0) + 1) last = at;
  for (let i = 0; i < KIND.length; i++)
    if (lowerOctet(wire[last + 1 + i] ?? 0) !== KIND.charCodeAt(i)) return false;
  return (wire[last] ?? 0) > KIND.length;
}

/** Undefined when an octet is neither printable ASCII nor a blank. */
function textOf(octets: Uint8Array, start: number, end: number): string | undefined {
  for (let i = start; i < end; i++) {
    const octet = octets[i] ?? 0;
    if ((octet < 0x20 && octet !== 0x09) || octet > 0x7e) return undefined;
  }
  return Buffer.from(octets.buffer, octets.byteOffset + start, end - start).toString("latin1");
}

/** What stands before a semicolon that is not in quotes and not escaped. */
function withoutComment(text: string): string {
  if (!text.includes(";")) return text;
  let isQuoted = false;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === '"') isQuoted = !isQuoted;
    else if (text[i] === ";" && !isQuoted) return text.slice(0, i);
  }
  return text;
}

/** Opening minus closing parentheses that are neither in quotes nor escaped. */
function depthOf(text: string): number {
  if (!text.includes("(") && !text.includes(")")) return 0;
  let depth = 0;
  let isQuoted = false;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === '"') isQuoted = !isQuoted;
    else if (!isQuoted && text[i] === "(") depth++;
    else if (!isQuoted && text[i] === ")") depth--;
  }
  return depth;
}

function bad(what: string, hint: string): LineOutcome {
  return { kind: "bad", what, hint };
}

/** What a zone has at its top and beside its names, and what no policy consists of. */
const NOT_POLICY: ReadonlySet<number> = new Set([
  RRType.NS,
  RRType.DNAME,
  RRType.RRSIG,
  RRType.NSEC,
  RRType.NSEC3,
  RRType.NSEC3PARAM,
  RRType.DNSKEY,
  RRType.DS,
  RRType.ZONEMD,
]);
/** Lower-case wire form of the special targets. */
const KEYS = {
  root: "\0",
  wildcard: "\x01*\0",
  drop: "\x08rpz-drop\0",
  tcpOnly: "\x0crpz-tcp-only\0",
  passthru: "\x0crpz-passthru\0",
} as const;
/** The same as text. */
const TARGETS: Readonly<Record<string, string>> = {
  ".": KEYS.root,
  "*.": KEYS.wildcard,
  "rpz-drop.": KEYS.drop,
  "rpz-tcp-only.": KEYS.tcpOnly,
  "rpz-passthru.": KEYS.passthru,
};
const USUAL =
  /^([A-Za-z0-9*_-][A-Za-z0-9._*-]*)\s+(?:([0-9]{1,9})\s+)?(?:IN\s+)?CNAME\s+(\.|\*\.|rpz-drop\.|rpz-tcp-only\.|rpz-passthru\.)\s*$/;
const KIND = "rpz-";
/** For entries without one before any SOA or $TTL, seconds: as for names that are only listed. */
const TTL_SECONDS_DEFAULT = 60;
/** RFC 2181 §8. */
const TTL_SECONDS_MAX = 0x7fff_ffff;
const NOTHING: LineOutcome = { kind: "nothing" };
const ADDED: LineOutcome = { kind: "names", repeated: 0 };
const STAR = 0x2a;
/** An entry in parentheses, such as a SOA. */
const ENTRY_CHARACTERS_MAX = 16_384;
/** They are kept as values, not in typed arrays. */
const LOCAL_RECORDS_MAX = 100_000;
const TOO_MUCH_DATA = bad(
  `there are more than ${LOCAL_RECORDS_MAX} records of local data`,
  "serve them as a zone",
);
const SHARED_MAX = 1000;
