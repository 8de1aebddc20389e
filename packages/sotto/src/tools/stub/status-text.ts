/** The status of a stub as a page for people: words say everything, colours only repeat it. */
import type { ForwardZoneStatus, PortalStatus, StubStatus, UpstreamStatus } from "../../compose/index.ts";
import { countText, durationText, type Paint, type Style, shareText, wrap } from "../../terminal/index.ts";
import { portalBanner } from "./portal-text.ts";

/** Begins with what must not be overlooked. */
export function statusText({ portal, answers, zones }: StubStatus, paint: Paint): string {
  const { answered, fromCache, failed, refused } = answers;
  const counts = [
    countText(answered, "answer", "answers"),
    ...(answered === 0 ? [] : [`${shareText(fromCache, answered)} of them from the cache`]),
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(refused === 0 ? [] : [`${refused} refused`]),
  ];
  const head = [...portalText(portal, paint), field("clients", counts.join(", "), 0)].join("\n");
  return `${[head, ...zones.map((zone) => zoneText(zone, paint))].join("\n\n")}\n`;
}

function portalText(portal: PortalStatus | undefined, paint: Paint): string[] {
  if (portal?.opening !== undefined) return [portalBanner(portal.opening, paint)];
  if (portal === undefined || portal.queriesInClear === 0 || portal.last === undefined) return [];
  const { last, queriesInClear } = portal;
  const text = `closed ${durationText(last.endedAgoMs)} ago (${last.reason}); ${countText(queriesInClear, "question", "questions")} went in clear since the start`;
  return [field("portal", text, 0)];
}

function zoneText({ zone, profile, choice, state, upstreams }: ForwardZoneStatus, paint: Paint): string {
  const title = zone === "." ? "everything" : zone;
  const [symbol, words] = STATES[state];
  const now = state === "failing" ? "nobody can be asked, and queries fail" : words;
  const head = paint("bold", wrap(`${title}: profile ${profile}, ${choice}; now ${symbol} ${now}`, 2));
  const replies = field("replies", sharesText(upstreams), 0);
  // Rungs of one upstream share their addresses.
  const lookups = [...new Set(upstreams.flatMap(lookupLines))];
  const first = [head, replies, ...lookups].join("\n");
  return [first, ...upstreams.map((one) => upstreamText(one, paint))].join("\n\n");
}

/** Where an upstream is that is known by name only. */
function lookupLines({ lookup }: UpstreamStatus): string[] {
  if (lookup === undefined) return [];
  const { name, addresses, from, lastFailure } = lookup;
  const found = addresses.length === 0 ? "no address is known" : `${addresses.join(", ")} (${from})`;
  const failed =
    lastFailure === undefined
      ? ""
      : `; ${durationText(lastFailure.agoMs)} ago ${lastFailure.problem} (${lastFailure.code})`;
  return [field("lookup", `${name}: ${found}${failed}`, 0)];
}

function sharesText(upstreams: readonly UpstreamStatus[]): string {
  const sum = (by: keyof UpstreamStatus["repliesBy"]): number =>
    upstreams.reduce((count, { repliesBy }) => count + repliesBy[by], 0);
  const all = upstreams.reduce((count, { replies }) => count + replies, 0);
  if (all === 0) return "none yet";
  const shares = (["authenticated", "encrypted", "clear"] as const).map(
    (by) => `${by === "clear" ? "in clear" : by} ${sum(by) === 0 ? "none" : shareText(sum(by), all)}`,
  );
  return `${all}: ${shares.join(", ")}`;
}

const STATES: Readonly<
  Record<UpstreamStatus["state"], readonly [symbol: string, words: string, style: Style]>
> = {
  authenticated: ["✓", "authenticated", "green"],
  encrypted: ["~", "encrypted, but nobody knows with whom", "yellow"],
  clear: ["!", "in clear", "red"],
  local: ["✓", "local", "green"],
  failing: ["✗", "failing", "red"],
  untried: ["·", "not asked yet", "dim"],
};

