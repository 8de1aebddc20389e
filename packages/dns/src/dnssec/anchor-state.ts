/**
 * The state of trust points as text, to be kept over restarts: a line for each zone and each key, readable, with the version
 * first and a count last, so that a file that was cut short is not taken for a whole one. Moments are `YYYYMMDDHHmmSS`, UTC.
 */
import {
  type Name,
  type Parsed,
  parsed,
  problem,
  RRType,
  rdataToText,
  timestampToText,
  tryParseName,
  tryParseRecord,
} from "@sotto/dns/wire";
import { Dnskey } from "./key.ts";
import { FOLLOWED_KEYS_MAX } from "./key-rollover.ts";
import { type FollowedKey, identityOf, KEY_STATES, type QueryTimes, type TrustPoint } from "./trust-point.ts";

/** The text of the state file. What is configured is not in it: it comes from the configuration at each start. */
export function anchorStateToText(points: readonly TrustPoint[]): string {
  const lines = [
    FIRST_LINE,
    "; Keys of trust points as RFC 5011 follows them. Written by the resolver; stop it before changing anything here.",
    "; Without this file everything begins again with the configured trust anchors.",
  ];
  for (const { zone, keys, times } of points) {
    lines.push(`zone ${zone} ${timesToText(times)}`);
    for (const followed of keys) lines.push(`key ${zone} ${keyToText(followed)}`);
  }
  const keyCount = points.reduce((count, { keys }) => count + keys.length, 0);
  lines.push(`end zones=${points.length} keys=${keyCount}`);
  return `${lines.join("\n")}\n`;
}

function timesToText(times: QueryTimes): string {
  const { askedSeconds, validatedSeconds, nextSeconds, failures, intervalSeconds, retrySeconds } = times;
  const asked = `asked=${momentToText(askedSeconds)} validated=${momentToText(validatedSeconds)}`;
  return `${asked} next=${momentToText(nextSeconds)} failures=${failures} interval=${intervalSeconds} retry=${retrySeconds}`;
}

function keyToText({ key, state, sinceSeconds, untilSeconds, vouchedBy }: FollowedKey): string {
  const pending =
    untilSeconds === undefined
      ? ""
      : ` until=${momentToText(untilSeconds)} by=${(vouchedBy ?? []).join(",")}`;
  const rdata = rdataToText(RRType.DNSKEY, key.rdata);
  return `state=${state} since=${momentToText(sinceSeconds)}${pending} DNSKEY ${rdata} ; ${key.tag}`;
}

function momentToText(seconds: number | undefined): string {
  return seconds === undefined ? "never" : timestampToText(seconds);
}

/** Reads the state file; a problem names the line. The points have nothing configured yet. */
export function tryReadAnchorState(text: string): Parsed<TrustPoint[]> {
  if (text.length > STATE_CHARACTERS_MAX) return problem(`is longer than ${STATE_CHARACTERS_MAX} characters`);
  const reader = new StateReader();
  for (const [i, line] of text.split("\n").entries()) {
    const wrong = reader.take(line.replace(/(?:^|\s);.*$/, "").trim(), i === 0);
    if (wrong !== undefined) return problem(`line ${i + 1}: ${wrong}`);
  }
  return reader.isEnded ? parsed(reader.points) : problem("the last line is missing: the file is cut short");
}

class StateReader {
  readonly #points = new Map<string, { zone: Name; keys: FollowedKey[]; times: QueryTimes }>();
  #keyCount = 0;
  isEnded = false;

  get points(): TrustPoint[] {
    return Array.from(this.#points.values(), ({ zone, keys, times }) => ({
      zone,
      keys,
      times,
      configured: { zone, ds: [], keys: [] },
    }));
  }

  /** Takes a line; the result is what is wrong with it. */
  take(line: string, isFirst: boolean): string | undefined {
    if (isFirst) {
      if (line === FIRST_LINE) return undefined;
      return `${JSON.stringify(line.slice(0, 40))} is not ${JSON.stringify(FIRST_LINE)}: another file, or another version`;
    }
    if (line === "") return undefined;
    if (this.isEnded) return "something follows the end";
    const [word = "", ...rest] = line.split(/\s+/);
    switch (word) {
      case "zone":
        return this.#takeZone(rest);
      case "key":
        return this.#takeKey(rest);
      case "end":
        return this.#takeEnd(rest);
      default:
        return `${JSON.stringify(word.slice(0, 20))} is not zone, key or end`;
    }
  }

  #takeZone([nameText = "", ...words]: string[]): string | undefined {
    const zone = tryParseName(nameText);
    if (!zone.ok) return zone.problem;
    if (this.#points.has(zone.value.key)) return `${zone.value} stands there twice`;
    if (this.#points.size >= ZONES_MAX) return `more than ${ZONES_MAX} zones`;
    const times = tryReadTimes(words);
    if (!times.ok) return times.problem;
    this.#points.set(zone.value.key, { zone: zone.value, keys: [], times: times.value });
    return undefined;
  }

  #takeKey([nameText = "", ...words]: string[]): string | undefined {
    const zone = tryParseName(nameText);
    if (!zone.ok) return zone.problem;
    const point = this.#points.get(zone.value.key);
    if (point === undefined) return `no line for the zone ${zone.value} before its key`;
    const followed = tryReadKey(words);
    if (!followed.ok) return followed.problem;
    const identity = identityOf(followed.value.key);
    if (point.keys.some(({ key }) => identityOf(key) === identity)) return "the key stands there twice";
    if (point.keys.length >= KEYS_PER_ZONE_MAX) return `more than ${KEYS_PER_ZONE_MAX} keys of ${zone.value}`;
    point.keys.push(followed.value);
    this.#keyCount++;
    return undefined;
  }

  #takeEnd(words: string[]): string | undefined {
    const told = words.join(" ");
    const found = `zones=${this.#points.size} keys=${this.#keyCount}`;
    this.isEnded = true;
    return told === found ? undefined : `the end tells of ${told}, but there are ${found}`;
  }
}

