/** The part of `front-rules-load` about `when`: from settings to selectors, with what can never hold. */
import { opcodeFromText, rrClassFromText, rrTypeFromText } from "@sotto/dns/wire";
import { burstOf, checkKnown, type RuleContext, toMasks } from "./front-rule-context.ts";
import {
  type ConditionSettings,
  OPTION_NAMES,
  tryParseTimeOfDay,
  tryParseUtcOffset,
  type WhenSettings,
} from "./front-rules.ts";
import type { SelectorConfig } from "./front-rules-config.ts";
import { known } from "./load-listeners.ts";
import { tryParsePin } from "./setting-types.ts";
import { tryParseMoment } from "./units.ts";

type Path = readonly PropertyKey[];

/** All selectors of a rule; `path` is that of its `when`. */
export function toSelectors(when: WhenSettings, path: Path, context: RuleContext): SelectorConfig[] {
  const { not, any, ...plain } = when;
  const selectors = toPlain(plain, path, context);
  if (not !== undefined) {
    const denied = toPlain(not, [...path, "not"], context);
    if (denied.length === 0)
      context.report([...path, "not"], "has nothing that must not hold, so that it never holds");
    selectors.push({ kind: "not", selectors: denied });
  }
  if (any !== undefined) {
    const choices = any.map((choice, i) => toPlain(choice, [...path, "any", i], context));
    for (const [i, choice] of choices.entries())
      if (choice.length === 0) context.report([...path, "any", i], "is empty, so that all queries are meant");
    selectors.push({ kind: "any", choices });
  }
  return selectors;
}

function toPlain(settings: ConditionSettings, path: Path, context: RuleContext): SelectorConfig[] {
  refuseImpossible(settings, path, context);
  return [
    ...aboutClient(settings, path, context),
    ...aboutQuestion(settings, path, context),
    ...aboutState(settings, path, context),
  ];
}

function aboutClient(settings: ConditionSettings, path: Path, context: RuleContext): SelectorConfig[] {
  const { client, certificate, listener, transport, alpn } = settings;
  const selectors: SelectorConfig[] = [];
  if (client !== undefined) {
    const own = [...path, "client"];
    if (client.prefixes.length + client.sets.length === 0)
      context.report(own, "has neither prefixes nor sets, so that it never holds");
    checkSets(client.sets, [...own, "sets"], "addresses", context);
    selectors.push({ kind: "client", prefixes: client.prefixes, sets: client.sets });
  }
  if (certificate !== undefined)
    selectors.push({
      kind: "certificate",
      names: certificate.names,
      pins: certificate.pins.map((pin) => known(tryParsePin(pin))),
      verdict: certificate.verdict,
    });
  for (const [i, name] of (listener ?? []).entries())
    checkKnown(name, context.listeners, "listener", (message) =>
      context.report([...path, "listener", i], message),
    );
  if (listener !== undefined) selectors.push({ kind: "listener", names: listener });
  if (transport !== undefined) selectors.push({ kind: "transport", transports: transport });
  const versions = settings["tls-version"];
  if (versions !== undefined) selectors.push({ kind: "tls-version", versions });
  if (alpn !== undefined) selectors.push({ kind: "alpn", protocols: alpn });
  return selectors;
}

function aboutQuestion(settings: ConditionSettings, path: Path, context: RuleContext): SelectorConfig[] {
  const { name, type, class: classes, opcode, flags, edns, labels } = settings;
  const length = settings["name-length"];
  const selectors: SelectorConfig[] = [];
  if (name !== undefined) {
    const own = [...path, "name"];
    if (name.sets.length + name.suffixes.length + name.exact.length === 0)
      context.report(own, "has neither sets nor names, so that it never holds");
    checkSets(name.sets, [...own, "sets"], "names", context);
    selectors.push({ kind: "names", sets: name.sets, exact: name.exact, suffixes: name.suffixes });
  }
  if (type !== undefined)
    selectors.push({ kind: "qtype", types: type.map((text) => rrTypeFromText(text) ?? 0) });
  if (classes !== undefined)
    selectors.push({ kind: "qclass", classes: classes.map((text) => rrClassFromText(text) ?? 0) });
  if (opcode !== undefined) {
    if (opcode.some((text) => opcodeFromText(text) !== 0))
      context.warn(
        [...path, "opcode"],
        "opcodes other than QUERY are answered NOTIMP before any rule is asked",
      );
    selectors.push({ kind: "opcode", opcodes: opcode.map((text) => opcodeFromText(text) ?? 0) });
  }
  if (flags !== undefined) {
    const { rd, cd, ad, do: dnssecOk } = flags;
    if (rd === undefined && cd === undefined && ad === undefined && dnssecOk === undefined)
      context.report([...path, "flags"], "names no flag");
    selectors.push({
      kind: "flags",
      recursionDesired: rd,
      checkingDisabled: cd,
      authenticData: ad,
      dnssecOk,
    });
  }
  if (edns !== undefined)
    selectors.push({
      kind: "edns",
      isPresent: edns.present,
      options: edns.options.map(optionCode),
      payloadAtLeast: edns["payload-min"],
      payloadAtMost: edns["payload-max"],
    });
  if (length !== undefined)
    selectors.push({ kind: "name-octets", ...toRange(length, [...path, "name-length"], context) });
  if (labels !== undefined)
    selectors.push({ kind: "name-labels", ...toRange(labels, [...path, "labels"], context) });
  return selectors;
}

