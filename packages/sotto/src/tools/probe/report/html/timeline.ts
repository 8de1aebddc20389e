/** The exchange of a cell as a drawing: two lines, prober and target, and an arrow for each message, in their order. */
import type { EvidenceStep } from "../../model.ts";
import { visible } from "../words.ts";
import { element, type Html } from "./element.ts";

/** Steps drawn; the list below the drawing has more. */
const STEPS_MAX = 60;
const STEP_HEIGHT = 26;
/** A pause from here on is drawn as one, milliseconds. */
const PAUSE_MS = 200;
const WIDTH = 720;
const LEFT = 90;
const RIGHT = WIDTH - 20;
const TOP = 34;
/** Characters of a label that fit between the lines. */
const LABEL_CHARACTERS_MAX = 84;

/** The drawing; undefined where there is nothing to draw. Its words are repeated in the list of steps, so that it is hidden from readers. */
export function timeline(steps: readonly EvidenceStep[]): Html | undefined {
  if (steps.length === 0) return undefined;
  const parts: Html[] = [];
  let y = TOP;
  let lastMs = steps[0]?.atMs ?? 0;
  for (const step of steps.slice(0, STEPS_MAX)) {
    const pauseMs = step.atMs - lastMs;
    lastMs = step.atMs;
    if (pauseMs >= PAUSE_MS) {
      parts.push(pause(y, pauseMs));
      y += STEP_HEIGHT;
    }
    parts.push(...stepParts(step, y));
    y += STEP_HEIGHT;
  }
  const bottom = y;
  const height = bottom + (steps.length > STEPS_MAX ? 24 : 6);
  return element(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${height}`, class: "timeline", "aria-hidden": "true", focusable: "false" },
    element("line", { x1: LEFT, x2: LEFT, y1: TOP - 12, y2: bottom, class: "life" }),
    element("line", { x1: RIGHT, x2: RIGHT, y1: TOP - 12, y2: bottom, class: "life" }),
    label(LEFT, 14, "prober", "middle", "who"),
    label(RIGHT, 14, "target", "end", "who"),
    parts,
    steps.length > STEPS_MAX
      ? label(LEFT + 8, bottom + 14, `and ${steps.length - STEPS_MAX} more steps`, "start", "note")
      : undefined,
  );
}

function stepParts(step: EvidenceStep, y: number): Html[] {
  const time = label(LEFT - 10, y + 4, timeText(step.atMs), "end", "time");
  const text = clip(step.what);
  if (step.who === "note")
    return [
      time,
      element("circle", { cx: LEFT, cy: y, r: 3, class: "mark" }),
      label(LEFT + 12, y + 4, text, "start", "note"),
    ];
  const isSent = step.who === "prober";
  const [from, to] = isSent ? [LEFT, RIGHT] : [RIGHT, LEFT];
  const tip = isSent ? -8 : 8;
  return [
    time,
    element("line", { x1: from, x2: to, y1: y, y2: y, class: isSent ? "sent" : "received" }),
    element("path", {
      d: `M ${to + tip} ${y - 4} L ${to} ${y} L ${to + tip} ${y + 4} Z`,
      class: isSent ? "sent-tip" : "received-tip",
    }),
    label(isSent ? LEFT + 12 : RIGHT - 12, y - 4, text, isSent ? "start" : "end", "message"),
  ];
}

function pause(y: number, ms: number): Html {
  return label((LEFT + RIGHT) / 2, y + 4, `… ${timeText(ms)} pass …`, "middle", "note");
}

/** Milliseconds below ten seconds. */
export function timeText(ms: number): string {
  return ms < 10_000 ? `${ms.toFixed(ms < 100 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function label(x: number, y: number, text: string, anchor: string, kind: string): Html {
  return element("text", { x, y, "text-anchor": anchor, class: kind }, text);
}

function clip(text: string): string {
  const shown = visible(text);
  return shown.length > LABEL_CHARACTERS_MAX ? `${shown.slice(0, LABEL_CHARACTERS_MAX - 1)}…` : shown;
}
