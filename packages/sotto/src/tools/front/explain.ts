/** `sotto front explain`: which rule a query would meet, and why the others do not match. */
import type { Runtime } from "@sotto/dns/runtime";
import {
  encodeMessage,
  makeEdns,
  makeMessage,
  RRClass,
  RRType,
  rrTypeFromText,
  tryParseAddress,
  tryParseName,
} from "@sotto/dns/wire";
import { explainFront, type SupposedQuery } from "../../compose/index.ts";
import type { FrontConfig } from "../../config/index.ts";
import { ExitCode, type ProgramIo } from "../../operations/index.ts";

/** What was typed. */
export interface ExplainCommand {
  /** Name, perhaps type, and flags such as `+dnssec`. */
  readonly words: readonly string[];
  readonly client: string | undefined;
  readonly transport: string | undefined;
  readonly listener: string | undefined;
  readonly json: boolean;
}

/** Prints every rule in its order, up to the one that ends the walk. */
export async function runFrontExplain(
  config: FrontConfig,
  command: ExplainCommand,
  runtime: Runtime,
  io: ProgramIo,
): Promise<number> {
  try {
    const query = supposed(config, command);
    const steps = await explainFront(config, query, runtime);
    if (command.json) {
      io.stdout.write(`${JSON.stringify(steps)}\n`);
      return ExitCode.Ok;
    }
    for (const { rule, result, reasons } of steps) {
      io.stdout.write(`${MARKS[result]} ${rule}: ${result}\n`);
      for (const reason of reasons) io.stdout.write(`    ${reason}\n`);
    }
    const last = steps.find(({ result }) => result === "ends");
    const pool = config.pools[0]?.name;
    io.stdout.write(
      last === undefined
        ? `\nno rule ends the walk: the query goes to pool ${pool}\n`
        : `\nrule ${JSON.stringify(last.rule)} decides\n`,
    );
    return ExitCode.Ok;
  } catch (error) {
    io.stderr.write(`sotto front explain: ${error instanceof Error ? error.message : String(error)}\n`);
    return ExitCode.Failed;
  }
}

const MARKS = { ends: "✓", "goes on": "+", "no match": "-", "not reached": " " } as const;

/** Throws an error for people. */
function supposed(config: FrontConfig, command: ExplainCommand): SupposedQuery {
  const flags = command.words.filter((word) => word.startsWith("+"));
  const [nameText, typeText = "A", ...more] = command.words.filter((word) => !word.startsWith("+"));
  if (nameText === undefined || more.length > 0) throw new Error("give one name, and a type if it is not A");
  const name = tryParseName(nameText);
  if (!name.ok) throw new Error(`${JSON.stringify(nameText)} is no name: ${name.problem}`);
  const type = rrTypeFromText(typeText);
  if (type === undefined) throw new Error(`${JSON.stringify(typeText)} is no record type`);
  for (const flag of flags)
    if (!FLAGS.includes(flag))
      throw new Error(`${JSON.stringify(flag)} is not known here, but ${FLAGS.join(", ")}`);
  const { client = "127.0.0.1", transport = "udp" } = command;
  if (!tryParseAddress(client).ok) throw new Error(`${JSON.stringify(client)} is no address`);
  if (!isTransport(transport))
    throw new Error(`${JSON.stringify(transport)} is no transport, but ${TRANSPORTS.join(", ")}`);
  const listener =
    command.listener ?? config.listeners.find((one) => one.transport === transport)?.name ?? "";
  const octets = encodeMessage(
    makeMessage({
      recursionDesired: !flags.includes("+nord"),
      checkingDisabled: flags.includes("+cd"),
      authenticData: flags.includes("+ad"),
      questions: [{ name: name.value, type: type ?? RRType.A, class: RRClass.IN }],
      edns: flags.includes("+noedns") ? undefined : makeEdns({ dnssecOk: flags.includes("+dnssec") }),
    }),
  );
  return { octets, client, transport, listener };
}

const FLAGS: readonly string[] = ["+dnssec", "+cd", "+ad", "+nord", "+noedns"];
const TRANSPORTS = ["udp", "tcp", "tls", "https"] as const;

function isTransport(text: string): text is (typeof TRANSPORTS)[number] {
  return TRANSPORTS.some((one) => one === text);
}