function tryReadTimes(words: readonly string[]): Parsed<QueryTimes> {
  const fields = new Fields(words);
  const times = {
    askedSeconds: fields.moment("asked"),
    validatedSeconds: fields.moment("validated"),
    nextSeconds: fields.moment("next"),
    failures: fields.number("failures"),
    intervalSeconds: fields.number("interval"),
    retrySeconds: fields.number("retry"),
  };
  const wrong = fields.done();
  return wrong === undefined ? parsed(times) : problem(wrong);
}

function tryReadKey(words: readonly string[]): Parsed<FollowedKey> {
  const at = words.indexOf("DNSKEY");
  if (at < 0) return problem("a key line has no DNSKEY");
  const fields = new Fields(words.slice(0, at));
  const stateText = fields.text("state");
  const state = KEY_STATES.find((known) => known === stateText);
  const sinceSeconds = fields.moment("since");
  const isPending = state === "add-pending";
  const untilSeconds = isPending ? fields.moment("until") : undefined;
  const by = isPending ? fields.text("by") : "";
  const wrong = fields.done();
  if (wrong !== undefined) return problem(wrong);
  if (state === undefined) return problem(`${JSON.stringify(stateText)} is not ${KEY_STATES.join(", ")}`);
  if (sinceSeconds === undefined) return problem("since is never");
  const record = tryParseRecord(`. 0 IN ${words.slice(at).join(" ")}`);
  if (!record.ok) return record;
  const key = new Dnskey(record.value.rdata);
  if (key.isRevoked) return problem(`key ${key.tag} has the REVOKE bit: its state tells that instead`);
  if (!isPending) return parsed({ key, state, sinceSeconds });
  if (untilSeconds === undefined) return problem("until is never");
  return parsed({ key, state, sinceSeconds, untilSeconds, vouchedBy: by.split(",") });
}

/** Words like `NAME=VALUE`; the first thing wrong is kept. */
class Fields {
  readonly #values = new Map<string, string>();
  #problem: string | undefined = undefined;

  constructor(words: readonly string[]) {
    for (const word of words) {
      const at = word.indexOf("=");
      const name = word.slice(0, Math.max(0, at));
      if (at < 1 || this.#values.has(name))
        this.#problem ??= `${JSON.stringify(word)} is not a field, or not the first`;
      this.#values.set(name, word.slice(at + 1));
    }
  }

  text(name: string): string {
    const value = this.#values.get(name);
    if (value === undefined) this.#problem ??= `${name} is missing`;
    this.#values.delete(name);
    return value ?? "";
  }

  number(name: string): number {
    const text = this.text(name);
    if (!/^[0-9]{1,9}$/.test(text)) this.#problem ??= `${name} is not a number`;
    return Number(text);
  }

  moment(name: string): number | undefined {
    const text = this.text(name);
    if (text === "never") return undefined;
    const [year = 0, month = 0, ...rest] =
      /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text)?.slice(1).map(Number) ?? [];
    const seconds = Date.UTC(year, month - 1, ...rest) / 1000;
    if (year < 1970 || timestampToText(seconds) !== text) this.#problem ??= `${name} is not a moment`;
    return seconds;
  }

  /** What was wrong, or is left over. */
  done(): string | undefined {
    const [more] = this.#values.keys();
    if (more !== undefined) this.#problem ??= `${more} is not known here`;
    return this.#problem;
  }
}

const FIRST_LINE = "sotto trust anchor state, version 1";
/** Far more than anybody configures. */
const ZONES_MAX = 1000;
/** Followed and removed ones. */
const KEYS_PER_ZONE_MAX = 2 * FOLLOWED_KEYS_MAX;
const STATE_CHARACTERS_MAX = 16 * 1024 * 1024;
