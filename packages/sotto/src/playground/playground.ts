/** `sotto playground`: the fake internet, a resolver on it, a show of queries, and then a place to try things. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DnsError, type Runtime, silentEvents } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { FakeInternet, SimNetwork } from "@sotto/dns/testing";
import { Exchanger } from "@sotto/dns/transport";
import { parseName, RRClass, rcodeToText, recordToText, rrTypeFromText } from "@sotto/dns/wire";
import { type RunningServer, startRecursor } from "../compose/index.ts";
import { loadConfig, problemToText } from "../config/index.ts";
import { ExitCode, makeAuthority, type ProgramIo, spkiPin } from "../operations/index.ts";
import { protectionText } from "../tools/query/index.ts";
import { PLAYGROUND_USAGE, type PlaygroundOptions, parsePlaygroundArguments } from "./arguments.ts";
import { exposeInternet } from "./expose.ts";
import { nextStepsText, type PlaygroundPlace } from "./next-steps.ts";
import { answerText, queryHeading, StepRecorder, stepText } from "./show.ts";
import { SHOW_QUERIES } from "./show-queries.ts";

/** The name in the resolver's certificate; example. is reserved (RFC 2606). */
const AUTH_NAME = "resolver.example";
/** Address of the resolver inside the fake internet. */
const RESOLVER_ADDRESSES = ["192.0.2.253", "2001:db8:53::253"];
/** One way, between any two hosts of the fake internet: enough to see, not enough to bore. */
const LATENCY_MS = 2;
const SHOW_DEADLINE_MS = 10_000;

