/** The part of `front-rules-load` about `then`: from settings to actions, with those that contradict each other. */
import {
  type ExtendedError,
  type Rcode,
  rcodeFromText,
  tryHexToOctets,
  tryParseRecord,
} from "@sotto/dns/wire";
import { optionCode } from "./front-rule-conditions.ts";
import { burstOf, checkKnown, type RuleContext, toBanTerms, toMasks } from "./front-rule-context.ts";
import type { RuleSettings } from "./front-rules.ts";
import type { ActionConfig } from "./front-rules-config.ts";
import { bounded, known } from "./load-listeners.ts";

type Path = readonly PropertyKey[];
type ActionSettings = RuleSettings["then"];

/** All actions of a rule; `path` is that of its `then`. */
export function toActions(rule: RuleSettings, path: Path, context: RuleContext): ActionConfig[] {
  const going = [...towardsBackend(rule.then, path, context), ...aside(rule.then, path, context)];
  const ending = endings(rule, path, context);
  if (ending.length > 1) {
    const kinds = ending.map(({ kind }) => kind).join(", ");
    context.report(path, `contradicts itself: at most one of these can be done: ${kinds}`);
  }
  if (going.length + ending.length === 0) context.report(path, "says nothing that is to be done");
  return [...going, ...ending];
}

function endings(rule: RuleSettings, path: Path, context: RuleContext): ActionConfig[] {
  const { allow, refuse, drop, truncate, answer, policy, route } = rule.then;
  const limit = rule.then["rate-limit"];
  const actions: ActionConfig[] = [];
  if (allow) actions.push({ kind: "allow" });
  if (refuse !== undefined)
    actions.push({
      kind: "refuse",
      rcode: toRcode(refuse.rcode),
      error: toError(refuse, [...path, "refuse"], context),
    });
  if (drop) actions.push({ kind: "drop" });
  if (truncate) {
    if (rule.when.transport !== undefined && !rule.when.transport.includes("udp"))
      context.warn([...path, "truncate"], "does nothing over streams, and the rule is for streams only");
    actions.push({ kind: "truncate" });
  }
  if (answer !== undefined) actions.push(toAnswer(answer, [...path, "answer"], context));
  if (policy !== undefined) {
    if (rule.when.name === undefined)
      context.report([...path, "policy"], "does what a set says, and the rule has no name.sets");
    actions.push({ kind: "policy", error: toError(policy, [...path, "policy"], context) });
  }
  if (route !== undefined) {
    checkKnown(route, context.pools, "pool", (message) => context.report([...path, "route"], message));
    actions.push({ kind: "route", pool: route });
  }
  if (limit !== undefined) {
    const own = ownMasks(limit.masks, [...path, "rate-limit", "masks"], context);
    const perSecond = limit["per-second"];
    const burst = burstOf(perSecond, limit.burst);
    actions.push({ kind: "rate-limit", perSecond, burst, masks: own, overLimit: limit.action });
  }
  return actions;
}

function toAnswer(
  answer: NonNullable<ActionSettings["answer"]>,
  path: Path,
  context: RuleContext,
): ActionConfig {
  const { report } = context;
  const ttl = Math.floor(
    bounded(answer.ttl, 0, TTL_MS_MAX, (message) => report([...path, "ttl"], message)) / 1000,
  );
  const rcode = toRcode(answer.rcode);
  const types = answer.records.map((text, i) => {
    const record = tryParseRecord(text, { ttl });
    if (!record.ok) report([...path, "records", i], record.problem);
    else if (!record.value.owner.isRoot)
      report(
        [...path, "records", i],
        `${JSON.stringify(text)} has an owner, write @ for the name that was asked for`,
      );
    return record.ok ? record.value.type : 0;
  });
  if (types.length > 0 && rcode !== 0) report([...path, "rcode"], "an answer with records is NOERROR");
  if (types.length > 1 && types.includes(CNAME))
    report([...path, "records"], "a CNAME stands alone, without other records (RFC 1034 §3.6.2)");
  if (types.length > RECORDS_MAX) report([...path, "records"], `are more than ${RECORDS_MAX}`);
  return { kind: "answer", rcode, records: answer.records, ttl, error: toError(answer, path, context) };
}

