/**
 * From checked settings of access control to values, with what only shows when they are looked at together: sets and pools that
 * nobody knows, actions that contradict each other, rules that can never match or never be reached.
 */
import { resolve } from "node:path";
import { tryParseName, tryParsePrefix } from "@sotto/dns/wire";
import { toActions } from "./front-rule-actions.ts";
import { toSelectors } from "./front-rule-conditions.ts";
import {
  burstOf,
  type FrontNames,
  type ReportAt,
  type RuleContext,
  toBanTerms,
  toMasks,
} from "./front-rule-context.ts";
import type { FrontRuleSettings } from "./front-rules.ts";
import type {
  ActionConfig,
  ClientLimitsConfig,
  FrontRulesConfig,
  FrontSetConfig,
  RuleConfig,
} from "./front-rules-config.ts";

/** `folder`: for files of sets. Problems are reported, and then the result is of no use. */
export function toFrontRules(
  settings: FrontRuleSettings,
  folder: string,
  names: FrontNames,
  { report, warn }: Readonly<Record<"report" | "warn", ReportAt>>,
): FrontRulesConfig {
  const sets = settings.sets.map((set, i) =>
    toSet(set, folder, (key, message) => report(["sets", i, ...key], message)),
  );
  refuseDoubles(settings.sets, "sets", report);
  refuseDoubles(settings.rules, "rules", report);
  const clients = toClients(settings.clients, (key, message) => report(["clients", ...key], message));
  const used = new Set<string>();
  const tags = new Set<string>();
  const context: RuleContext = {
    ...names,
    addressSets: namesOfKind(sets, "addresses"),
    nameSets: namesOfKind(sets, "names"),
    tags,
    used,
    masks: clients.masks,
    report,
    warn,
  };
  const rules = settings.rules.map((rule, i): RuleConfig => {
    const path = ["rules", i];
    const when = toSelectors(rule.when, [...path, "when"], context);
    const actions = toActions(rule, [...path, "then"], context);
    for (const tag of rule.then.tag) tags.add(tag);
    return { name: rule.name, when, actions };
  });
  warnOfUnreachable(rules, warn);
  for (const [i, { name }] of sets.entries())
    if (!used.has(name)) warn(["sets", i, "name"], `no rule asks for the set ${JSON.stringify(name)}`);
  return { sets, rules, clients };
}

function namesOfKind(sets: readonly FrontSetConfig[], kind: FrontSetConfig["kind"]): ReadonlySet<string> {
  return new Set(sets.filter((set) => set.kind === kind).map(({ name }) => name));
}

function refuseDoubles(
  named: readonly { readonly name: string }[],
  section: "sets" | "rules",
  report: ReportAt,
): void {
  const seen = new Set<string>();
  for (const [i, { name }] of named.entries()) {
    if (seen.has(name))
      report([section, i, "name"], `${JSON.stringify(name)} is there twice, names are unique`);
    seen.add(name);
  }
}

function toSet(set: FrontRuleSettings["sets"][number], folder: string, report: ReportAt): FrontSetConfig {
  const { name, kind, file, entries, format, match } = set;
  if (file !== undefined && entries.length > 0)
    report(["entries"], "are instead of a file: give one of both");
  if (file === undefined && entries.length === 0)
    report([], `the set ${JSON.stringify(name)} needs a file or entries`);
  if (kind === "addresses" && format !== "domains") report(["format"], "is for sets of names only");
  if (match !== undefined && (kind === "addresses" || format === "rpz"))
    report(["match"], "is for sets of names of format domains or hosts");
  for (const [i, entry] of entries.entries()) {
    const parsed = kind === "addresses" ? tryParsePrefix(entry) : entryProblem(entry, format);
    if (!parsed.ok) report(["entries", i], parsed.problem);
  }
  return {
    name,
    kind,
    file: file === undefined ? undefined : resolve(folder, file),
    entries,
    format,
    reach: match,
  };
}

/** Names are checked here, where their line is known; other lines when the set is read. */
function entryProblem(
  entry: string,
  format: FrontSetConfig["format"],
): { readonly ok: true } | { readonly ok: false; readonly problem: string } {
  if (format !== "domains" || entry.startsWith("|") || entry.startsWith("@@")) return { ok: true };
  if (/^[^#;]*\S\s+[^#;\s]/.test(entry))
    return {
      ok: false,
      problem: `${JSON.stringify(entry)} has more than a name, one name an entry, or say format: hosts`,
    };
  return tryParseName(entry.replace(/^\*?\./, ""));
}

function toClients(clients: FrontRuleSettings["clients"], report: ReportAt): ClientLimitsConfig {
  const perSecond = clients["queries-per-second"];
  if (perSecond === 0 && clients["ban-after"] > 0)
    report(["ban-after"], "counts queries over the limit, and there is none: give queries-per-second");
  if (perSecond === 0 && clients.burst !== undefined)
    report(["burst"], "belongs to a limit, and there is none: give queries-per-second");
  return {
    masks: toMasks(clients.masks, (key, message) => report(["masks", ...key], message)),
    queriesPerSecond: perSecond || Number.POSITIVE_INFINITY,
    burst: burstOf(perSecond, clients.burst),
    overLimit: clients["over-limit"],
    banAfter: clients["ban-after"] || Number.POSITIVE_INFINITY,
    ban: toBanTerms(clients["ban-for"], clients["ban-max"], { first: "ban-for", longest: "ban-max" }, report),
    banned: clients.banned,
  };
}

/** Rules behind one that ends the walk for all queries. */
function warnOfUnreachable(rules: readonly RuleConfig[], warn: ReportAt): void {
  const last = rules.findIndex(({ when, actions }) => when.length === 0 && actions.some(alwaysEnds));
  if (last < 0) return;
  for (let i = last + 1; i < rules.length; i++)
    warn(
      ["rules", i],
      `is never reached: rule ${JSON.stringify(rules[last]?.name)} ends the walk for all queries`,
    );
}

/** Limits end it for some, TC over UDP only, and lists for those that are in them. */
function alwaysEnds({ kind }: ActionConfig): boolean {
  return kind === "allow" || kind === "refuse" || kind === "drop" || kind === "answer" || kind === "route";
}
