/** Each selector and each action of the front end's rules, over real sockets, from a file to an answer. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { RecordedEvents } from "@sotto/dns/testing";
import {
  EdeCode,
  EdnsOptionCode,
  type Message,
  makeClientSubnet,
  makePadding,
  Rcode,
  RRClass,
  RRType,
  tryReadExtendedError,
} from "@sotto/dns/wire";
import { type LoadedFront, loadFront } from "../../packages/sotto/src/config/index.ts";
import {
  addressIn,
  askFront,
  BACKEND_ADDRESS,
  startTestFront,
  type TestFrontOptions,
  type TestQuery,
} from "./front.test-support.ts";

/** What rules in these tests answer. */
const RULE_ADDRESS = "198.51.100.1";
const ANSWER = `{ answer: { records: ["@ 60 IN A ${RULE_ADDRESS}"] } }`;

interface SelectorCase {
  readonly title: string;
  readonly when: string;
  readonly matches: readonly TestQuery[];
  readonly misses: readonly TestQuery[];
  /** Sets, or rules before. */
  readonly before?: string;
  readonly rulesBefore?: string;
  readonly options?: TestFrontOptions;
}

const subnet = makeClientSubnet({
  address: Uint8Array.of(192, 0, 2, 0),
  sourcePrefixBits: 24,
  scopePrefixBits: 0,
});

const CASES: readonly SelectorCase[] = [
  {
    title: "client by prefix",
    when: "{ client: { prefixes: [127.0.9.0/24] } }",
    matches: [{ from: "127.0.9.7" }, { from: "127.0.9.7", transport: "tls" }],
    misses: [{ from: "127.0.8.7" }],
  },
  {
    title: "client by set",
    before: "sets: [{ name: office, kind: addresses, file: office.txt }]",
    options: { files: { "office.txt": "# ours\n127.0.9.0/24\n" } },
    when: "{ client: { sets: [office] } }",
    matches: [{ from: "127.0.9.7", transport: "tcp" }],
    misses: [{}],
  },
  {
    title: "listener",
    when: "{ listener: [stream] }",
    matches: [{ transport: "tcp" }],
    misses: [{ transport: "udp" }, { transport: "tls" }],
  },
  ...(["udp", "tcp", "tls", "https"] as const).map((transport) => ({
    title: `transport ${transport}`,
    when: `{ transport: [${transport}] }`,
    matches: [{ transport }],
    misses: (["udp", "tcp", "tls", "https"] as const)
      .filter((other) => other !== transport)
      .map((other) => ({ transport: other })),
  })),
  {
    title: "TLS version",
    when: "{ tls-version: [TLSv1.2] }",
    matches: [{ transport: "tls", tls: { maxVersion: "TLSv1.2" } }],
    misses: [{ transport: "tls" }, { transport: "tcp" }],
  },
  {
    title: "ALPN",
    when: "{ alpn: [dot] }",
    matches: [{ transport: "tls" }],
    misses: [{ transport: "tls", tls: { ALPNProtocols: [] } }, {}],
  },
  {
    title: "name by suffix, in any case",
    when: "{ name: { suffixes: [very.deep.name.example] } }",
    matches: [{ name: "A.VERY.deep.name.example." }],
    misses: [{ name: "www.example." }],
  },
  {
    title: "name exactly",
    when: "{ name: { exact: [www.example] } }",
    matches: [{}],
    misses: [{ name: "a.www.example." }, { name: "other.example." }],
  },
  ...[
    ["domains", "! list\n||very.deep.name.example^\n"],
    ["hosts", "0.0.0.0 a.very.deep.name.example\n"],
    ["rpz", "$TTL 60\n@ SOA a. b. 1 2 3 4 5\n*.deep.name.example CNAME .\n"],
  ].map(([format = "", text = ""]) => ({
    title: `name in a list of format ${format}`,
    before: `sets: [{ name: ads, kind: names, file: list.txt, format: ${format} }]`,
    options: { files: { "list.txt": text } },
    when: "{ name: { sets: [ads] } }",
    matches: [{ name: "a.very.deep.name.example." }],
    misses: [{}],
  })),
  { title: "type", when: "{ type: [A, TXT] }", matches: [{}], misses: [{ type: RRType.AAAA }] },
  {
    title: "class",
    when: "{ class: [ANY] }",
    matches: [{ class: RRClass.ANY }],
    misses: [{}],
  },
  { title: "opcode QUERY", when: "{ opcode: [QUERY] }", matches: [{}], misses: [] },
  {
    title: "flags",
    when: "{ flags: { cd: true, ad: false, do: true, rd: true } }",
    matches: [{ checkingDisabled: true, edns: { dnssecOk: true } }],
    misses: [
      { checkingDisabled: true },
      { checkingDisabled: true, authenticData: true, edns: { dnssecOk: true } },
    ],
  },
  {
    title: "EDNS is there",
    when: "{ edns: { present: true } }",
    matches: [{}],
    misses: [{ edns: false }],
  },
  {
    title: "EDNS options",
    when: "{ edns: { options: [client-subnet, 65001] } }",
    matches: [{ options: [subnet] }, { options: [{ code: 65001, data: new Uint8Array(1) }] }],
    misses: [{ options: [makePadding(1)] }],
  },
  {
    title: "EDNS payload size",
    when: "{ edns: { payload-min: 4000 } }",
    matches: [{ edns: { udpPayloadOctets: 4096 } }],
    misses: [{}, { edns: false }],
  },
  {
    title: "rate of one client",
    when: "{ client-rate: { per-second: 0.001, burst: 2 } }",
    // The second query of each look comes along with the first, and both count.
    matches: [{ from: "127.0.7.1" }].flatMap((one) => [one, one]).slice(1),
    misses: [{ from: "127.0.7.2" }],
    rulesBefore: "",
  },
  {
    title: "pool that is down",
    when: "{ pool: { name: gone, state: down } }",
    matches: [{}],
    misses: [],
  },
  {
    title: "time",
    when: `{ time: { after: "20200101000000", days: [sun, mon, tue, wed, thu, fri, sat], from: "00:00", to: "24:00" } }`,
    matches: [{}],
    misses: [],
  },
  { title: "time that is over", when: `{ time: { before: "20200101000000" } }`, matches: [], misses: [{}] },
  {
    title: "tag of an earlier rule",
    rulesBefore: "  - { name: mark, when: { type: [AAAA] }, then: { tag: [six] } }\n",
    when: "{ tag: [six] }",
    matches: [{ type: RRType.AAAA }],
    misses: [{}],
  },
  {
    title: "length of the name",
    when: "{ name-length: { min: 20 } }",
    matches: [{ name: "a.very.deep.name.example." }],
    misses: [{}],
  },
  {
    title: "labels of the name",
    when: "{ labels: { min: 4, max: 5 } }",
    matches: [{ name: "a.very.deep.name.example." }],
    misses: [{}],
  },
  { title: "certain chance", when: "{ chance: 1 }", matches: [{}, {}, {}], misses: [] },
  { title: "no chance", when: "{ chance: 0 }", matches: [], misses: [{}, {}, {}] },
  {
    title: "not",
    when: "{ not: { transport: [udp] } }",
    matches: [{ transport: "tcp" }],
    misses: [{}],
  },
  {
    title: "any",
    when: "{ any: [{ type: [AAAA] }, { transport: [tls] }] }",
    matches: [{ type: RRType.AAAA }, { transport: "tls" }],
    misses: [{}],
  },
];

