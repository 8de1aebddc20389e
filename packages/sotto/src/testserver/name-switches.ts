/**
 * Behaviours that a client asks for by the name of its question: labels under `test.` such as `delay-300`, `size-4000` or
 * `wrong-id`. Several add up; labels that mean nothing make names unique, and those behind the first eight mean nothing.
 */
import { type Name, parseName } from "@sotto/dns/wire";
import type { Behaviour, ReplyBehaviour } from "./behaviour.ts";
import type { Fixture } from "./fixture.ts";

/** The zone whose names switch behaviours. RFC 6761 §6.2 reserves it for testing. */
export const SWITCH_ZONE: Name = parseName("test.");

/** Longest delay that a label can ask for, milliseconds. */
const DELAY_MS_MAX = 60_000;
/** A name has at most 127 labels, and each that is looked at costs time. */
const LABELS_MAX = 8;

/** What one word means, undefined when it means nothing. */
export function behaviourOfWord(
  word: string,
  fixtureOf: (name: string) => Fixture | undefined,
): ReplyBehaviour | undefined {
  const fixture = fixtureOf(word);
  if (fixture?.switchedBy.includes("name") === true && fixture.behaviour.reply !== undefined)
    return fixture.behaviour.reply;
  const [, kind = "", digits = ""] = NUMBERED.exec(word) ?? [];
  const number = Number(digits);
  switch (kind) {
    case "d":
    case "delay":
      return { delayMs: Math.min(number, DELAY_MS_MAX) };
    case "s":
    case "size":
      return { octets: Math.min(number, 65_535) };
    case "rcode":
      return { rcode: Math.min(number, 15) };
    case "keepalive":
      return { keepalive: { values: [Math.min(number, 65_535)] } };
    default:
      return undefined;
  }
}

/** What the labels of a qname ask for; nothing when it is not below {@link SWITCH_ZONE}. */
export function behaviourOfName(qname: Name, fixtureOf: (name: string) => Fixture | undefined): Behaviour {
  if (!qname.isBelow(SWITCH_ZONE)) return {};
  const words = qname
    .labels()
    .slice(0, -1)
    .slice(0, LABELS_MAX)
    .map((label) => String.fromCharCode(...label).toLowerCase());
  const delay = delayByGetdnsName(words);
  const found = words.map((word) => behaviourOfWord(word, fixtureOf)).filter((one) => one !== undefined);
  return { reply: Object.assign({}, ...found, delay) as ReplyBehaviour };
}

/** getdns_server_mon asks for `400.n1234.delay.…`: milliseconds, chance, and a label of its own. */
function delayByGetdnsName(words: readonly string[]): ReplyBehaviour {
  const [first = ""] = words;
  if (!words.includes("delay") || !/^[0-9]{1,5}$/.test(first)) return {};
  return { delayMs: Math.min(Number(first), DELAY_MS_MAX) };
}

const NUMBERED = /^(d|delay|s|size|rcode|keepalive)-?([0-9]{1,5})(?:-.*)?$/;
