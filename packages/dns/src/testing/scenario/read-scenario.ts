/** Reads `.rpl` files. What cannot be read is a problem with its line: nothing is skipped silently. */
import {
  type EdnsOption,
  type Parsed,
  parsed,
  problem,
  type Question,
  type ResourceRecord,
  RRClass,
  rrClassFromText,
  rrTypeFromText,
  tryParseName,
  tryParseRecord,
  tryReadOptions,
} from "@sotto/dns/wire";
import type { ServedZone } from "../fake-internet/authority.ts";
import type { Scenario, ScenarioEntry, ScenarioRange, ScenarioSetting, ScenarioStep } from "./scenario.ts";
import { ScenarioZones } from "./scenario-zones.ts";

/** Reads a whole file. `signedAtSeconds`: when its zones are signed, seconds since 1970; default: when virtual time begins. */
export function tryReadScenario(text: string, signedAtSeconds = VIRTUAL_START_SECONDS): Parsed<Scenario> {
  try {
    return parsed(new ScenarioReader(text, signedAtSeconds).read());
  } catch (error) {
    if (error instanceof ScenarioProblem) return problem(error.message);
    throw error;
  }
}

/** Thrown inside this file only. */
class ScenarioProblem extends Error {}

class ScenarioReader {
  readonly #lines: readonly string[];
  readonly #zones: ScenarioZones;
  /** What can be done only when all zones are known. */
  readonly #later: (() => void)[] = [];
  readonly #anchorFiles: { readonly zone: string; readonly text: string }[] = [];
  #at = 0;

  constructor(text: string, signedAtSeconds: number) {
    this.#lines = text.split(/\r?\n/);
    this.#zones = new ScenarioZones(signedAtSeconds);
  }