/** The rule's address stands for its answer; types without one get NODATA from the rule. */
function isByRule(message: Message | undefined, type: number | undefined): boolean {
  if (type === RRType.AAAA) return message?.answers.length === 0;
  return addressIn(message) === RULE_ADDRESS;
}

for (const { title, when, matches, misses, before = "", rulesBefore = "", options } of CASES) {
  test(`selector: ${title}`, { timeout: 20_000 }, async (context) => {
    const rules = `rules:\n${rulesBefore}  - { name: control, when: { name: { exact: [control.example] } }, then: { allow: true } }\n`;
    const text = `${before}\n${rules}  - { name: tested, when: ${when}, then: ${ANSWER} }`;
    const front = await startTestFront(context, text, options);
    if (title.startsWith("pool")) await untilDown(front.front, "gone");
    if (title.startsWith("rate")) for (let i = 0; i < 2; i++) await askFront(front, { from: "127.0.7.1" });
    for (const query of misses)
      assert.ok(!isByRule(await askFront(front, query), query.type), `misses ${JSON.stringify(query)}`);
    for (const query of matches)
      assert.ok(isByRule(await askFront(front, query), query.type), `matches ${JSON.stringify(query)}`);
  });
}

/** Checks of the pool's backends fail soon: nobody listens there. */
async function untilDown(
  front: {
    readonly status: { readonly pools: readonly { readonly name: string; readonly isDown: boolean }[] };
  },
  name: string,
): Promise<void> {
  while (front.status.pools.find((pool) => pool.name === name)?.isDown !== true)
    await new Promise((resolve) => setImmediate(resolve));
}

