/**
 * Plays scenarios against a running program over real sockets, with a clock that libfaketime moves:
 * `unshare -n node scripts/replay-live.ts [--program sotto|unbound] [--only TEXT] [--verbose] FOLDER…`. Needs root, a network
 * namespace of its own (it gives all addresses of a scenario to the loopback device), and the package libfaketime.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { compareAnswer, queryOf, replyTo, type Scenario, tryReadScenario } from "@sotto/dns/testing";
import { FrameReader, frameMessage, rrTypeToText, tryDecodeMessage } from "@sotto/dns/wire";
import { scenarioConfig } from "../test/scenarios/scenario-config.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    program: { type: "string", default: "sotto" },
    only: { type: "string", default: "" },
    verbose: { type: "boolean", default: false },
  },
});

const PORT = 5399;
const ANSWER_MS_MAX = 15_000;
const START_MS_MAX = 10_000;
const FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

type Verdict = { readonly kind: "passed" | "failed" | "unsupported"; readonly problems: readonly string[] };

/** The servers of a scenario on real sockets. */
class LiveServers {
  step = 0;
  queryStep = 0;
  readonly trace: string[] = [];
  readonly #scenario: Scenario;
  readonly #sockets: Socket[] = [];
  readonly #servers: Server[] = [];
  readonly #addresses: string[] = [];
  #isClosed = false;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
  }

  async open(addresses: Iterable<string>): Promise<void> {
    for (const address of addresses) {
      const isV6 = address.includes(":");
      if (!address.startsWith("127.")) {
        spawnSync("ip", [
          "addr",
          "add",
          `${address}/${isV6 ? 128 : 32}`,
          "dev",
          "lo",
          ...(isV6 ? ["nodad"] : []),
        ]);
        this.#addresses.push(address);
      }
      const socket = createSocket(isV6 ? "udp6" : "udp4");
      socket.on("message", (octets, from) => {
        const reply = this.#answer(address, octets, "udp");
        if (reply !== undefined)
          setTimeout(() => {
            if (!this.#isClosed) socket.send(reply.octets, from.port, from.address);
          }, reply.delayMs);
      });
      await new Promise<void>((resolve, reject) => {
        socket.on("error", reject);
        socket.bind(53, address, resolve);
      });
      this.#sockets.push(socket);
      const server = createServer((stream) => {
        const frames = new FrameReader();
        stream.on("error", () => undefined);
        stream.on("data", (octets: Buffer) =>
          frames.push(new Uint8Array(octets), (message) => {
            const reply = this.#answer(address, message, "tcp");
            if (reply !== undefined)
              setTimeout(() => stream.write(frameMessage(reply.octets)), reply.delayMs);
            return true;
          }),
        );
      });
      await new Promise<void>((resolve, reject) => {
        server.on("error", reject);
        server.listen(53, address, resolve);
      });
      this.#servers.push(server);
    }
  }

  #answer(address: string, octets: Uint8Array, transport: "udp" | "tcp"): ReturnType<typeof replyTo> {
    const reply = replyTo(this.#scenario, [this.step, this.queryStep], address, octets, transport, "silence");
    this.trace.push(
      `step ${this.step} ${address} ${questionText(octets)}${reply === undefined ? " (no answer)" : ""}`,
    );
    return reply;
  }

  close(): void {
    this.#isClosed = true;
    for (const socket of this.#sockets) socket.close();
    for (const server of this.#servers) server.close();
    for (const address of this.#addresses)
      spawnSync("ip", ["addr", "del", `${address}/${address.includes(":") ? 128 : 32}`, "dev", "lo"]);
  }
}

function questionText(octets: Uint8Array): string {
  const message = tryDecodeMessage(octets);
  const question = message.ok ? message.value.questions[0] : undefined;
  return question === undefined ? "?" : `${question.name} ${rrTypeToText(question.type)}`;
}

function exchange(query: Uint8Array): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    const timer = setTimeout(() => done(undefined), ANSWER_MS_MAX);
    function done(octets: Uint8Array | undefined): void {
      clearTimeout(timer);
      socket.close();
      resolve(octets);
    }
    socket.on("message", (octets) => done(new Uint8Array(octets)));
    socket.on("error", () => undefined);
    socket.send(query, PORT, "127.0.0.1");
  });
}

