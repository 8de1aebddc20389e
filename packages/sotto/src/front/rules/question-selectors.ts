/** Selectors about what is asked. */
import {
  HEADER_OCTETS,
  type MessageView,
  opcodeToText,
  parseName,
  rrClassToText,
  rrTypeToText,
} from "@sotto/dns/wire";
import { type ListPolicy, PASS } from "./list-policy.ts";
import type { LoadedNames } from "./name-list.ts";
import { NameSet } from "./name-set.ts";
import type { EdnsSelector, NamesSelector, Selector } from "./rule.ts";
import type { SetPlace } from "./rule-sets.ts";
import { compared, type Matcher, oneOf, type SelectorContext } from "./selector.ts";
import type { Walk } from "./walk.ts";

/** Throws a RangeError for names and sets that are none. */
export function namesMatcher(selector: NamesSelector, context: SelectorContext): Matcher {
  const own = new NameSet(context.runtime.random);
  for (const text of selector.exact) put(own, text, "exact");
  for (const text of selector.suffixes) put(own, text, "suffix");
  return new NamesMatcher(
    own,
    selector.sets.map((name) => context.sets.names(name)),
    context.wantsPolicy,
    oneOf([...selector.exact, ...selector.suffixes.map((name) => `*.${name}`), ...selector.sets]),
  );
}

function put(names: NameSet, text: string, reach: "exact" | "suffix"): void {
  const { wire } = parseName(text);
  names.add(wire, 0, wire.length, reach);
}

class NamesMatcher implements Matcher {
  readonly #own: NameSet;
  readonly #places: readonly SetPlace<LoadedNames>[];
  readonly #wantsPolicy: boolean;
  readonly #wanted: string;

  constructor(own: NameSet, places: readonly SetPlace<LoadedNames>[], wantsPolicy: boolean, wanted: string) {
    this.#own = own;
    this.#places = places;
    this.#wantsPolicy = wantsPolicy;
    this.#wanted = wanted;
  }

  holds(walk: Walk): boolean {
    const { octets, questionCount } = walk.view;
    if (questionCount === 0) return false;
    if (this.#own.size > 0 && this.#own.find(octets, HEADER_OCTETS) !== 0) {
      this.#note(walk, LISTED, "the rule itself");
      return true;
    }
    for (const place of this.#places) {
      const { names, policies } = place.loaded;
      const number = names.find(octets, HEADER_OCTETS);
      // An exception of a list is of use only to who does what the list says.
      if (number === 0 || (number === PASS && !this.#wantsPolicy)) continue;
      this.#note(walk, policies[number] ?? LISTED, place.name);
      return true;
    }
    return false;
  }

  #note(walk: Walk, policy: ListPolicy, list: string): void {
    walk.policy = policy;
    walk.list = list;
  }

  words(walk: Walk, isHeld: boolean): string {
    const name = walk.view.qname.toString();
    if (!isHeld) return `name ${name} is not in ${this.#wanted}`;
    const policy = walk.policy.kind === "listed" ? "" : ` (${walk.policy.kind})`;
    return `name ${name} is in ${walk.list}${policy}`;
  }
}

const LISTED: ListPolicy = { kind: "listed" };

export function qtypeMatcher({ types }: Extract<Selector, { kind: "qtype" }>): Matcher {
  return {
    holds: ({ view }) => types.includes(view.qtype),
    words: ({ view }, isHeld) =>
      compared("type", rrTypeToText(view.qtype), oneOf(types.map(rrTypeToText)), isHeld),
  };
}

export function qclassMatcher({ classes }: Extract<Selector, { kind: "qclass" }>): Matcher {
  return {
    holds: ({ view }) => classes.includes(view.qclass),
    words: ({ view }, isHeld) =>
      compared("class", rrClassToText(view.qclass), oneOf(classes.map(rrClassToText)), isHeld),
  };
}

/** Others than QUERY are answered NOTIMP before any rule is asked. */
export function opcodeMatcher({ opcodes }: Extract<Selector, { kind: "opcode" }>): Matcher {
  return {
    holds: ({ view }) => opcodes.includes(view.opcode),
    words: ({ view }, isHeld) =>
      compared("opcode", opcodeToText(view.opcode), oneOf(opcodes.map(opcodeToText)), isHeld),
  };
}

export function flagsMatcher(wanted: Extract<Selector, { kind: "flags" }>): Matcher {
  const flags: readonly (readonly [string, boolean | undefined, (view: MessageView) => boolean])[] = [
    ["RD", wanted.recursionDesired, (view) => view.recursionDesired],
    ["CD", wanted.checkingDisabled, (view) => view.checkingDisabled],
    ["AD", wanted.authenticData, (view) => view.authenticData],
    ["DO", wanted.dnssecOk, (view) => view.dnssecOk],
  ];
  const asked = flags.filter(([, value]) => value !== undefined);
  return {
    holds: ({ view }) => {
      for (const [, value, read] of asked) if (read(view) !== value) return false;
      return true;
    },
    words: ({ view }, isHeld) => {
      const found = asked.map(([name, , read]) => `${name}=${Number(read(view))}`).join(" ");
      const want = asked.map(([name, value]) => `${name}=${Number(value)}`).join(" ");
      return compared("flags", found, want, isHeld);
    },
  };
}

export function ednsMatcher(selector: EdnsSelector): Matcher {
  const { isPresent, options, payloadAtLeast, payloadAtMost } = selector;
  return {
    holds: ({ view }) => {
      if (isPresent !== undefined && view.hasEdns !== isPresent) return false;
      const payload = view.udpPayloadOctets;
      if (payload < payloadAtLeast || payload > payloadAtMost) return false;
      if (options.length === 0) return true;
      for (const code of options) if (view.optionOffset(code) >= 0) return true;
      return false;
    },
    words: ({ view }, isHeld) => {
      const codes = view.options().map(({ code }) => code);
      const found = view.hasEdns
        ? `EDNS, payload ${view.udpPayloadOctets}, options ${codes.join(" ") || "none"}`
        : "no EDNS";
      if (isHeld) return `the query has ${found}`;
      const wanted = [
        ...(isPresent === undefined ? [] : [isPresent ? "EDNS" : "no EDNS"]),
        ...(options.length > 0 ? [`option ${oneOf(options.map(String))}`] : []),
        ...(payloadAtLeast > 0 || payloadAtMost < 0xffff
          ? [`payload ${payloadAtLeast} to ${payloadAtMost}`]
          : []),
      ];
      return `the query has ${found}, wanted ${wanted.join(", ")}`;
    },
  };
}

export function nameOctetsMatcher(selector: Extract<Selector, { kind: "name-octets" }>): Matcher {
  return between("name length", (view) => view.qnameOctets - 1, selector);
}

export function nameLabelsMatcher(selector: Extract<Selector, { kind: "name-labels" }>): Matcher {
  return between("number of labels", labelCount, selector);
}

function between(
  what: string,
  read: (view: MessageView) => number,
  { atLeast, atMost }: { readonly atLeast: number; readonly atMost: number },
): Matcher {
  return {
    holds: ({ view }) => {
      const value = read(view);
      return value >= atLeast && value <= atMost;
    },
    words: ({ view }, isHeld) => compared(what, String(read(view)), `${atLeast} to ${atMost}`, isHeld),
  };
}

function labelCount({ octets, questionCount }: MessageView): number {
  if (questionCount === 0) return 0;
  let count = 0;
  let at = HEADER_OCTETS;
  for (let length = octets[at] ?? 0; length !== 0; length = octets[at] ?? 0) {
    count++;
    at += length + 1;
  }
  return count;
}
