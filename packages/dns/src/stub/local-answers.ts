/**
 * What is answered without asking anybody: loopback names (RFC 6761 §6.3), `invalid` (§6.4), `onion` (RFC 7686
 * §2) and the hosts file.
 */
import {
  addressToText,
  type Message,
  makeMessage,
  type Name,
  parseName,
  Rcode,
  type ResourceRecord,
  RRClass,
  RRType,
  tryParseAddress,
  tryParseName,
} from "@sotto/dns/wire";
import type { Hosts } from "./hosts-file.ts";

const LOCALHOST = parseName("localhost.");
const INVALID = parseName("invalid.");
const ONION = parseName("onion.");

/** The message that answers a question here; undefined for what upstreams are asked. */
export function localAnswer(name: Name, type: RRType, hosts: Hosts): Message | undefined {
  if (name.isAtOrBelow(INVALID) || name.isAtOrBelow(ONION)) return messageOf(name, type, [], Rcode.NXDomain);
  const pointers = type === RRType.PTR ? hosts.names.get(addressOf(name) ?? "") : undefined;
  if (pointers !== undefined)
    return messageOf(
      name,
      type,
      pointers.flatMap((target) => pointer(name, target)),
    );
  const known = addressesOf(name, hosts) ?? (name.isAtOrBelow(LOCALHOST) ? LOOPBACK : undefined);
  // Other types of such a name do not exist: what is local is not for others to tell about.
  if (known === undefined) return undefined;
  return messageOf(
    name,
    type,
    known.flatMap((address) => addressRecord(name, type, address)),
  );
}

function addressesOf(name: Name, { addresses }: Hosts): readonly string[] | undefined {
  if (addresses.size === 0) return undefined;
  return addresses.get(name.toString().replace(/\.$/, "").toLowerCase());
}

function messageOf(
  name: Name,
  type: RRType,
  answers: readonly ResourceRecord[],
  rcode: Rcode = Rcode.NoError,
): Message {
  return makeMessage({
    isResponse: true,
    recursionDesired: true,
    recursionAvailable: true,
    rcode,
    questions: [{ name, type, class: RRClass.IN }],
    answers,
  });
}

function addressRecord(owner: Name, type: RRType, address: string): ResourceRecord[] {
  const octets = tryParseAddress(address);
  const isWanted = octets.ok && (octets.value.length === 4 ? RRType.A : RRType.AAAA) === type;
  return isWanted ? [{ owner, type, class: RRClass.IN, ttl: 0, rdata: octets.value }] : [];
}

function pointer(owner: Name, target: string): ResourceRecord[] {
  const name = tryParseName(target);
  return name.ok ? [{ owner, type: RRType.PTR, class: RRClass.IN, ttl: 0, rdata: name.value.wire }] : [];
}

/** The address that a reverse name stands for (RFC 1035 §3.5, RFC 3596 §2.5); undefined for other names. */
function addressOf(name: Name): string | undefined {
  const labels = name.toString().toLowerCase().split(".").slice(0, -1);
  const [arpa, zone] = [labels.pop(), labels.pop()];
  if (arpa !== "arpa") return undefined;
  if (zone === "in-addr" && labels.length === 4) return canonical(labels.reverse().join("."));
  if (zone !== "ip6" || labels.length !== 32) return undefined;
  return canonical((labels.reverse().join("").match(/.{4}/g) ?? []).join(":"));
}

function canonical(text: string): string | undefined {
  const octets = tryParseAddress(text);
  return octets.ok ? addressToText(octets.value) : undefined;
}

const LOOPBACK: readonly string[] = ["127.0.0.1", "::1"];