test("selector: certificate of the client", { timeout: 20_000 }, async (context) => {
  const front = await startTestFront(
    context,
    `rules: [{ name: known, when: { certificate: { names: [client.example] } }, then: ${ANSWER} }]`,
    { tls: ", client-certificates: { authorities: clients.pem, effect: sufficient }" },
  );
  assert.equal(addressIn(await askFront(front, { transport: "tls", tls: front.client })), RULE_ADDRESS);
  assert.equal(addressIn(await askFront(front, { transport: "tls" })), BACKEND_ADDRESS);
});

test("selector: rate of a name", { timeout: 20_000 }, async (context) => {
  const front = await startTestFront(
    context,
    `rules: [{ name: hot, when: { name: { exact: [www.example] }, name-rate: { per-second: 0.001, burst: 1 } }, then: ${ANSWER} }]`,
  );
  assert.equal(addressIn(await askFront(front)), BACKEND_ADDRESS);
  assert.equal(addressIn(await askFront(front, { from: "127.0.5.5" })), RULE_ADDRESS);
  assert.equal(addressIn(await askFront(front, { name: "other.example." })), BACKEND_ADDRESS);
});

/** A front end with one rule for www.example. */
function withAction(context: TestContext, then: string, more = "", options?: TestFrontOptions) {
  return startTestFront(
    context,
    `${more}\nrules: [{ name: tested, when: { name: { exact: [www.example] } }, then: ${then} }, { name: rest, when: { name: { exact: [www.example] } }, then: ${ANSWER} }]`,
    options,
  );
}

function edeOf(message: Message | undefined): readonly [code: number, text: string] | undefined {
  const option = message?.edns?.options.find(({ code }) => code === EdnsOptionCode.ExtendedError);
  const read = option && tryReadExtendedError(option.data);
  return read?.ok === true ? [read.value.code, read.value.text] : undefined;
}

test("action: allow ends the walk", { timeout: 20_000 }, async (context) => {
  assert.equal(addressIn(await askFront(await withAction(context, "{ allow: true }"))), BACKEND_ADDRESS);
});

test("action: refuse, with a response code and a reason", { timeout: 20_000 }, async (context) => {
  const front = await withAction(context, `{ refuse: { rcode: NXDOMAIN, ede: 15, text: "by order" } }`);
  for (const transport of ["udp", "tcp", "tls", "https"] as const) {
    const message = await askFront(front, { transport });
    assert.deepEqual([message?.rcode, edeOf(message)], [Rcode.NXDomain, [EdeCode.Blocked, "by order"]]);
  }
  assert.equal(front.backend.seen.filter(({ name }) => name === "www.example.").length, 0);
});

test("action: drop", { timeout: 20_000 }, async (context) => {
  const front = await withAction(context, "{ drop: true }");
  assert.equal(await askFront(front), undefined);
  assert.equal(await askFront(front, { transport: "tls" }), undefined);
});

test("action: truncate over UDP, the next rule over streams", { timeout: 20_000 }, async (context) => {
  const front = await withAction(context, "{ truncate: true }");
  const message = await askFront(front);
  assert.deepEqual([message?.isTruncated, message?.answers.length], [true, 0]);
  assert.equal(addressIn(await askFront(front, { transport: "tcp" })), RULE_ADDRESS);
});

test("action: answer with records, without, and for types that it has none of", {
  timeout: 20_000,
}, async (context) => {
  const front = await withAction(context, ANSWER);
  assert.equal(addressIn(await askFront(front, { transport: "tcp" })), RULE_ADDRESS);
  const other = await askFront(front, { type: RRType.TXT });
  assert.deepEqual([other?.rcode, other?.answers.length, other?.authorities.length], [0, 0, 1]);
  const gone = await withAction(context, "{ answer: { rcode: NXDOMAIN, ttl: 5s } }");
  const message = await askFront(gone);
  assert.deepEqual([message?.rcode, message?.authorities[0]?.ttl], [Rcode.NXDomain, 5]);
});

