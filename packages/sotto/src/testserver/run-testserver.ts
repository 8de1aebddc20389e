/** `sotto testserver`: starts the fixtures, says where they are, and ends by signal. */
import { parseArgs } from "node:util";
import { DnsError } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { type Parsed, parsed, problem, tryParseAddress } from "@sotto/dns/wire";
import { ExitCode, type ProgramIo } from "../operations/index.ts";
import { CATALOGUE } from "./catalogue.ts";
import { ControlApi } from "./control-api.ts";
import { catalogueJson, catalogueText, serverJson, serverText } from "./describe.ts";
import { chooseFixtures, PORTS_NEEDED, TestServer } from "./test-server.ts";

const USAGE = `usage: sotto testserver [--address ADDRESS] [--port-base PORT] [--only NAME]… [--certificates FOLDER]
                        [--control PORT] [--json]
       sotto testserver --list [--only NAME]… [--json]

  Servers for tests of DNS clients, right and wrong in every way of the catalogue, each on ports of its own: UDP and TCP on
  an even place after the port base, TLS on the next. Works on loopback, without privileges and without a network.

  --address ADDRESS     where they listen (127.0.0.1)
  --port-base PORT      the first of their ports (5300), 0 for free ones
  --only NAME           only these fixtures and "good"; may be repeated
  --certificates FOLDER write ca.pem, client.pem, client.key and root.key there, and leave them
  --control PORT        port of the control API on 127.0.0.1 (one before the port base), 0 for a free one
  --list                print the catalogue and end
  --json                print JSON
`;

interface TestServerArguments {
  readonly address: string;
  readonly portBase: number;
  readonly controlPort: number;
  readonly only: readonly string[] | undefined;
  readonly folder: string | undefined;
  readonly isList: boolean;
  readonly isJson: boolean;
  readonly isHelp: boolean;
}

/** Runs the command until SIGINT or SIGTERM. */
export async function runTestServer(args: readonly string[], io: ProgramIo): Promise<number> {
  const read = readArguments(args);
  if (!read.ok) {
    io.stderr.write(`sotto testserver: ${read.problem}\n${USAGE}`);
    return ExitCode.Usage;
  }
  const options = read.value;
  if (options.isHelp || options.isList) {
    io.stdout.write(options.isHelp ? USAGE : listText(options));
    return ExitCode.Ok;
  }
  try {
    await serve(options, io);
    return ExitCode.Ok;
  } catch (error) {
    if (!DnsError.is(error)) throw error;
    io.stderr.write(`sotto testserver: ${error.message}\n`);
    return ExitCode.Failed;
  }
}

function listText({ only, isJson }: TestServerArguments): string {
  const fixtures = only === undefined ? CATALOGUE : CATALOGUE.filter(({ name }) => only.includes(name));
  return isJson ? `${JSON.stringify(catalogueJson(fixtures), null, 2)}\n` : catalogueText(fixtures);
}

async function serve(options: TestServerArguments, io: ProgramIo): Promise<void> {
  // Heard from the first moment, so that a signal during the start ends as cleanly.
  const ended = new Promise<void>((resolve) => {
    const stop = io.onSignal(["SIGINT", "SIGTERM"], () => {
      stop();
      resolve();
    });
  });
  if (!LOOPBACK.test(options.address))
    io.stderr.write(
      `sotto testserver: ${options.address} may be reached by others: these servers answer everybody, with up to 16 kB over UDP; keep them from the internet\n`,
    );
  const tests = await TestServer.start(options, nodeRuntime());
  try {
    const control = await ControlApi.open(options.controlPort, tests);
    try {
      const json = serverJson(tests, `http://${control.place.address}:${control.place.port}`);
      io.stdout.write(options.isJson ? `${JSON.stringify(json, null, 2)}\n` : serverText(json));
      await ended;
    } finally {
      await control.close();
    }
  } finally {
    await tests.close();
  }
}

function readArguments(args: readonly string[]): Parsed<TestServerArguments> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        address: { type: "string" },
        "port-base": { type: "string" },
        control: { type: "string" },
        only: { type: "string", multiple: true },
        certificates: { type: "string" },
        list: { type: "boolean" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    const portBase = readPort(values["port-base"], PORT_BASE_DEFAULT);
    if (portBase === undefined || portBase + PORTS_NEEDED > 65_536)
      return problem(`a port base is a number from 1 to ${65_536 - PORTS_NEEDED}, or 0`);
    const controlPort = readPort(values.control, portBase === 0 ? 0 : portBase - 1);
    if (controlPort === undefined) return problem("a control port is a number from 0 to 65535");
    const address = values.address ?? "127.0.0.1";
    if (!tryParseAddress(address).ok) return problem(`${JSON.stringify(address)} is no IP address`);
    const chosen = chooseFixtures(values.only);
    if (!chosen.ok) return chosen;
    return parsed({
      address,
      portBase,
      controlPort,
      only: values.only,
      folder: values.certificates,
      isList: values.list === true,
      isJson: values.json === true,
      isHelp: values.help === true,
    });
  } catch (error) {
    return problem(error instanceof Error ? error.message : String(error));
  }
}

function readPort(text: string | undefined, fallback: number): number | undefined {
  if (text === undefined) return fallback;
  return /^[0-9]{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
}

/** RFC 1122 §3.2.1.3, RFC 4291 §2.5.3. */
const LOOPBACK = /^(?:127\.[0-9.]+|::1)$/;
/** Above 1024, and near 53. */
const PORT_BASE_DEFAULT = 5300;