function exchangeTcp(query: Uint8Array): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const frames = new FrameReader();
    const stream = connect(PORT, "127.0.0.1", () => stream.write(frameMessage(query)));
    const timer = setTimeout(() => done(undefined), ANSWER_MS_MAX);
    function done(octets: Uint8Array | undefined): void {
      clearTimeout(timer);
      stream.destroy();
      resolve(octets);
    }
    stream.on("error", () => done(undefined));
    stream.on("data", (octets: Buffer) =>
      frames.push(new Uint8Array(octets), (message) => {
        done(message.slice());
        return false;
      }),
    );
  });
}

async function ask(query: Uint8Array): Promise<Uint8Array | undefined> {
  const octets = await exchange(query);
  const message = octets && tryDecodeMessage(octets);
  return message?.ok === true && message.value.isTruncated ? exchangeTcp(query) : octets;
}

function unboundConfig(text: string, scenario: Scenario): string {
  const config = text.slice(0, text.indexOf("CONFIG_END"));
  const rest = `
server:
  interface: 127.0.0.1
  port: ${PORT}
  chroot: ""
  username: ""
  use-syslog: no
  logfile: ""
  pidfile: ""
  do-daemonize: no
  do-not-query-localhost: no
  verbosity: 1
remote-control:
  control-enable: no
`;
  if (/^\s*(server|stub-zone|forward-zone):/m.test(config)) return config.replace(/^;.*$/gm, "") + rest;
  const lines = ["server:", "  minimal-responses: no"];
  const zones: string[] = [];
  for (const { key, value } of scenario.settings) {
    if (key === "stub-addr") zones.push(`stub-zone:\n  name: "."\n  stub-addr: ${value}`);
    else if (key === "forward-addr") zones.push(`forward-zone:\n  name: "."\n  forward-addr: ${value}`);
    else if (key === "query-minimization")
      lines.push(`  qname-minimisation: ${value === "on" ? "yes" : "no"}`);
    else if (["val-override-date", "trust-anchor", "do-ip6", "do-ip4", "domain-insecure"].includes(key))
      lines.push(`  ${key}: "${value}"`);
  }
  return `${lines.join("\n")}\n${zones.join("\n")}\n${rest}`;
}

/** Scenarios are newer than the program. */
function dropUnknownSettings(file: string): void {
  const { stderr } = spawnSync("/usr/sbin/unbound-checkconf", [file], { encoding: "utf8" });
  const unknown = new Set([...stderr.matchAll(/:(\d+): error/g)].map(([, line]) => Number(line)));
  if (unknown.size === 0) return;
  const lines = readFileSync(file, "utf8").split("\n");
  writeFileSync(file, lines.filter((_, i) => !unknown.has(i + 1)).join("\n"));
}

async function startProgram(folder: string, config: string): Promise<ChildProcess> {
  const clock = join(folder, "clock");
  writeFileSync(clock, "+0");
  const env = {
    ...process.env,
    LD_PRELOAD: FAKETIME,
    FAKETIME_TIMESTAMP_FILE: clock,
    FAKETIME_NO_CACHE: "1",
  };
  const file = join(folder, "config");
  writeFileSync(file, config);
  const isSotto = values.program === "sotto";
  const command = isSotto ? process.execPath : "/usr/sbin/unbound";
  const args = isSotto
    ? [
        "--conditions=source",
        "--disable-warning=ExperimentalWarning",
        "packages/sotto/src/bin/sotto.ts",
        "serve",
        "--config",
        file,
      ]
    : ["-d", "-p", "-c", file];
  if (!isSotto) dropUnknownSettings(file);
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const isReady = isSotto ? /ready/ : /start of service/;
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`does not start: ${output}`)), START_MS_MAX);
    const take = (text: Buffer): void => {
      output += text.toString();
      if (!isReady.test(output)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    child.on("exit", () => {
      clearTimeout(timer);
      reject(new Error(`ended: ${output}`));
    });
  });
  return child;
}