test("action: policy does what the list says", { timeout: 20_000 }, async (context) => {
  const zone = `$TTL 60
@ SOA a. b. 1 2 3 4 5
www.example CNAME .
other.example CNAME *.
a.very.deep.name.example A 203.0.113.9
tcp.example CNAME rpz-tcp-only.
drop.example CNAME rpz-drop.
pass.example CNAME rpz-passthru.
`;
  const front = await startTestFront(
    context,
    `sets: [{ name: policy, kind: names, file: policy.rpz, format: rpz }]
rules: [{ name: policy, when: { name: { sets: [policy] } }, then: { policy: {} } }]`,
    { files: { "policy.rpz": zone } },
  );
  assert.equal((await askFront(front))?.rcode, Rcode.NXDomain);
  const nodata = await askFront(front, { name: "other.example." });
  assert.deepEqual([nodata?.rcode, nodata?.answers.length], [0, 0]);
  assert.equal(addressIn(await askFront(front, { name: "a.very.deep.name.example." })), "203.0.113.9");
  assert.equal((await askFront(front, { name: "tcp.example." }))?.isTruncated, true);
  assert.equal((await askFront(front, { name: "tcp.example.", transport: "tcp" }))?.isTruncated, false);
  assert.equal(await askFront(front, { name: "drop.example." }), undefined);
  assert.equal((await askFront(front, { name: "pass.example." }))?.isTruncated, false);
});

test("action: route", { timeout: 20_000 }, async (context) => {
  const front = await withAction(context, "{ route: second }");
  assert.equal(addressIn(await askFront(front, { transport: "tls" })), BACKEND_ADDRESS);
  assert.deepEqual(
    front.second.seen.map(({ name }) => name),
    ["www.example."],
  );
});

test("action: rate-limit, then refuse, drop or truncate", { timeout: 20_000 }, async (context) => {
  for (const action of ["refuse", "drop", "truncate"]) {
    const front = await withAction(
      context,
      `{ rate-limit: { per-second: 0.001, burst: 1, action: ${action} } }`,
    );
    assert.equal(addressIn(await askFront(front, { from: "127.0.3.1" })), RULE_ADDRESS);
    const limited = await askFront(front, { from: "127.0.3.1" });
    if (action === "drop") assert.equal(limited, undefined);
    else
      assert.deepEqual(
        [limited?.rcode, limited?.isTruncated],
        action === "refuse" ? [Rcode.Refused, false] : [0, true],
      );
    assert.equal(addressIn(await askFront(front, { from: "127.0.3.2" })), RULE_ADDRESS);
  }
});

test("action: delay", { timeout: 20_000 }, async (context) => {
  const front = await startTestFront(
    context,
    "rules: [{ name: slow, when: { name: { exact: [www.example] } }, then: { delay: 60ms } }]",
  );
  const beforeMs = performance.now();
  assert.equal(addressIn(await askFront(front, { transport: "https" })), BACKEND_ADDRESS);
  assert.ok(performance.now() - beforeMs >= 59);
  assert.equal(front.front.status.front.delayed, 1);
});

test("action: options and client subnet towards backends", { timeout: 20_000 }, async (context) => {
  const front = await startTestFront(
    context,
    `rules:
  - { name: set, when: { name: { exact: [www.example] } }, then: { set-options: [{ option: 65001, data: beef }], client-subnet: { set: client, ipv4: 16 } } }
  - { name: strip, when: { name: { exact: [other.example] } }, then: { client-subnet: { set: strip } } }`,
  );
  await askFront(front, { from: "127.3.4.5" });
  await askFront(front, { name: "other.example.", options: [subnet] });
  await askFront(front, { name: "a.very.deep.name.example.", options: [subnet] });
  const optionsOf = (name: string): string[] =>
    (front.backend.seen.find((one) => one.name === name)?.options ?? [])
      .filter(({ code }) => code === 65001 || code === EdnsOptionCode.ClientSubnet)
      .map(({ code, data }) => `${code} ${Buffer.from(data).toString("hex")}`);
  assert.deepEqual(optionsOf("www.example.").toSorted(), ["65001 beef", "8 000110007f03"]);
  assert.deepEqual(optionsOf("other.example."), []);
  assert.deepEqual(optionsOf("a.very.deep.name.example."), ["8 00011800c00002"]);
});

test("action: an alias is followed, also one of a policy zone", { timeout: 20_000 }, async (context) => {
  const front = await startTestFront(
    context,
    `sets: [{ name: policy, kind: names, file: policy.rpz, format: rpz }]
rules:
  - { name: safe, when: { name: { exact: [search.test] } }, then: { answer: { records: ["@ 60 CNAME www.example."] } } }
  - { name: policy, when: { name: { sets: [policy] } }, then: { policy: {} } }`,
    { files: { "policy.rpz": "garden.test CNAME www.example.\na.very.deep CNAME *.name.example.\n" } },
  );
  for (const transport of ["udp", "tcp", "tls", "https"] as const)
    for (const name of ["search.test.", "garden.test.", "a.very.deep."]) {
      const message = await askFront(front, { name, transport });
      assert.deepEqual([message?.rcode, addressIn(message)], [0, BACKEND_ADDRESS], `${name} ${transport}`);
      assert.equal(message?.answers[0]?.owner.toString(), name);
    }
});

