import assert from "node:assert/strict";
import { test } from "node:test";
import { type ProbeCommand, readProbeArguments } from "./arguments.ts";

function read(line: string): ProbeCommand {
  const command = readProbeArguments(line.split(" ").filter((word) => word !== ""));
  assert.ok(command.ok, command.ok ? "" : command.problem);
  return command.value;
}

test("a target may have a name, and an equals sign of its own", () => {
  const command = read(
    "server mine=192.0.2.1 tls://dns.example?ip=192.0.2.2 2001:db8::1 [2001:db8::2]@53 a=tls://b?ip=c",
  );
  assert.ok(command.kind === "server");
  assert.deepEqual(
    command.targets.map(({ title, text }) => [title, text]),
    [
      ["mine", "192.0.2.1"],
      [undefined, "tls://dns.example?ip=192.0.2.2"],
      [undefined, "2001:db8::1"],
      [undefined, "[2001:db8::2]@53"],
      ["a", "tls://b?ip=c"],
    ],
  );
});

test("everything after -- is the client's, also what looks like an option", () => {
  const command = read("client --title k --thorough -- kdig --json +tls @{address} -- x");
  assert.ok(command.kind === "client");
  assert.deepEqual(command.command, ["kdig", "--json", "+tls", "@{address}", "--", "x"]);
  assert.deepEqual([command.title, command.isThorough, command.output.form.kind], ["k", true, "table"]);
});

test("one form goes to standard output, and files stand beside it", () => {
  const { output } = read(
    "report a.json --nagios rtt --thresholds 100,200 --html a.html --save b.json --pcapng c",
  ) as Extract<ProbeCommand, { kind: "report" }>;
  assert.deepEqual(output.form, { kind: "nagios", test: "rtt", thresholds: { warning: 100, critical: 200 } });
  assert.deepEqual([output.html, output.save, output.pcapng], ["a.html", "b.json", "c"]);
});

test("a key log is of connections to servers, and nothing else has one", () => {
  for (const kind of ["server", "path"]) {
    const command = read(`${kind} 192.0.2.1 --key-log k`);
    assert.ok(command.kind === kind);
    assert.equal("keyLogFile" in command && command.keyLogFile, "k");
  }
  for (const line of ["report a.json --key-log k", "client --preset dig --key-log k"])
    assert.ok(!readProbeArguments(line.split(" ")).ok, line);
});

test("names that a server is asked for may be given, each by itself", () => {
  const { names } = read("server 192.0.2.1 --signed-name s --minimised-name m") as Extract<
    ProbeCommand,
    { kind: "server" }
  >;
  const absent = { existing: undefined, delay: undefined, bogus: undefined };
  assert.deepEqual(names, { ...absent, signed: "s", minimised: "m" });
});

test("required rows may be given one by one and together", () => {
  const command = read("path 192.0.2.1 --require udp,tcp --require tls");
  assert.ok(command.kind === "path");
  assert.deepEqual([...command.output.required], ["udp", "tcp", "tls"]);
});

test("help can be asked for everywhere", () => {
  for (const line of ["--help", "-h", "server --help", "client --help", "report --help", "privacy --help"])
    assert.equal(read(line).kind, "help");
});

const MISTAKES: readonly (readonly [line: string, problem: RegExp])[] = [
  ["", /what is to be probed/],
  ["sever 192.0.2.1", /"sever" is none of server, client/],
  ["server", /needs a target/],
  ["server 192.0.2.1 --speed 9", /--speed/],
  ["server 192.0.2.1 --tls-port 65536", /"65536" is no port/],
  ["server 192.0.2.1 --json --junit", /give one of --json/],
  ["server 192.0.2.1 --thresholds 1,2", /--thresholds is for --nagios/],
  ["server 192.0.2.1 --nagios rtt --thresholds 1", /is not WARNING,CRITICAL/],
  ["server 192.0.2.1 --nagios speed", /"speed" is no test; there are lookup, rtt/],
  [`server ${Array(101).fill("192.0.2.1").join(" ")}`, /at most 100 targets/],
  ["client", /give one of -- COMMAND/],
  ["client --", /give one of -- COMMAND/],
  ["client --listen -- kdig", /give one of -- COMMAND/],
  ["client kdig", /stands after --/],
  ["client --listen --port-base x", /"x" is no port/],
  ["report", /needs a file/],
  ["privacy", /needs --config/],
  ["privacy --config a --json --statement", /give one of --json and --statement/],
  ["--schema x", /stands alone/],
];

for (const [line, expected] of MISTAKES)
  test(`a mistake is told in a sentence: sotto probe ${line.slice(0, 60)}`, () => {
    const command = readProbeArguments(line.split(" ").filter((word) => word !== ""));
    assert.match(command.ok ? "read" : command.problem, expected);
    assert.doesNotMatch(command.ok ? "" : command.problem, /\n/);
  });
