import assert from "node:assert/strict";
import { test } from "node:test";
import { planOfCommand } from "./client-plan.ts";
import { fillTemplate, type PlaceValues } from "./command-template.ts";
import { PRESET_NAMES, planOfPreset } from "./presets.ts";

const VALUES: PlaceValues = {
  address: "127.0.0.1",
  port: 5300,
  tlsPort: 5301,
  name: "resolver.sotto.test",
  caFile: "/tmp/ca.pem",
  pin: "PIN=",
  listenPort: 5353,
  configFolder: "/tmp/run",
  names: ["a.test.", "b.test.", "c.test."],
};

function filled(...argv: string[]): readonly string[] {
  return fillTemplate({ argv }, VALUES).argv;
}

test("places are filled inside arguments, and braces that mean nothing stay", () => {
  assert.deepEqual(filled("kdig", "@{address}", "+tls-ca={ca-file}", "{a: 1}", "{}"), [
    "kdig",
    "@127.0.0.1",
    "+tls-ca=/tmp/ca.pem",
    "{a: 1}",
    "{}",
  ]);
});

test("{qnames} becomes all names, and each {qname} takes the next one", () => {
  assert.deepEqual(filled("dig", "{qnames}"), ["dig", "a.test.", "b.test.", "c.test."]);
  assert.deepEqual(filled("dig", "{qname}", "{qname}"), ["dig", "a.test.", "b.test."]);
  assert.deepEqual(filled("dig", "{qname}", "{qname}", "{qname}", "{qname}").at(-1), "a.test.");
});

test("only the names that the command was told count as asked", () => {
  const count = (...argv: string[]): number => fillTemplate({ argv }, VALUES).names.length;
  assert.equal(count("drill", "{qname}"), 1);
  assert.equal(count("drill", "{qname}", "{qname}"), 2);
  assert.equal(count("dig", "{qnames}"), 3);
  assert.equal(count("getdns_query", "-F", "{qname-file}"), 3);
});

test("variables and files have places, too, and the file of names is always there", () => {
  const { environment, files } = fillTemplate(
    { argv: [], environment: { CA: "{ca-file}" }, files: { "x.conf": "port: {tls-port}\n" } },
    VALUES,
  );
  assert.deepEqual(environment, { CA: "/tmp/ca.pem" });
  assert.deepEqual(files, { "x.conf": "port: 5301\n", "qnames.txt": "a.test. A\nb.test. A\nc.test. A\n" });
});

/** Commands, and what their places are taken to mean. */
const COMMANDS: readonly (readonly [command: string, uses: readonly string[], isDaemon: boolean])[] = [
  ["dig -p {port} {qname}", ["udp", "tcp"], false],
  ["dig -p {tls-port} +tls {qname}", ["strict"], false],
  ["kdig -p {tls-port} +tls-pin={pin} {qname}", ["pinned"], false],
  ["kdig -p {tls-port} +tls-ca={ca-file} +tls-pin={pin} {qname}", ["strict", "pinned"], false],
  ["forwarder {address} {tls-port} {ca-file} --listen {listen-port}", ["strict"], true],
];

for (const [command, uses, isDaemon] of COMMANDS)
  test(`a command's places tell what it is for: ${command}`, () => {
    const plan = planOfCommand(command.split(" "));
    assert.ok(plan.ok);
    assert.deepEqual(Object.keys(plan.value.uses), uses);
    assert.equal(plan.value.isDaemon, isDaemon);
  });

/** Commands that cannot work. */
const WRONG: readonly (readonly [command: readonly string[], problem: RegExp])[] = [
  [[], /no command/],
  [["dig", "{qname}"], /neither \{port\} nor \{tls-port\}/],
  [["dig", "-p", "{port}"], /no \{qname\}/],
  [["dig", "-p", "{ports}", "{qname}"], /\{ports\} means nothing; places are/],
];

for (const [command, problem] of WRONG)
  test(`a command that cannot work is told so: ${command.join(" ")}`, () => {
    const plan = planOfCommand(command);
    assert.ok(!plan.ok);
    assert.match(plan.problem, problem);
  });

test("every preset has only places that are known, and unknown presets are told which there are", () => {
  for (const name of PRESET_NAMES) {
    const plan = planOfPreset(name, ["node", "sotto.ts"]);
    assert.ok(plan.ok, name);
    for (const { full, plain } of Object.values(plan.value.uses))
      for (const template of plain === undefined ? [full] : [full, plain]) {
        const { argv, files, environment } = fillTemplate(template, VALUES);
        const text = [...argv, ...Object.values(files), ...Object.values(environment)].join("\n");
        assert.doesNotMatch(text, /\{[a-z-]+\}/, name);
      }
  }
  const unknown = planOfPreset("nslookup", []);
  assert.ok(!unknown.ok);
  assert.match(unknown.problem, /"nslookup"; there are kdig, dig/);
});