/** What changes the query that backends get. */
function towardsBackend(then: ActionSettings, path: Path, context: RuleContext): ActionConfig[] {
  const actions: ActionConfig[] = [];
  const strip = then["strip-options"].map(optionCode);
  const subnet = then["client-subnet"];
  for (const [i, code] of strip.entries()) refuseOwn(code, [...path, "strip-options", i], context);
  if (strip.length > 0) actions.push({ kind: "strip-option", codes: strip });
  for (const [i, { option, data }] of then["set-options"].entries()) {
    const code = optionCode(option);
    refuseOwn(code, [...path, "set-options", i, "option"], context);
    if (strip.includes(code))
      context.report(
        [...path, "set-options", i, "option"],
        "is stripped by the same rule: setting it replaces it anyway",
      );
    actions.push({ kind: "set-option", code, data: known(tryHexToOctets(data)) });
  }
  if (subnet === undefined) return actions;
  if (subnet.set === "strip") actions.push({ kind: "strip-option", codes: [CLIENT_SUBNET] });
  else if (subnet.set === "client")
    actions.push({ kind: "client-subnet", ipv4Bits: subnet.ipv4, ipv6Bits: subnet.ipv6 });
  else actions.push({ kind: "set-subnet", prefix: subnet.set });
  return actions;
}

/** These belong to one connection, and the front makes them itself. */
function refuseOwn(code: number, path: Path, { report }: RuleContext): void {
  const name = OWN_OPTIONS.get(code);
  if (name !== undefined) report(path, `${name} belongs to one connection, and the front makes its own`);
}

/** What is done beside the answer. */
function aside(then: ActionSettings, path: Path, context: RuleContext): ActionConfig[] {
  const { delay, tag, log, tee, ban } = then;
  const actions: ActionConfig[] = [];
  if (delay !== undefined) {
    const delayMs = bounded(delay, 1, DELAY_MS_MAX, (message) => context.report([...path, "delay"], message));
    actions.push({ kind: "delay", delayMs });
  }
  if (tag.length > 0) actions.push({ kind: "tag", tags: tag });
  if (log) actions.push({ kind: "log" });
  for (const [i, pool] of tee.entries()) {
    checkKnown(pool, context.pools, "pool", (message) => context.report([...path, "tee", i], message));
    actions.push({ kind: "tee", pool });
  }
  if (ban !== undefined) {
    const own = [...path, "ban"];
    const terms = toBanTerms(ban.for, ban.max, { first: "for", longest: "max" }, (key, message) =>
      context.report([...own, ...key], message),
    );
    actions.push({ kind: "ban", terms, masks: ownMasks(ban.masks, [...own, "masks"], context) });
  }
  return actions;
}

function ownMasks(
  masks: Parameters<typeof toMasks>[0] | undefined,
  path: Path,
  context: RuleContext,
): RuleContext["masks"] {
  return masks === undefined
    ? context.masks
    : toMasks(masks, (key, message) => context.report([...path, ...key], message));
}

function toRcode(text: string): Rcode {
  return rcodeFromText(text) ?? 0;
}

function toError(
  { ede, text }: { readonly ede?: number | undefined; readonly text?: string | undefined },
  path: Path,
  { report }: RuleContext,
): ExtendedError | undefined {
  if (ede === undefined && text !== undefined)
    report([...path, "text"], "belongs to an extended error: give ede, too");
  return ede === undefined ? undefined : { code: ede, text: text ?? "" };
}

const CNAME = 5;
const CLIENT_SUBNET = 8;
const OWN_OPTIONS: ReadonlyMap<number, string> = new Map([
  [10, "cookie"],
  [11, "keepalive"],
  [12, "padding"],
]);
/** More do not fit into an answer that anybody wants. */
const RECORDS_MAX = 100;
/** A week. */
const TTL_MS_MAX = 604_800_000;
/** Whoever waits holds a place, and clients give up after five seconds. */
const DELAY_MS_MAX = 5000;
