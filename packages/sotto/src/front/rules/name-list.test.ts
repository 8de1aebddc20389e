import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@sotto/dns/testing";
import { parseName } from "@sotto/dns/wire";
import {
  LINE_OCTETS_MAX,
  type LoadedNames,
  loadNameSet,
  type NameListFormat,
  NameListReader,
} from "./name-list.ts";
import { namesOf } from "./rules.test-support.ts";

/** What the list says for a name, as the kind of its policy. */
function said({ names, policies }: LoadedNames, name: string): string {
  return policies[names.find(parseName(name).wire, 0)]?.kind ?? "";
}

function problemOf(octets: Uint8Array | Iterable<Uint8Array>, format: NameListFormat): string {
  const loaded = loadNameSet(octets, { format, source: "ads.txt" }, new SeededRandom(1));
  assert.ok(!loaded.ok);
  return loaded.problem;
}

test("a domain list has names, wildcards, comments and the filters that are about names", () => {
  const list = namesOf(
    [
      "\uFEFFfirst.example",
      "# comment",
      "! comment",
      "[Adblock Plus 2.0]",
      "",
      "  Spaced.Example.  # why",
      "*.wild.example",
      ".dot.example",
      "||filter.example^",
      "@@||ok.filter.example^",
      "crlf.example\r",
      "last.example",
    ].join("\n"),
  );
  assert.deepEqual(list.report.problems, []);
  assert.equal(list.report.names, 8);
  for (const [name, kind] of [
    ["first.example.", "listed"],
    ["www.spaced.example.", "listed"],
    ["wild.example.", "none"],
    ["a.wild.example.", "listed"],
    ["dot.example.", "listed"],
    ["a.filter.example.", "listed"],
    ["ok.filter.example.", "pass"],
    ["crlf.example.", "listed"],
    ["last.example.", "listed"],
    ["example.", "none"],
  ] as const)
    assert.equal(said(list, name), kind, name);
});

test("a hosts file lists names for themselves, and not those of the machine", () => {
  const list = namesOf(
    "127.0.0.1 localhost\n::1 ip6-localhost ip6-loopback\n0.0.0.0 ads.example tracker.example # two\n0.0.0.0\tBad.example\n",
    "hosts",
  );
  assert.equal(list.report.names, 3);
  assert.equal(said(list, "ads.example."), "listed");
  assert.equal(said(list, "www.ads.example."), "none");
  assert.equal(said(list, "bad.example."), "listed");
  assert.equal(said(list, "localhost."), "none");
});

test("bad lines are skipped, counted and told with file, line, what and hint", () => {
  const list = namesOf(
    `good.example\ntwo words\nbad..example\n1.2.3.4\n||x.example^$third-party\nbücher.example\n${"a".repeat(64)}.example\nb.example\nc.example\nd.example\ne.example\nf.example\n`,
  );
  assert.equal(list.report.names, 6);
  assert.equal(list.report.bad, 5);
  assert.equal(list.report.unsupported, 1);
  assert.deepEqual(list.report.problems.slice(0, 3), [
    "list:2: has more than a name, one name a line, or say format: hosts",
    'list:3: "bad..example" is not a name, labels of 1 to 63 letters, digits, - and _, others as xn--',
    'list:4: "1.2.3.4" is not a name, labels of 1 to 63 letters, digits, - and _, others as xn--',
  ]);
});

test("what is no list is a problem as a whole", () => {
  const random = new SeededRandom(3);
  const page = new TextEncoder().encode("<html>\n<body>\n<p>404 not found</p>\n</body>\n</html>\n");
  for (const format of ["domains", "hosts", "rpz"] as const) {
    assert.match(problemOf(page, format), /ads\.txt is no list of format/, format);
    assert.match(problemOf(random.octets(200_000), format), /ads\.txt is no list of format/, format);
  }
});

test("a line as long as memory is skipped without being kept", () => {
  function* pieces(): Iterable<Uint8Array> {
    yield new TextEncoder().encode("a.example\n");
    for (let i = 0; i < 200; i++) yield new Uint8Array(65_536).fill(0x61);
    yield new TextEncoder().encode("\nb.example\n");
  }
  const loaded = loadNameSet(pieces(), { format: "domains", source: "ads.txt" }, new SeededRandom(1));
  assert.ok(loaded.ok);
  assert.equal(loaded.value.report.names, 2);
  assert.deepEqual(loaded.value.report.problems, [
    `ads.txt:2: line is longer than ${LINE_OCTETS_MAX} octets, one name a line`,
  ]);
});

test("a million equal names take the memory of one", () => {
  const chunk = new TextEncoder().encode("same.example\n".repeat(5000));
  const reader = new NameListReader({ format: "domains", source: "ads.txt" }, new SeededRandom(1));
  for (let i = 0; i < 200; i++) reader.push(chunk);
  const loaded = reader.finish();
  assert.ok(loaded.ok);
  const { names, report } = loaded.value;
  assert.deepEqual([names.size, report.lines, report.repeated], [1, 1_000_000, 999_999]);
  assert.ok(names.bytes < 4096, `${names.bytes} bytes`);
});

for (const format of ["domains", "hosts", "rpz"] as const) {
  test(`a list of format ${format} may come in pieces of any size`, () => {
    const text = {
      domains: "a.example\r\n*.b.example\n\nc.example",
      hosts: "0.0.0.0 a.example b.example\r\n0.0.0.0 c.example",
      rpz: "$TTL 60\n@ SOA a. b. (\n 1 2 3 4 5 )\na.example CNAME .\n*.b.example CNAME *.\n A 192.0.2.1",
    }[format];
    const octets = new TextEncoder().encode(text);
    const whole = loadNameSet(octets, { format, source: "x" }, new SeededRandom(1));
    assert.ok(whole.ok);
    for (const size of [1, 2, 3, 7]) {
      const reader = new NameListReader({ format, source: "x" }, new SeededRandom(1));
      for (let at = 0; at < octets.length; at += size) reader.push(octets.subarray(at, at + size));
      const loaded = reader.finish();
      assert.ok(loaded.ok);
      assert.deepEqual(loaded.value.report, whole.value.report);
    }
  });
}

test("random octets never throw, in any format and any pieces", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new SeededRandom(seed);
    const alphabet = 'ab.*|^@ \t\r\n#;!()"\\$0:CNAME A SOA TTL rpz-drop'.split("");
    const text = Array.from({ length: random.below(400) }, () =>
      random.chance(0.02) ? String.fromCharCode(random.below(256)) : alphabet[random.below(alphabet.length)],
    ).join("");
    for (const format of ["domains", "hosts", "rpz"] as const)
      assert.doesNotThrow(() => {
        loadNameSet(Buffer.from(text, "latin1"), { format, source: "x" }, random);
      }, `seed ${seed} ${format}`);
  }
});
