// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how steps write expressions.
import assert from "node:assert/strict";
import { test } from "node:test";
import { StepVariables } from "./step-variables.ts";

const variables = () => new StepVariables(new Map([["time", () => 1000]]));

test("expressions add and multiply numbers, variables and known words, the innermost first", () => {
  const some = variables();
  assert.equal(some.assign("t0 = ${time}"), undefined);
  const cases: readonly (readonly [string, number])[] = [
    ["20", 20],
    ["${30*24*3600}", 2_592_000],
    ["${$t0 + 5}", 1005],
    ["${ ${20*3} - 10 }", 50],
    ["${1258 - ${time} + 2*3}", 264],
    ["${range 900 ${time} 1100}", 1000],
  ];
  for (const [text, value] of cases) assert.deepEqual(some.numberOf(text), { ok: true, value }, text);
  assert.deepEqual(some.expand("at ${$t0} ;;${ctime $t0}"), { ok: true, value: "at 1000 ;;" });
});

test("what cannot be computed is a problem", () => {
  const some = variables();
  assert.match(some.assign("t = ${$other}") ?? "", /"\$other" is not known/);
  assert.match(some.assign("${time}") ?? "", /no number|no name/);
  for (const text of ["", "soon", "${range 1 ${time} 2}", "${1 +}", "${}"])
    assert.equal(some.numberOf(text).ok, false, text);
});
