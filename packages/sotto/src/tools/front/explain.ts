/** `sotto front explain`: which rule a query would meet, and why the others do not match. */
import type { Runtime } from "@sotto/dns/runtime";
import { explainFront } from "../../compose/index.ts";
import type { FrontConfig } from "../../config/index.ts";
import { ExitCode, type ProgramIo } from "../../operations/index.ts";
import { type ExplainCommand, trySupposedQuery } from "./supposed-query.ts";

/** Prints every rule in its order, up to the one that ends the walk. */
export async function runFrontExplain(
  config: FrontConfig,
  command: ExplainCommand,
  runtime: Runtime,
  io: ProgramIo,
): Promise<number> {
  try {
    const query = trySupposedQuery(config, command);
    if (!query.ok) throw new Error(query.problem);
    const steps = await explainFront(config, query.value, runtime);
    if (command.json) {
      io.stdout.write(`${JSON.stringify(steps)}\n`);
      return ExitCode.Ok;
    }
    for (const { rule, result, reasons } of steps) {
      io.stdout.write(`${MARKS[result]} ${rule}: ${result}\n`);
      for (const reason of reasons) io.stdout.write(`    ${reason}\n`);
    }
    const isOut = steps[0]?.rule === "access";
    const last = (isOut ? steps.slice(1) : steps).find(({ result }) => result === "ends");
    const pool = config.pools[0]?.name;
    const decided =
      last === undefined
        ? `no rule ends the walk: the query goes to pool ${pool}`
        : `rule ${JSON.stringify(last.rule)} decides`;
    io.stdout.write(
      `\n${isOut ? "access comes before all rules; for a client that may ask, " : ""}${decided}\n`,
    );
    return ExitCode.Ok;
  } catch (error) {
    io.stderr.write(`sotto front explain: ${error instanceof Error ? error.message : String(error)}\n`);
    return ExitCode.Failed;
  }
}

const MARKS = { ends: "✓", "goes on": "+", "no match": "-", "not reached": " " } as const;
