/** What is said of captive portals; a banner that nobody overlooks (RFC 8310 §6.6). */
import type { OpeningStatus, PortalStatus } from "../../compose/index.ts";
import { countText, durationText, type Paint, wrap } from "../../terminal/index.ts";

export function portalBanner({ names, server, leftMs, queriesInClear }: OpeningStatus, paint: Paint): string {
  const head = `!!! DNS IS NOT PRIVATE for ${names.join(", ")} and what is below`;
  const details = [
    `these questions go in clear to ${server.address} port ${server.port}, and answers are not validated;`,
    `${countText(queriesInClear, "question", "questions")} so far; closes by itself in ${durationText(leftMs)},`,
    "or now with: sotto stub portal close",
  ];
  return `${paint(["bold", "red"], wrap(head, 4))}\n    ${wrap(details.join(" "), 4)}\n`;
}

export function portalText({ isAllowed, opening, last, queriesInClear }: PortalStatus, paint: Paint): string {
  if (opening !== undefined) return portalBanner(opening, paint);
  const lines = [
    isAllowed
      ? "closed: nothing goes in clear for a portal"
      : "closed, and the configuration forbids openings (stub.portal.allowed: false)",
  ];
  if (last !== undefined) {
    const { names, reason, endedAgoMs } = last;
    const count = countText(last.queriesInClear, "question", "questions");
    lines.push(
      `the last one, for ${names.join(", ")}, ended ${durationText(endedAgoMs)} ago (${reason}) after ${count}`,
    );
    lines.push(`since the start ${countText(queriesInClear, "question", "questions")} went in clear`);
  }
  return `${lines.map((line) => wrap(line, 2)).join("\n")}\n`;
}