function aboutState(settings: ConditionSettings, path: Path, context: RuleContext): SelectorConfig[] {
  const { pool, time, tag, chance } = settings;
  const clientRate = settings["client-rate"];
  const nameRate = settings["name-rate"];
  const selectors: SelectorConfig[] = [];
  if (pool !== undefined) {
    checkKnown(pool.name, context.pools, "pool", (message) =>
      context.report([...path, "pool", "name"], message),
    );
    selectors.push({ kind: "pool", pool: pool.name, state: pool.state });
  }
  if (time !== undefined) selectors.push(toTime(time, [...path, "time"], context));
  for (const [i, name] of (tag ?? []).entries())
    checkKnown(name, context.tags, "earlier rule that sets the tag", (message) =>
      context.report([...path, "tag", i], message),
    );
  if (tag !== undefined) selectors.push({ kind: "tag", tags: tag });
  if (chance !== undefined) selectors.push({ kind: "chance", probability: chance });
  if (clientRate !== undefined) {
    const perSecond = clientRate["per-second"];
    const { masks } = clientRate;
    const own =
      masks &&
      toMasks(masks, (key, message) => context.report([...path, "client-rate", "masks", ...key], message));
    selectors.push({
      kind: "client-rate",
      perSecond,
      burst: burstOf(perSecond, clientRate.burst),
      masks: own ?? context.masks,
    });
  }
  if (nameRate !== undefined) {
    const perSecond = nameRate["per-second"];
    selectors.push({
      kind: "name-rate",
      perSecond,
      burst: burstOf(perSecond, nameRate.burst),
      labels: nameRate.labels,
    });
  }
  return selectors;
}

function toTime(
  time: NonNullable<ConditionSettings["time"]>,
  path: Path,
  { report }: RuleContext,
): Extract<SelectorConfig, { kind: "time" }> {
  const { days, from, to, after, before } = time;
  const fromMinute = from === undefined ? 0 : known(tryParseTimeOfDay(from));
  const toMinute = to === undefined ? 1440 : known(tryParseTimeOfDay(to));
  if (fromMinute === toMinute) report(path, "ends when it begins");
  const afterMs = after === undefined ? undefined : known(tryParseMoment(String(after))) * 1000;
  const beforeMs = before === undefined ? undefined : known(tryParseMoment(String(before))) * 1000;
  if (afterMs !== undefined && beforeMs !== undefined && afterMs >= beforeMs)
    report([...path, "before"], "is not later than after, so that it never holds");
  return {
    kind: "time",
    days: days.map((day) => DAYS.indexOf(day)),
    fromMinute,
    toMinute,
    utcOffsetMinutes: known(tryParseUtcOffset(time["utc-offset"])),
    afterMs,
    beforeMs,
  };
}

/** What contradicts itself. */
function refuseImpossible(settings: ConditionSettings, path: Path, { report }: RuleContext): void {
  const { transport, edns, flags } = settings;
  const overTls = (["certificate", "tls-version", "alpn"] as const).filter(
    (key) => settings[key] !== undefined,
  );
  if (transport !== undefined && !transport.some((one) => one === "tls" || one === "https"))
    for (const key of overTls) report([...path, key], `never holds over ${transport.join(" and ")}`);
  if (edns === undefined) return;
  const min = edns["payload-min"];
  if (min > edns["payload-max"]) report([...path, "edns", "payload-min"], "is more than payload-max");
  if (edns.present === false && (edns.options.length > 0 || min > 512 || flags?.do === true))
    report([...path, "edns", "present"], "without EDNS there are no options, no DO and no size above 512");
}

function toRange(
  { min, max }: { readonly min?: number | undefined; readonly max?: number | undefined },
  path: Path,
  { report }: RuleContext,
): { readonly atLeast: number; readonly atMost: number } {
  if (min === undefined && max === undefined) report(path, "needs min or max");
  const range = { atLeast: min ?? 0, atMost: max ?? 255 };
  if (range.atLeast > range.atMost) report([...path, "min"], "is more than max, so that it never holds");
  return range;
}

function checkSets(
  names: readonly string[],
  path: Path,
  kind: "addresses" | "names",
  { addressSets, nameSets, used, report }: RuleContext,
): void {
  const [right, other] = kind === "names" ? [nameSets, addressSets] : [addressSets, nameSets];
  for (const [i, name] of names.entries()) {
    used.add(name);
    if (other.has(name) && !right.has(name))
      report([...path, i], `the set ${JSON.stringify(name)} is not one of ${kind}`);
    else checkKnown(name, right, `set of ${kind} called`, (message) => report([...path, i], message));
  }
}

/** The number of an option that the file names. */
export function optionCode(option: string | number): number {
  return typeof option === "number" ? option : (OPTION_NAMES[option] ?? 0);
}

const DAYS: readonly string[] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