  read(): Scenario {
    const settings = this.#settings();
    let title = "";
    const ranges: ScenarioRange[] = [];
    const steps: ScenarioStep[] = [];
    for (let words = this.#next(); words !== undefined; words = this.#next()) {
      const [first = "", ...rest] = words;
      if (first === "SCENARIO_BEGIN") title = rest.join(" ");
      else if (first === "SCENARIO_END") break;
      else if (first === "RANGE_BEGIN") ranges.push(this.#range(rest));
      // There are files that end a range twice.
      else if (first === "RANGE_END") continue;
      else if (first === "STEP") steps.push(this.#step(rest));
      else this.#fail(`${JSON.stringify(first)} is not expected here`);
    }
    for (const act of this.#later) act();
    const anchorFiles = this.#anchorFiles;
    return { title, settings, ranges, steps, anchors: this.#zones.anchors, anchorFiles };
  }

  #settings(): ScenarioSetting[] {
    const settings: ScenarioSetting[] = [];
    while (this.#at < this.#lines.length) {
      const line = (this.#lines[this.#at++] ?? "").trim();
      if (line === "CONFIG_END") return settings;
      if (line === "" || line.startsWith(";") || line.startsWith("#")) continue;
      const anchored = /^AUTOTRUST_FILE\s+(\S+)$/.exec(line)?.[1];
      if (anchored !== undefined) {
        this.#anchorFiles.push({ zone: anchored, text: this.#linesTo("AUTOTRUST_END") });
        continue;
      }
      const zone = /^((?:stub|forward)-zone):\s*(\S.*)$/.exec(line);
      if (zone !== null && !zone[2]?.startsWith("#")) {
        settings.push({ key: zone[1] ?? "", value: "", line: this.#at });
        for (const [, key = "", quoted, plain = ""] of (zone[2] ?? "").matchAll(PAIR))
          settings.push({ key, value: quoted ?? plain, line: this.#at });
        continue;
      }
      const parts = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line);
      if (parts === null) continue;
      const [, key = "", rest = ""] = parts;
      const quoted = /^"([^"]*)"\s*(?:#.*)?$/.exec(rest) ?? /^'([^']*)'\s*(?:#.*)?$/.exec(rest);
      const value =
        quoted?.[1] ??
        rest
          .replace(/\s#.*$/, "")
          .replace(/^#.*$/, "")
          .trim();
      settings.push({ key, value, line: this.#at });
    }
    return this.#fail("there is no CONFIG_END");
  }

  #range([from = "0", to = "0", ...inline]: readonly string[]): ScenarioRange {
    // Deckard takes the address on the first line, too.
    const addresses = inline
      .slice(0, 1)
      .map((word) => word.replace(/;.*/, ""))
      .filter((word) => /^[0-9a-fA-F:.]+$/.test(word));
    const entries: ScenarioEntry[] = [];
    const zones: ServedZone[] = [];
    for (let words = this.#next(); words !== undefined; words = this.#next()) {
      const [first = "", ...rest] = words;
      if (first === "RANGE_END") return { from: Number(from), to: Number(to), addresses, entries, zones };
      if (first === "ADDRESS") addresses.push(...rest);
      else if (first === "ENTRY_BEGIN") entries.push(this.#entry());
      else if (first === "ZONE_BEGIN") zones.push(this.#zone(rest));
      else if (first === "PENDING") continue;
      else this.#fail(`${JSON.stringify(first)} is not expected in a range`);
    }
    return this.#fail("a range has no end");
  }

  #zone(words: readonly string[]): ServedZone {
    const zone = this.#zones.add(words, this.#linesTo("ZONE_END"));
    return zone.ok ? zone.value : this.#fail(zone.problem);
  }

  /** The lines before one that says only `end`. */
  #linesTo(end: string): string {
    const start = this.#at;
    while (this.#at < this.#lines.length)
      if ((this.#lines[this.#at++] ?? "").trim() === end)
        return this.#lines.slice(start, this.#at - 1).join("\n");
    return this.#fail(`there is no ${end}`);
  }

  #step([number = "", kind = "", ...words]: readonly string[]): ScenarioStep {
    const line = this.#at;
    const isBlock = BLOCKS.has(kind.toUpperCase());
    const text = isBlock ? this.#linesTo("FILE_END") : "";
    let next = this.#peek();
    const more: string[] = [];
    // Some steps have their address or their time on a line of its own.
    while (!isBlock && next !== undefined && STEP_WORDS.has(next[0] ?? "")) {
      more.push(...(this.#next() ?? []));
      next = this.#peek();
    }
    const hasEntry = !isBlock && next?.[0] === "ENTRY_BEGIN";
    if (hasEntry) this.#next();
    const entry = hasEntry ? this.#entry() : undefined;
    return {
      number: Number(number),
      line,
      kind: kind.toUpperCase(),
      words: [...words, ...more],
      entry,
      text,
    };
  }

  #entry(): ScenarioEntry {
    const entry = newEntry(this.#at);
    let section = "";
    for (let words = this.#next(); words !== undefined; words = this.#next()) {
      const [first = "", ...rest] = words;
      if (first === "ENTRY_END") return entry;
      if (first === "MATCH") for (const word of rest) entry.match.add(word.toLowerCase());
      else if (first === "ADJUST") adjust(entry, rest);
      else if (first === "REPLY") for (const word of rest) entry.reply.add(word.toUpperCase());
      else if (first === "SECTION") section = rest[0]?.toUpperCase() ?? "";
      else if (first === "RAW") entry.raw = new Uint8Array(Buffer.from(this.#restOfRaw(rest), "hex"));
      else if (first === "HEX_ANSWER_BEGIN") entry.raw = this.#hex("HEX_ANSWER_END");
      else if (first === "HEX_EDNSDATA_BEGIN") entry.options.push(...this.#options());
      else if (first === "HEX_EDNS") this.#hex("HEX_EDNS_END");
      else this.#content(entry, section, (this.#lines[this.#at - 1] ?? "").trim());
    }
    return this.#fail("an entry has no end");
  }

  #restOfRaw(rest: readonly string[]): string {
    return rest.join("");
  }

  #hex(end: string): Uint8Array {
    let hex = "";
    while (this.#at < this.#lines.length) {
      const line = (this.#lines[this.#at++] ?? "").replace(/;.*/, "").trim();
      if (line === end) break;
      hex += line.replaceAll(/\s/g, "");
    }
    return new Uint8Array(Buffer.from(hex, "hex"));
  }

  #options(): readonly EdnsOption[] {
    const options = tryReadOptions(this.#hex("HEX_EDNSDATA_END"));
    return options.ok ? options.value : this.#fail(options.problem);
  }

  #content(entry: GrowingEntry, section: string, text: string): void {
    if (section === "QUESTION") {
      entry.questions.push(this.#question(text));
      return;
    }
    const list = { ANSWER: entry.answers, AUTHORITY: entry.authorities, ADDITIONAL: entry.additionals }[
      section
    ];
    if (list === undefined) this.#fail(`${JSON.stringify(text)} stands in no section`);
    const signed = SIGNED.exec(text);
    if (signed !== null && list !== undefined) {
      this.#signatures(list, signed[1] ?? "", signed[2] ?? "", signed[3]);
      return;
    }
    const record = readRecord(this.#whole(text));
    if (!record.ok) this.#fail(`${record.problem}: ${text}`);
    else list?.push(record.value);
  }

  /** `NAME SIGNED TYPE [ZONE]` stands for the signatures that a zone of the scenario has over that set (our extension). */
  #signatures(
    list: ResourceRecord[],
    nameText: string,
    typeText: string,
    zoneText: string | undefined,
  ): void {
    const name = tryParseName(nameText);
    const type = rrTypeFromText(typeText);
    const zone = zoneText === undefined ? undefined : tryParseName(zoneText);
    if (!name.ok || type === undefined || zone?.ok === false) {
      this.#fail(`${nameText} ${typeText} cannot be signed`);
    }
    const line = this.#at;
    this.#later.push(() => {
      const records = this.#zones.signatures(name.value, type, zone?.value);
      this.#at = line;
      if (records.length === 0) this.#fail(`no zone has signatures over ${nameText} ${typeText}`);
      list.push(...records);
    });
  }

  /** Records may go over lines in parentheses. */
  #whole(text: string): string {
    let whole = text;
    const open = (part: string): number =>
      (part.replace(/;.*/, "").match(/\(/g)?.length ?? 0) -
      (part.replace(/;.*/, "").match(/\)/g)?.length ?? 0);
    for (let depth = open(text); depth > 0 && this.#at < this.#lines.length; ) {
      const line = this.#lines[this.#at++] ?? "";
      whole += `\n${line}`;
      depth += open(line);
    }
    return whole;
  }

  #question(text: string): Question {
    const [nameText = "", ...rest] = text.split(/\s+/);
    const name = tryParseName(nameText);
    const classes = rest.map(rrClassFromText);
    // ANY is a class and a type: the type stands last.
    const typeText = rest.filter((word) => rrTypeFromText(word) !== undefined).at(-1) ?? "";
    const type = rrTypeFromText(typeText);
    if (!name.ok || type === undefined) return this.#fail(`${JSON.stringify(text)} is not a question`);
    const rrClass = rest.length > 1 ? classes[0] : undefined;
    return { name: name.value, type, class: rrClass ?? RRClass.IN };
  }

  #peek(): readonly string[] | undefined {
    const at = this.#at;
    const words = this.#next();
    this.#at = at;
    return words;
  }

  /** The words of the next line that says something. */
  #next(): readonly string[] | undefined {
    while (this.#at < this.#lines.length) {
      const line = (this.#lines[this.#at++] ?? "").trim();
      if (line === "" || line.startsWith(";") || line.startsWith("#")) continue;
      const words = withoutComment(line).split(/\s+/);
      if (words[0] !== "") return words;
    }
    return undefined;
  }

  #fail(text: string): never {
    throw new ScenarioProblem(`line ${this.#at}: ${text}`);
  }
}

type GrowingEntry = {
  -readonly [Key in keyof ScenarioEntry]: ScenarioEntry[Key] extends ReadonlySet<infer T>
    ? Set<T>
    : ScenarioEntry[Key] extends readonly (infer T)[]
      ? T[]
      : ScenarioEntry[Key];
};

function adjust(entry: GrowingEntry, words: readonly string[]): void {
  for (const word of words.map((each) => each.toLowerCase())) {
    entry.adjust.add(word);
    const seconds = /^(?:packet_)?sleep=(\d+(?:\.\d+)?)$/.exec(word)?.[1];
    if (seconds !== undefined) entry.delayMs = Number(seconds) * 1000;
  }
}

function newEntry(line: number): GrowingEntry {
  return {
    line,
    match: new Set(),
    adjust: new Set(),
    reply: new Set(),
    questions: [],
    answers: [],
    authorities: [],
    additionals: [],
    options: [],
    raw: undefined,
    delayMs: 0,
  };
}

function withoutComment(line: string): string {
  return line.replace(/(?:^|\s);.*$/, "").trim();
}

/** Rdata in generic form is taken as it stands, also of types that are known: it may be malformed on purpose. */
function readRecord(text: string): Parsed<ResourceRecord> {
  const defaults = { ttl: 3600, class: RRClass.IN };
  const [, before = "", typeText = "", rdata = ""] = /^(.*\s)([A-Z0-9]+)(\s+\\#\s.*)$/.exec(text) ?? [];
  const type = rrTypeFromText(typeText);
  if (type === undefined) return tryParseRecord(text, defaults);
  const record = tryParseRecord(`${before}TYPE${PRIVATE_TYPE}${rdata}`, defaults);
  return record.ok ? { ok: true, value: { ...record.value, type } } : record;
}

/** For private use (RFC 6895 §3.1): nothing is known of its rdata. */
const PRIVATE_TYPE = 65_280;
/** Some files have a whole zone on one line. */
const PAIR = /([a-z-]+):\s*(?:"([^"]*)"|(\S+))/g;
const SIGNED = /^(\S+)\s+(?:\d+\s+)?(?:IN\s+)?SIGNED\s+(\S+)(?:\s+(\S+))?$/;
/** 2026-01-01, as in `SimClock`. */
const VIRTUAL_START_SECONDS = 1_767_225_600;
const STEP_WORDS = new Set(["ADDRESS", "ELAPSE", "EVAL"]);
const BLOCKS = new Set(["CHECK_AUTOTRUST", "CHECK_TEMPFILE"]);