test("action: what stands beside a refusal is done, too", { timeout: 20_000 }, async (context) => {
  const events = new RecordedEvents();
  const front = await startTestFront(
    context,
    "rules: [{ name: seen, when: { name: { exact: [www.example] } }, then: { log: true, tee: [second], delay: 60ms, refuse: {} } }]",
    { events },
  );
  const beforeMs = performance.now();
  assert.equal((await askFront(front, { transport: "https" }))?.rcode, Rcode.Refused);
  assert.ok(performance.now() - beforeMs >= 59);
  assert.deepEqual(events.named("front.query")[0]?.["rules"], ["seen"]);
  assert.deepEqual(
    [front.front.status.front.teed, front.backend.seen.some(({ name }) => name === "www.example.")],
    [1, false],
  );
});

test("action: log and tee", { timeout: 20_000 }, async (context) => {
  const events = new RecordedEvents();
  const front = await startTestFront(
    context,
    "rules: [{ name: seen, when: { name: { exact: [www.example] } }, then: { log: true, tag: [odd], tee: [second] } }]",
    { events },
  );
  assert.equal(addressIn(await askFront(front, { from: "127.0.2.2" })), BACKEND_ADDRESS);
  const [logged] = events.named("front.query");
  assert.equal(logged?.["client"], "127.0.2.2");
  assert.deepEqual(logged?.["tags"], ["odd"]);
  assert.equal(front.front.status.front.teed, 1);
});

test("action: ban, and bans of those who do not stop", { timeout: 20_000 }, async (context) => {
  const front = await withAction(context, "{ ban: { for: 1m }, refuse: {} }", "clients: { banned: refuse }");
  const from = "127.0.1.9";
  assert.equal((await askFront(front, { from }))?.rcode, Rcode.Refused);
  assert.equal((await askFront(front, { from, name: "other.example." }))?.rcode, Rcode.Refused);
  assert.equal(addressIn(await askFront(front, { name: "other.example." })), BACKEND_ADDRESS);
  assert.ok(front.front.status.rules.clients.banned > 0);
});

test("a changed list is in force without a restart, a broken one is not", {
  timeout: 20_000,
}, async (context) => {
  const rules = `sets: [{ name: ads, kind: names, file: ads.txt }]
rules: [{ name: ads, when: { name: { sets: [ads] } }, then: { refuse: {} } }]`;
  const front = await startTestFront(context, rules, { files: { "ads.txt": "www.example\n" } });
  assert.equal((await askFront(front))?.rcode, Rcode.Refused);
  writeFileSync(join(front.folder, "ads.txt"), "other.example\n");
  await front.front.reload(front.config(rules));
  assert.equal(addressIn(await askFront(front)), BACKEND_ADDRESS);
  assert.equal((await askFront(front, { name: "other.example." }))?.rcode, Rcode.Refused);
  writeFileSync(join(front.folder, "ads.txt"), "<html><body>404 Not Found</body></html>\n");
  await assert.rejects(front.front.reload(front.config(rules)), /set "ads".*ads\.txt/);
  assert.equal((await askFront(front, { name: "other.example." }))?.rcode, Rcode.Refused);
});

test("a mistake is refused with line, value and hint, and what runs stays", { timeout: 20_000 }, () => {
  const text = `listen: [{ transport: udp, address: 127.0.0.1, port: 0 }]
pools:
  - { name: main, backends: [{ address: "tcp://127.0.0.1:1" }] }
rules:
  - name: typo
    when: { tranport: [udp] }
    then: { refuse: {} }
  - name: nowhere
    then: { route: mian }
  - name: both
    then: { allow: true, drop: true }
`;
  const loaded = loadFront(text.replace("tranport", "transport"), "front.yaml");
  assert.equal(loaded.ok, false);
  const told = (one: LoadedFront): string[] =>
    one.ok ? [] : one.problems.map(({ line, path, message }) => `${line} ${path} ${message}`);
  assert.ok(
    told(loaded).some((line) =>
      /^9 rules\[1\]\.then\.route there is no pool "mian", did you mean "main"\?/.test(line),
    ),
    told(loaded).join("\n"),
  );
  assert.ok(
    told(loaded).some((line) => line.startsWith("11 rules[2].then")),
    told(loaded).join("\n"),
  );
  const typo = told(loadFront(text, "front.yaml"));
  assert.ok(
    typo.some((line) => /^6 rules\[0\]\.when\.tranport unknown key, did you mean "transport"\?/.test(line)),
    typo.join("\n"),
  );
});