function upstreamText(upstream: UpstreamStatus, paint: Paint): string {
  const { address, port, transport, rung, state, authenticatedBy } = upstream;
  const [symbol, words, style] = STATES[state];
  const by = state === "authenticated" && authenticatedBy !== undefined ? ` by ${authenticatedBy}` : "";
  const retry = state === "failing" ? `, next try ${whenText(nextTryMs(upstream))}` : "";
  const way = `${address} port ${port}, ${transport === "tls" ? "TLS" : transport.toUpperCase()}`;
  const head = `${symbol} ${way}: ${words}${retry}${by}`;
  const isAnybody = rung === "encrypted" || (rung === "as written" && transport === "tls");
  const must = upstream.identity ?? (isAnybody ? "nothing, whoever it is" : undefined);
  return [
    paint(style, wrap(head, 2)),
    ...(must === undefined ? [] : [field("must prove", must)]),
    ...(state === "untried" ? [] : activityLines(upstream)),
    ...failureLines(upstream),
  ].join("\n");
}

function activityLines(upstream: UpstreamStatus): string[] {
  const { replies, failures, reuseRatio, smoothedMs, fullHandshakes, resumedHandshakes, connection } =
    upstream;
  const lines: string[] = [];
  const reuse = `${shareText(Math.round(reuseRatio * replies), replies)} over a connection that was open`;
  const counts = [
    countText(replies, "reply", "replies"),
    ...(replies > 0 && connection !== undefined ? [reuse] : []),
    ...(smoothedMs === undefined ? [] : [`${durationText(smoothedMs)} each`]),
    countText(failures, "failure", "failures"),
  ];
  lines.push(field("asked", counts.join(", ")));
  if (connection === undefined) return lines;
  lines.push(field("connection", connectionText(connection)));
  if (upstream.transport === "tls")
    lines.push(
      field(
        "handshakes",
        `${fullHandshakes} full, ${resumedHandshakes} resumed; ${countText(connection.tickets, "ticket", "tickets")} for the next`,
      ),
    );
  lines.push(field("timers", timersText(connection)));
  return lines;
}

type Connection = NonNullable<UpstreamStatus["connection"]>;

function connectionText({ state, ageMs, security, isResumed, inFlight, served }: Connection): string {
  if (state === "none") return "none; the next query opens one";
  const what = [
    `${state} for ${durationText(ageMs)}`,
    ...(security === undefined ? [] : [`${security}${isResumed ? ", resumed" : ""}`]),
    `${countText(served, "reply", "replies")} over it`,
    `${countText(inFlight, "query", "queries")} in flight`,
  ];
  return what.join("; ");
}

function timersText(connection: Connection): string {
  const { state, idleClosesInMs, idleTimeoutMs, promisedIdleMs, learntIdleMs, queriesMax, backOff } =
    connection;
  const parts: string[] = [];
  if (backOff !== undefined)
    parts.push(
      `left alone for ${durationText(backOff.leftMs)} (${backOff.failureClass}, ${backOff.failuresInARow} in a row)`,
    );
  if (idleClosesInMs !== undefined) parts.push(`closes in ${durationText(idleClosesInMs)} when nobody asks`);
  else if (state === "none")
    parts.push(`a connection stays for ${durationText(idleTimeoutMs)} without queries`);
  else parts.push(`closes after ${durationText(idleTimeoutMs)} without queries`);
  if (promisedIdleMs !== undefined) parts.push(`the server promised ${durationText(promisedIdleMs)}`);
  else if (learntIdleMs !== undefined) parts.push("learnt from when the server closes");
  if (queriesMax !== undefined)
    parts.push(`at most ${countText(queriesMax, "query", "queries")} on one, as learnt`);
  return parts.join("; ");
}

function failureLines({ lastFailure, failuresInARow, lookup }: UpstreamStatus): string[] {
  // What was not found has been told.
  const isTold = lookup?.lastFailure !== undefined && lastFailure?.stage === "resolve";
  if (lastFailure === undefined || isTold) return [];
  const { agoMs, stage = "query", code, problem } = lastFailure;
  const repeated = failuresInARow > 1 ? ` (${failuresInARow} rounds in a row)` : "";
  return [field("last failure", `${durationText(agoMs)} ago at ${stage}: ${problem} (${code})${repeated}`)];
}

/** Others are asked first until then, and no connection is tried. */
function nextTryMs({ avoidedForMs, connection }: UpstreamStatus): number {
  return Math.max(avoidedForMs, connection?.backOff?.leftMs ?? 0);
}

function whenText(ms: number): string {
  return ms === 0 ? "with the next query" : `in ${durationText(Math.max(1000, ms))}`;
}

function field(name: string, text: string, indent = 2): string {
  const label = `${" ".repeat(indent)}${name.padEnd(LABEL_COLUMNS)}`;
  return `${label}${wrap(text, label.length)}`;
}

const LABEL_COLUMNS = 14;
