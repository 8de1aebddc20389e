import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { explainableRows, explainText } from "./explain-text.ts";
import {
  HOSTILE_REPORT,
  INVENTED,
  inventedCell,
  inventedReport,
  inventedSheets,
} from "./invented.test-support.ts";
import { junitText } from "./junit.ts";
import { markdownText } from "./markdown.ts";
import { readMarkup, textOf, walk } from "./strict-markup.test-support.ts";
import { tableText } from "./table-text.ts";
import { textWidth, wrapText } from "./words.ts";

/** The texts as they were read and found good. */
function golden(name: string): string {
  return readFileSync(join(import.meta.dirname, "golden", name), "utf8");
}

const sheets = inventedSheets();
const hostile = inventedSheets([...INVENTED, HOSTILE_REPORT]);

const FORMS: readonly (readonly [name: string, text: string | undefined])[] = [
  ["table.txt", tableText(sheets, { width: 100, isColoured: false })],
  ["table-narrow.txt", tableText(sheets, { width: 50, isColoured: false })],
  ["explain.txt", explainText(sheets, "keepalive", 80)],
  ["tables.md", markdownText(sheets)],
  ["junit.xml", junitText(sheets, new Set(["padding", "pipelining"]))],
];

for (const [name, text] of FORMS)
  test(`an invented report reads as golden/${name}`, () => {
    assert.equal(text, golden(name));
  });

test("no line of the table is wider than the terminal, however narrow or full", () => {
  const many = inventedSheets(
    Array.from({ length: 9 }, (_, i) => ({
      ...INVENTED[i % 2],
      title: `target ${i}`.repeat(i + 1),
    })) as typeof INVENTED,
  );
  for (const width of [40, 50, 79, 80, 132, 300])
    for (const one of [sheets, hostile, many])
      for (const line of tableText(one, { width, isColoured: false }).split("\n"))
        assert.ok(textWidth(line) <= width, `${width}: ${line}`);
});