async function playSteps(scenario: Scenario, servers: LiveServers, folder: string): Promise<string[]> {
  const pending: Promise<Uint8Array | undefined>[] = [];
  let elapsed = 0;
  for (const step of scenario.steps) {
    servers.step = step.number;
    const at = `step ${step.number} (line ${step.line})`;
    if (step.words[0] === "ADDRESS") return ["unsupported: clients elsewhere"];
    if (step.kind === "QUERY" && step.entry !== undefined) {
      servers.queryStep = step.number;
      pending.push(ask(queryOf(step.entry)));
    } else if (step.kind === "CHECK_ANSWER" && step.entry !== undefined) {
      const octets = await pending.shift();
      if (octets === undefined) return [`${at}: no answer`];
      const message = tryDecodeMessage(octets);
      if (!message.ok) return [`${at}: ${message.problem}`];
      const problems = compareAnswer(step.entry, message.value, true);
      if (problems.length > 0) return problems.map((text) => `${at}: ${text}`);
    } else if (step.kind === "TIME_PASSES") {
      await Promise.allSettled(pending);
      elapsed += Number(step.words.at(-1));
      writeFileSync(join(folder, "clock"), `+${elapsed}`);
    } else if (step.kind === "TRAFFIC" || step.kind === "NOTHING")
      await new Promise((resolve) => setTimeout(resolve, 1000));
    // Counting is for virtual time, where nothing else happens.
    else if (step.kind === "CHECK_QUERIES") continue;
    else return [`unsupported: ${step.kind}`];
  }
  return [];
}

async function play(path: string): Promise<Verdict & { readonly trace: readonly string[] }> {
  const text = readFileSync(path, "utf8");
  const read = tryReadScenario(text, Math.floor(Date.now() / 1000));
  if (!read.ok) return { kind: "unsupported", problems: [read.problem], trace: [] };
  const scenario = read.value;
  const { file, unsupported } = scenarioConfig(scenario);
  const isSotto = values.program === "sotto";
  if (isSotto && unsupported.length > 0) return { kind: "unsupported", problems: unsupported, trace: [] };
  const listen = ["udp", "tcp"].map((transport) => ({ transport, address: "127.0.0.1", port: PORT }));
  const configured = JSON.stringify(file).matchAll(
    /(?<=[/"[])(?:\d+\.\d+\.\d+\.\d+|[0-9a-fA-F]*:[0-9a-fA-F:]+)(?=[\]"])/g,
  );
  const addresses = new Set([
    ...scenario.ranges.flatMap((range) => range.addresses),
    ...[...configured].map(([address]) => address).filter((address) => !address.startsWith("0.")),
  ]);
  const servers = new LiveServers(scenario);
  const folder = mkdtempSync(join(tmpdir(), "replay-"));
  let child: ChildProcess | undefined;
  try {
    await servers.open(addresses);
    const config = isSotto ? JSON.stringify({ listen, ...file }) : unboundConfig(text, scenario);
    child = await startProgram(folder, config);
    const problems = await playSteps(scenario, servers, folder);
    const kind =
      problems.length === 0
        ? "passed"
        : problems[0]?.startsWith("unsupported") === true
          ? "unsupported"
          : "failed";
    return { kind, problems, trace: servers.trace };
  } catch (error) {
    return { kind: "failed", problems: [String(error)], trace: servers.trace };
  } finally {
    servers.close();
    child?.removeAllListeners("exit");
    child?.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
}

function filesIn(path: string): string[] {
  if (statSync(path).isFile()) return [path];
  return readdirSync(path)
    .filter((name) => name.endsWith(".rpl"))
    .sort()
    .map((name) => join(path, name));
}

execFileSync("ip", ["link", "set", "lo", "up"]);
const counts = { passed: 0, failed: 0, unsupported: 0 };
for (const file of positionals.flatMap(filesIn)) {
  const name = basename(file);
  if (!name.includes(values.only)) continue;
  const { kind, problems, trace } = await play(file);
  counts[kind]++;
  console.log(`${kind} ${name}: ${problems.slice(0, 2).join(" | ").slice(0, 500)}`);
  if (values.verbose) for (const line of trace) console.log(`    ${line}`);
}
console.log(`all ${counts.passed} passed, ${counts.failed} failed, ${counts.unsupported} not for us`);
