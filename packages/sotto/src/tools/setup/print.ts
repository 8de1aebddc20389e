/** A plan as text for people. */
import type { Check, SetupPlan, Step, StubPlace } from "./plan.ts";

export function planToText(plan: SetupPlan, place: StubPlace): string {
  const { address, port } = place;
  return [
    `How to make ${plan.system} ask the stub on ${address} port ${port}. Nothing has been changed; commands are for root.\n`,
    list("Found", plan.findings),
    list("Mind", plan.traps),
    checks("First, is the stub there?", plan.first),
    steps("Change", plan.steps),
    checks("Then look", plan.checks),
    steps("To undo it", plan.undo),
  ].join("");
}

function list(head: string, texts: readonly string[]): string {
  return texts.length === 0 ? "" : `\n${head}\n${texts.map((text) => `  - ${text}\n`).join("")}`;
}

function checks(head: string, all: readonly Check[]): string {
  return `\n${head}\n${all.map(({ command, expect }) => `    ${command}\n        ${expect}\n`).join("")}`;
}

/** Commands begin at the margin: the end of a here-document has to. */
function steps(head: string, all: readonly Step[]): string {
  const texts = all.map(({ title, why, commands }, i) => {
    const reason = why === undefined ? "" : `   ${why}\n`;
    return `\n${i + 1}. ${title}\n${reason}\n${commands.map((command) => `${command}\n`).join("")}`;
  });
  return `\n${head}\n${texts.join("")}`;
}
