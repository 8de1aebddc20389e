import assert from "node:assert/strict";
import { test } from "node:test";
import {
  HOSTILE_REPORT,
  INVENTED,
  inventedCell,
  inventedReport,
  inventedSheets,
} from "../invented.test-support.ts";
import { type MarkupElement, readMarkup, textOf, walk } from "../strict-markup.test-support.ts";
import { pageText } from "./page.ts";

function pageOf(...titled: Parameters<typeof inventedSheets>): MarkupElement {
  return readMarkup(pageText(inventedSheets(...titled)));
}

function all(page: MarkupElement, name: string): MarkupElement[] {
  return [...walk(page)].filter((element) => element.name === name);
}

test("the page is well-formed and has every cell, in the table and with its evidence", () => {
  const page = pageOf();
  const cells = all(page, "details").filter((one) => one.attributes.get("class")?.startsWith("cell "));
  const expected = INVENTED.flatMap(({ report }) => report.cells);
  assert.equal(cells.length, expected.length);
  const texts = cells.map(textOf);
  for (const cell of expected)
    assert.ok(
      texts.some((text) => text.includes(cell.observed)),
      cell.observed,
    );
  const links = all(page, "a").filter((link) => link.attributes.get("class") === "pill");
  assert.equal(links.length, expected.length);
});

test("every link of the page leads to one place on it", () => {
  const page = pageOf();
  const ids = [...walk(page)].map((one) => one.attributes.get("id")).filter((id) => id !== undefined);
  assert.equal(new Set(ids).size, ids.length, "an id stands twice");
  const targets = all(page, "a").map((link) => link.attributes.get("href") ?? "");
  assert.ok(targets.length > 30);
  for (const target of targets) assert.ok(ids.includes(target.slice(1)), target);
});

test("a verdict has its word beside its symbol, and the words of 2016 stand in the same row", () => {
  const page = pageOf();
  const rows = all(page, "tr").map((row) =>
    row.children.map((cell) => (typeof cell === "string" ? cell : textOf(cell))),
  );
  const row = rows.find(([head]) => head?.startsWith("EDNS0 Keepalive"));
  assert.deepEqual(row?.slice(1), ["● Released2016: ○ WIP", "✗ Broken", "○ WIP", "– None", "– None"]);
  const last = rows.find(([head]) => head === "Released of 2016's rows");
  assert.deepEqual(last?.slice(1), ["6 of 7", "0 of 5", "3 of 7", "2 of 7", "3 of 7"]);
});

test("evidence has a drawing, decoded messages, and requirements in words", () => {
  const [, , , keepalive] = all(pageOf(), "details").filter((one) =>
    one.attributes.get("class")?.startsWith("cell "),
  );
  assert.ok(keepalive);
  const text = textOf(keepalive);
  for (const part of [
    "RFC 7828 §3.3.2 (b): When included, carry the timeout",
    "[7828-3.3.2-b]",
    "option: TCP KEEPALIVE: 10.0 secs",
    "answer: www.example. 300 IN A 192.0.2.1",
    "… 10.0 s pass …",
    "TLS handshake, 7 octets",
    "frame on TCP and TLS: 003e, then the message",
  ])
    assert.ok(text.includes(part), part);
  const [drawing] = all(keepalive, "svg");
  assert.equal(drawing?.attributes.get("aria-hidden"), "true");
  assert.equal(all(drawing ?? keepalive, "line").length, 2 + 4);
});

test("the page loads nothing, runs nothing, and forbids both", () => {
  for (const page of [pageOf(), pageOf([...INVENTED, HOSTILE_REPORT])]) {
    const elements = [...walk(page)];
    for (const { name, attributes } of elements) {
      assert.ok(!["script", "img", "link", "iframe", "object", "embed", "form", "base"].includes(name), name);
      for (const [key, value] of attributes) {
        assert.doesNotMatch(key, /^on|^(?:src|srcset|style|action|xlink:href)$/);
        if (key === "href") assert.match(value, /^#[\w-]+$/);
      }
    }
    const [style] = all(page, "style");
    assert.doesNotMatch(textOf(style ?? page), /url\(|@import|https?:/);
    const policy = all(page, "meta").find(
      (one) => one.attributes.get("http-equiv") === "Content-Security-Policy",
    );
    assert.match(policy?.attributes.get("content") ?? "", /^default-src 'none'; style-src 'unsafe-inline';/);
  }
});

test("texts of strangers stay texts, wherever they stand", () => {
  const hostile = pageText(inventedSheets([HOSTILE_REPORT]));
  const page = readMarkup(hostile);
  assert.equal(textOf(all(page, "title")[0] ?? page), "DNS over TCP and TLS, probed");
  assert.ok(textOf(page).includes("<script>alert(1)</script>"));
  assert.doesNotMatch(hostile, /[\p{Cf}\u2028\ud800]|(?!\n)\p{Cc}/u);
  assert.ok(hostile.includes("\\u001b[2J"));
});

test("a report with as much as can be read makes a page of bounded size", () => {
  const octets = "00".repeat(65_535);
  const evidence = Array.from({ length: 10_000 }, (_, i) => ({
    atMs: i,
    who: "target" as const,
    what: "x",
    octets,
  }));
  const cell = { ...inventedCell("tls", "broken", "y".repeat(20_000)), evidence };
  const text = pageText(inventedSheets([{ title: "t", report: inventedReport("t", [cell]) }]));
  assert.ok(text.length < 500_000, `${text.length} characters`);
});