/** Runs the command; see {@link PLAYGROUND_USAGE}. */
export async function runPlayground(args: readonly string[], io: ProgramIo): Promise<number> {
  const options = parsePlaygroundArguments(args);
  if (!options.ok) {
    io.stderr.write(`sotto playground: ${options.problem}\n${PLAYGROUND_USAGE}`);
    return ExitCode.Usage;
  }
  if (options.value.isHelp) {
    io.stdout.write(PLAYGROUND_USAGE);
    return ExitCode.Ok;
  }
  const closers: (() => Promise<void> | void)[] = [];
  try {
    return await play(options.value, io, closers);
  } catch (error) {
    if (!DnsError.is(error)) throw error;
    io.stderr.write(`sotto playground: ${error.message}\n`);
    return ExitCode.Failed;
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function play(
  options: PlaygroundOptions,
  io: ProgramIo,
  closers: (() => Promise<void> | void)[],
): Promise<number> {
  const recorder = new StepRecorder(silentEvents);
  const runtime = nodeRuntime(recorder);
  io.stdout.write("Building an internet in memory …\n");
  const { internet, upstreamRuntime } = await buildInternet(runtime, closers);
  const folder = openFolder(options, closers);
  const { place, server } = await startResolver(options, folder, internet, runtime, upstreamRuntime);
  closers.push(() => server.close());
  const exposed = options.isExposed ? await exposeInternet(options.exposePort, folder, runtime) : undefined;
  if (exposed !== undefined) closers.push(() => exposed.close());
  writeFileSync(
    join(folder, "playground.json"),
    JSON.stringify({ ...place, exposed: exposed === undefined ? null : exposed.facts }, null, 2),
  );
  const failures = await show(place, recorder, runtime, io);
  if (options.isOnce) {
    io.stdout.write(
      failures === 0
        ? "\nAll replies were as they should be.\n"
        : `\n${failures} replies were not as they should be.\n`,
    );
    return failures === 0 ? ExitCode.Ok : ExitCode.Failed;
  }
  io.stdout.write(nextStepsText(place, exposed?.facts));
  await new Promise<void>((resolve) => {
    const stop = io.onSignal(["SIGINT", "SIGTERM"], () => {
      stop();
      resolve();
    });
  });
  return ExitCode.Ok;
}

/** The fake internet on a network of its own, which the resolver sees instead of the real one. */
async function buildInternet(
  runtime: Runtime,
  closers: (() => Promise<void> | void)[],
): Promise<{ internet: FakeInternet; upstreamRuntime: Runtime }> {
  const network = new SimNetwork({ latencyMs: LATENCY_MS }, runtime.clock, runtime.random);
  const internet = FakeInternet.build({ wallMs: runtime.clock.wallMs(), tellsMinimisation: true });
  await internet.start((addresses) => network.host(addresses), runtime.clock, runtime.random);
  closers.push(
    () => network.close(),
    () => internet.close(),
  );
  return { internet, upstreamRuntime: { ...runtime, network: network.host(RESOLVER_ADDRESSES) } };
}

function openFolder(options: PlaygroundOptions, closers: (() => Promise<void> | void)[]): string {
  if (options.folder !== undefined) {
    mkdirSync(options.folder, { recursive: true });
    return options.folder;
  }
  const folder = mkdtempSync(join(tmpdir(), "sotto-playground-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function startResolver(
  options: PlaygroundOptions,
  folder: string,
  internet: FakeInternet,
  runtime: Runtime,
  upstreamRuntime: Runtime,
): Promise<{ place: PlaygroundPlace; server: RunningServer }> {
  const authority = await makeAuthority("Sotto playground authority", runtime.clock.wallMs());
  const pair = await authority.issue([AUTH_NAME, "localhost", "127.0.0.1"], runtime.clock.wallMs());
  const files = {
    ca: join(folder, "ca.pem"),
    certificate: join(folder, "resolver.pem"),
    key: join(folder, "resolver.key"),
  };
  writeFileSync(files.ca, authority.certificatePem);
  writeFileSync(files.certificate, pair.certificatePem);
  writeFileSync(files.key, pair.keyPem, { mode: 0o600 });
  const rootHints = internet.rootHints.map(({ name, address }) => ({ name: name.toString(), address }));
  const anchors = internet.trustAnchors.map((record) => recordToText(record));
  const server = await startOnPorts(options, { rootHints, anchors, files }, runtime, upstreamRuntime);
  const portOf = (transport: string): number =>
    server.listeners.find((listener) => listener.transport === transport)?.local.port ?? 0;
  const rootHintsFile = join(folder, "root.hints");
  const trustAnchorFile = join(folder, "root.key");
  writeFileSync(
    rootHintsFile,
    internet.rootHints
      .map(
        ({ name, address }) =>
          `. 3600 IN NS ${name.toString()}\n${name.toString()} 3600 IN ${address.includes(":") ? "AAAA" : "A"} ${address}\n`,
      )
      .join(""),
  );
  writeFileSync(trustAnchorFile, internet.trustAnchors.map((record) => `${recordToText(record)}\n`).join(""));
  const place = {
    port: portOf("udp"),
    tlsPort: portOf("tls"),
    authName: AUTH_NAME,
    caFile: files.ca,
    caPem: authority.certificatePem,
    pin: spkiPin(pair.certificatePem),
    folder,
    rootHintsFile,
    trustAnchorFile,
  };
  return { place, server };
}

/** UDP and TCP share a port. When the system chooses, it chooses the one of UDP, which TCP may then find taken. */
async function startOnPorts(
  options: PlaygroundOptions,
  world: PlaygroundWorld,
  runtime: Runtime,
  upstreamRuntime: Runtime,
): Promise<RunningServer> {
  for (let attempt = 1; ; attempt++) {
    // Above the range that systems hand out by themselves, so that tries seldom meet (RFC 6335 §6).
    const port = options.port === 0 ? 20_000 + runtime.random.below(12_000) : options.port;
    try {
      return await startRecursor(configFor(port, world), runtime, { upstreamRuntime });
    } catch (error) {
      if (options.port !== 0 || attempt >= PORT_ATTEMPTS_MAX) throw error;
    }
  }
}

/** What the resolver's configuration has to say about the fake internet. */
interface PlaygroundWorld {
  readonly rootHints: readonly { name: string; address: string }[];
  readonly anchors: readonly string[];
  readonly files: { certificate: string; key: string };
}

const PORT_ATTEMPTS_MAX = 20;

/** The playground's resolver is configured as a user would do it: by a file. */
function configFor(
  port: number,
  { rootHints, anchors, files }: PlaygroundWorld,
): Parameters<typeof startRecursor>[0] {
  const text = JSON.stringify({
    listen: [
      { transport: "udp", address: "127.0.0.1", port },
      { transport: "tcp", address: "127.0.0.1", port, "fast-open": "auto" },
      {
        transport: "tls",
        address: "127.0.0.1",
        port: port + 1,
        "fast-open": "auto",
        certificate: files.certificate,
        key: files.key,
      },
    ],
    resolver: { "root-hints": rootHints },
    dnssec: { "trust-anchors": anchors },
    // The fake internet has reverse names of its own in the ranges for documentation.
    "local-zones": { except: ["113.0.203.in-addr.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa."] },
  });
  const loaded = loadConfig(text, "(playground)");
  if (!loaded.ok) throw new DnsError("ERR_CONFIG", loaded.problems.map(problemToText).join("\n"));
  return loaded.config;
}

/** Asks the queries of the show over real sockets; gives the number of wrong replies. */
async function show(
  place: PlaygroundPlace,
  recorder: StepRecorder,
  runtime: Runtime,
  io: ProgramIo,
): Promise<number> {
  const exchanger = new Exchanger({}, runtime);
  let failures = 0;
  try {
    for (const [i, query] of SHOW_QUERIES.entries()) {
      io.stdout.write(queryHeading(query, i + 1));
      recorder.take();
      const result = await exchanger.exchange({
        question: { name: parseName(query.name), type: rrTypeFromText(query.type) ?? 1, class: RRClass.IN },
        server: { address: "127.0.0.1", port: query.transport === "tls" ? place.tlsPort : place.port },
        transport: query.transport,
        recursionDesired: true,
        checkingDisabled: false,
        authenticData: false,
        edns: { udpPayloadOctets: 1232, version: 0, dnssecOk: false, reservedFlags: 0, options: [] },
        deadlineMs: runtime.clock.nowMs() + SHOW_DEADLINE_MS,
        ...(query.transport === "tls" ? { tls: tlsPolicy(place) } : {}),
      });
      for (const step of recorder.take()) io.stdout.write(stepText(step));
      io.stdout.write(answerText(result.message, result.facts, protectionText(result.facts)));
      if (rcodeToText(result.message.rcode) !== query.rcode) {
        failures++;
        io.stdout.write(`   ! expected ${query.rcode}\n`);
      }
    }
  } finally {
    await exchanger.close();
  }
  return failures;
}

function tlsPolicy(place: PlaygroundPlace): NonNullable<Parameters<Exchanger["exchange"]>[0]["tls"]> {
  return {
    serverName: place.authName,
    authName: place.authName,
    pins: [place.pin],
    trustAnchorsPem: [place.caPem],
    authenticate: "required",
    certificatePem: undefined,
    keyPem: undefined,
  };
}
