import assert from "node:assert/strict";
import { test } from "node:test";
import {
  INCLUDE_DEPTH_MAX,
  INCLUDES_MAX,
  tryParseZone,
  type ZoneTextOptions,
  zoneToText,
} from "./master-file.ts";
import { parseName } from "./name.ts";
import { parsed, problem } from "./parsed.ts";

/** The records as text, blanks for tabs, or the problem. */
function read(text: string, options: ZoneTextOptions = {}): string[] {
  const zone = tryParseZone(text, { origin: parseName("example."), ...options });
  return zone.ok
    ? zoneToText(zone.value)
        .trimEnd()
        .split("\n")
        .map((line) => line.replaceAll("\t", " "))
    : [zone.problem];
}

test("an empty text is a zone without records", () => {
  assert.deepEqual(tryParseZone("; nothing\n\n"), { ok: true, value: [] });
  assert.equal(zoneToText([]), "");
});

test("owners, classes and TTLs left out are those of the record before", () => {
  assert.deepEqual(read("www 60 CH A 192.0.2.1\n A 192.0.2.2\n\tIN 30 A 192.0.2.3\n@ NS ns\n"), [
    "www.example. 60 CH A 192.0.2.1",
    "www.example. 60 CH A 192.0.2.2",
    "www.example. 30 IN A 192.0.2.3",
    "example. 30 IN NS ns.example.",
  ]);
});

test("$TTL is stronger than the TTL of the record before it", () => {
  assert.deepEqual(
    read("a 60 A 192.0.2.1\n$TTL 1h\nb A 192.0.2.2\nc 5 A 192.0.2.3\nd A 192.0.2.4\n$TTL 2\ne A 192.0.2.5"),
    [
      "a.example. 60 IN A 192.0.2.1",
      "b.example. 3600 IN A 192.0.2.2",
      "c.example. 5 IN A 192.0.2.3",
      "d.example. 3600 IN A 192.0.2.4",
      "e.example. 2 IN A 192.0.2.5",
    ],
  );
  assert.deepEqual(read("a A 192.0.2.1", { ttl: 9 }), ["a.example. 9 IN A 192.0.2.1"]);
});

test("$ORIGIN changes relative names, and may itself be relative", () => {
  assert.deepEqual(read("$ORIGIN sub\na 1 CNAME b\n$origin test.\na CNAME @\n b"), [
    'zone:5: "b" is not a TTL, class or type',
  ]);
  assert.deepEqual(read("$ORIGIN sub\na 1 CNAME b\n$origin test.\na CNAME @\n"), [
    "a.sub.example. 1 IN CNAME b.sub.example.",
    "a.test. 1 IN CNAME test.",
  ]);
});

test("an included file has its own origin, and the file that includes it keeps origin and owner", () => {
  const files = new Map([
    ["sub.zone", "x 7 A 192.0.2.1\n$ORIGIN else.\ny A 192.0.2.2\n"],
    ["plain", "z A 192.0.2.3\n"],
  ]);
  const include = (path: string) => {
    const text = files.get(path);
    return text === undefined ? problem("no such file") : parsed(text);
  };
  assert.deepEqual(
    read('www 1 A 192.0.2.9\n$INCLUDE "sub.zone" sub ; comment\n A 192.0.2.10\n$INCLUDE plain\n', {
      include,
    }),
    [
      "www.example. 1 IN A 192.0.2.9",
      "x.sub.example. 7 IN A 192.0.2.1",
      "y.else. 7 IN A 192.0.2.2",
      "www.example. 7 IN A 192.0.2.10",
      "z.example. 7 IN A 192.0.2.3",
    ],
  );
  assert.deepEqual(read("\n$INCLUDE missing", { include }), ["zone:2: cannot include missing: no such file"]);
  files.set("bad", "\n\na 1 A nonsense\n");
  assert.match(read("$INCLUDE bad", { include })[0] ?? "", /^bad:3: A a\.example\.: /);
});

test("files that include each other end at a limit", () => {
  const self = (): ReturnType<typeof parsed<string>> => parsed("$INCLUDE self\n");
  assert.deepEqual(read("$INCLUDE self", { include: self }), [
    `self:1: files include each other more than ${INCLUDE_DEPTH_MAX} deep`,
  ]);
  let asked = 0;
  const many = (path: string): ReturnType<typeof parsed<string>> => {
    asked++;
    return parsed(path === "leaf" ? "" : "$INCLUDE leaf\n".repeat(100));
  };
  assert.match(
    read("$INCLUDE branch\n".repeat(100), { include: many })[0] ?? "",
    /more than 1000 files are included/,
  );
  assert.equal(asked, INCLUDES_MAX);
});

test("problems say file, line, what and why", async (context) => {
  const bad: readonly (readonly [string, RegExp])[] = [
    [" 1 A 192.0.2.1", /^f\.zone:1: record begins with a blank, but there is no owner before it$/],
    ["a A 192.0.2.1", /^f\.zone:1: record has no TTL, and there is no \$TTL before it$/],
    ["\n\n$GENERATE 1-9 a$ A 192.0.2.$", /^f\.zone:3: \$GENERATE is not supported, write the records out$/],
    ["$NONSENSE x", /^f\.zone:1: \$NONSENSE is unknown/],
    ["$TTL", /^f\.zone:1: \$TTL wants exactly one argument$/],
    ["$TTL 1 2", /^f\.zone:1: \$TTL wants exactly one argument$/],
    ["$TTL soon", /^f\.zone:1: "soon" is not a TTL/],
    ["$ORIGIN a..b", /^f\.zone:1: name "a..b" has an empty label$/],
    ["$INCLUDE other", /^f\.zone:1: \$INCLUDE cannot be used here$/],
    ["$INCLUDE", /^f\.zone:1: \$INCLUDE wants a file/],
    ["a 1 SOA ns h (\n1 2 3\n4", /^f\.zone:3: parenthesis is never closed$/],
    ['a 1 TXT (\n"x\n)', /^f\.zone:2: quoted string is not closed on its line$/],
    ["a 1 A 192.0.2.1\na 1 MX mail", /^f\.zone:2: MX a\.example\.: /],
    ["a 1 SOA ns h (\n1 2 3\nx 5 )\n", /^f\.zone:1: SOA a\.example\.: /],
  ];
  for (const [text, wrong] of bad) {
    await context.test(JSON.stringify(text), () =>
      assert.match(read(text, { fileName: "f.zone" })[0] ?? "", wrong),
    );
  }
});

test("an owner that begins with a dollar sign is written with a backslash", () => {
  assert.deepEqual(read("\\$x 1 A 192.0.2.1"), ["\\$x.example. 1 IN A 192.0.2.1"]);
});

test("line ends of all kinds and comments everywhere do no harm", () => {
  const text = "a 1 SOA ns. h. ( ; open\r\n\t1 ; serial\r\n 2 3 4 ; (\r\n 5 ) ; close )\r\n";
  assert.deepEqual(read(text), ["a.example. 1 IN SOA ns. h. 1 2 3 4 5"]);
});

test("what is printed is read back the same", () => {
  const text = [
    'a\\.b 1 TXT "x;y" "\\"" "\\\\" "\\000"',
    "*.w 1 MX 10 \\@",
    "t 1 TYPE65280 \\# 3 010203",
    's 1 SVCB 1 . alpn="h2,h3" port=853',
  ].join("\n");
  const zone = tryParseZone(text, { origin: parseName("example.") });
  assert.ok(zone.ok, zone.ok ? "" : zone.problem);
  assert.deepEqual(tryParseZone(zoneToText(zone.value)), zone);
});