test("colour is only ever added: without it the table has the same words", () => {
  const coloured = tableText(sheets, { width: 100, isColoured: true });
  assert.ok(coloured.includes("\u001b[32m"));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences that colour
  const plain = coloured.replaceAll(/\u001b\[\d+m/g, "");
  const lines = (text: string): string[] => text.split("\n").map((line) => line.trimEnd());
  assert.deepEqual(lines(plain), lines(golden("table.txt")));
});

test("texts of strangers cannot steer a terminal", () => {
  for (const text of [
    tableText(hostile, { width: 80, isColoured: false }),
    explainText(hostile, HOSTILE_REPORT.report.cells[0]?.row ?? "", 80) ?? "",
    markdownText(hostile),
  ]) {
    assert.match(text, /\\u001b/);
    assert.doesNotMatch(text, /[\p{Cf}\u2028\ud800]|(?!\n)\p{Cc}/u);
  }
});

test("JUnit is well-formed XML with the right counts, whatever servers say", () => {
  const root = readMarkup(junitText(hostile, new Set(["keepalive"])));
  const suites = [...walk(root)].filter(({ name }) => name === "testsuite");
  assert.equal(suites.length, 3);
  for (const suite of suites) {
    const count = (name: string): string =>
      String([...walk(suite)].filter((one) => one.name === name).length);
    assert.deepEqual(
      ["tests", "failures", "skipped"].map((key) => suite.attributes.get(key)),
      [count("testcase"), count("failure"), count("skipped")],
    );
  }
  assert.ok(textOf(root).includes("<script>alert(1)</script>"));
});

test("cells of a target that say the same share one remark", () => {
  const cells = ["tls", "padding", "alpn"].map((key) =>
    inventedCell(key, "not testable", key === "alpn" ? "another reason" : "no TLS"),
  );
  const text = tableText(inventedSheets([{ title: "t", report: inventedReport("t", cells) }]), {
    width: 80,
    isColoured: false,
  });
  assert.match(
    text,
    /\nTLS on port 853, EDNS0 Padding: \? Not testable\n {4}no TLS\nALPN dot: \? Not testable\n {4}another reason\n/,
  );
});

test("a target that nothing was seen of fails in all its rows", () => {
  const cells = [
    inventedCell("tls", "none", "refused"),
    inventedCell("padding", "not testable", "no TLS"),
    inventedCell("alpn", "not applicable", "no TLS"),
  ];
  const text = junitText(inventedSheets([{ title: "t", report: inventedReport("t", cells) }]), new Set());
  assert.match(text, /tests="3" failures="2" errors="0" skipped="1"/);
});

test("a row that is required and was not probed fails", () => {
  const text = junitText(sheets, new Set(["alpn"]));
  assert.match(
    text,
    /<testcase classname="server 192\.0\.2\.2" name="ALPN dot"[^>]*>\s*<failure type="absent"/,
  );
});

test("Markdown has no markup and no link of strangers", () => {
  const text = markdownText(hostile);
  assert.doesNotMatch(text, /<script|https:\/\/evil/);
  for (const line of text.split("\n").filter((one) => one.startsWith("|")))
    assert.ok([6, 8].includes(line.replaceAll("\\|", "").split("|").length - 1), line);
});

test("Markdown makes nothing of what strangers say: no link, no mention, nothing bold or struck out", () => {
  // GitHub makes links of names and of addresses for mail, without any markup; what looked like our own bold cell was one.
  const observed = (text: string): string => {
    const report = inventedReport("t", [inventedCell("tls", "broken", text)]);
    const lines = markdownText(inventedSheets([{ title: "t", report }])).split("\n");
    const line = lines.find((one) => one.startsWith("| TLS on port 853 | t |"));
    return line?.replace(/^(?:\| [^|]* ){4}\| (.*) \|$/, "$1") ?? assert.fail(text);
  };
  for (const [text, expected] of [
    ["www.evil.test", "www&#46;evil.test"],
    ["WwW.evil.test", "WwW&#46;evil.test"],
    ["_http://evil.test", "\\_http&#58;//evil.test"],
    ["HTTPS://evil.test ftp://evil.test", "HTTPS&#58;//evil.test ftp&#58;//evil.test"],
    ["mailto:a@evil.test @everybody", "mailto:a@<!-- -->evil.test @<!-- -->everybody"],
    ["~~gone~~ ~one~", "\\~\\~gone\\~\\~ \\~one\\~"],
    ["**bold**", "\\*\\*bold\\*\\*"],
    ["![x](y)", "!\\[x\\](y)"],
    ["$`x`$", "\\$\\`x\\`\\$"],
    ["<!-- &amp;", "&lt;!-- &amp;amp;"],
    ["tls://192.0.2.1", "tls://192.0.2.1"],
  ] as const)
    assert.equal(observed(text), expected);
});

test("a terminal that tells no width gets readable lines, and an end of them", () => {
  // A terminal whose size nobody has set says 0 columns: --explain broke words into pieces of none, for ever.
  for (const width of [0, 1, 39])
    assert.equal(explainText(sheets, "keepalive", width), explainText(sheets, "keepalive", 40));
  assert.deepEqual(wrapText("ab c", 0), ["a", "b", "c"]);
});

test("of rows that only a file knows the first are shown, however many it has", () => {
  // More than that many were too much for one call, and each is a line for each target.
  const reports = Array.from({ length: 200 }, (_, n) => {
    const cells = Array.from({ length: 1000 }, (_, i) => inventedCell(`row-${n * 1000 + i}`, "none", "x"));
    return { title: `t${n}`, report: inventedReport(`t${n}`, cells) };
  });
  const text = tableText(inventedSheets(reports.slice(0, 1)), { width: 80, isColoured: false });
  assert.match(text, /\nNot known to this version, the first 100 of 1000\n/);
  assert.match(text, / row-99 .*\n(?! *row-100)/);
  assert.equal(explainableRows(inventedSheets(reports)).filter((key) => key.startsWith("row-")).length, 100);
});

test("what can be explained is what the sheets have", () => {
  assert.deepEqual(explainableRows(sheets).slice(0, 3), ["fast-open", "pipelining", "out-of-order"]);
  assert.equal(explainText(sheets, "no-such-row", 80), undefined);
});
