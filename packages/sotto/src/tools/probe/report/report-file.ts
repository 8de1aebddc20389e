/** Reports as JSON: written by `--json` and `--save`, read by `sotto probe report`, described by docs/reference/probe.schema.json. */
import { type Parsed, parsed, problem } from "@sotto/dns/wire";
import { z } from "zod";
import type { TitledReport } from "./sheet.ts";
import { visible } from "./words.ts";

/** Changes when a reader of the old form would misread the new one; new members do not count. */
const VERSION = 1;

/** Largest file that is read, octets. */
export const REPORT_FILE_OCTETS_MAX = 64 * 1024 * 1024;

const text = (charactersMax = 20_000) => z.string().max(charactersMax);

const step = z
  .object({
    atMs: z.number().min(0).meta({ description: "Milliseconds from the start of the cell's exchange." }),
    who: z.enum(["prober", "target", "note"]),
    what: text().meta({ description: "What was sent, received, or happened." }),
    octets: text(140_000)
      .regex(/^(?:[0-9a-fA-F]{2})*$/)
      .optional()
      .meta({ description: "The DNS message without length prefix, or other octets, hexadecimal." }),
    over: z.enum(["udp", "tcp", "tls"]).optional().meta({
      description: "How the octets went as a DNS message; absent: they are none, or it is not known.",
    }),
    wholeOctets: z
      .int()
      .min(0)
      .max(65_535)
      .optional()
      .meta({ description: "Length of the message when octets is only its beginning; absent: it is all." }),
  })
  .meta({ description: "One thing that was seen on the way to a verdict." });

const cell = z
  .object({
    row: text(200).meta({ description: "Key of the row, such as pipelining." }),
    verdict: z.enum(["released", "partial", "off", "none", "broken", "not testable", "not applicable"]).meta({
      description:
        "released: it works as the standard wants; partial: a part of it; off: switched off; none: it is not there; broken: it is there and wrong.",
    }),
    confidence: z.enum(["certain", "likely", "guess"]).meta({
      description:
        "certain: seen on the wire; likely: several rounds agree; guess: one round, or by what did not happen.",
    }),
    observed: text().meta({ description: "One sentence: what was observed, with figures." }),
    requirements: z
      .array(text(100))
      .max(100)
      .meta({ description: "Requirement ids, such as 7766-6.2.1.1-a: RFC, section, letter." }),
    evidence: z.array(step).max(10_000),
  })
  .meta({ description: "One row of one target." });

const report = z.object({
  title: text(200).optional().meta({ description: "What its column is called; absent: the target." }),
  kind: z.enum(["server", "client", "path"]),
  target: text().meta({ description: "What was probed, as it was given." }),
  startedAt: text(100).meta({ description: "Wall time of the start, ISO 8601." }),
  tookMs: z.number().min(0),
  cells: z.array(cell).max(1000),
});

const file = z
  .object({ version: z.literal(VERSION), reports: z.array(report).max(1000) })
  .meta({ title: "What sotto probe found" });

/** JSON Schema of the file. */
export function reportSchema(): z.core.JSONSchema.JSONSchema {
  return z.toJSONSchema(file, { io: "input" });
}

/** The text of a file; ends with a line end. */
export function reportFileText(reports: readonly TitledReport[]): string {
  const content: z.input<typeof file> = {
    version: VERSION,
    reports: reports.map(({ title, report: { kind, target, startedAt, tookMs, cells } }) => ({
      ...(title === target ? {} : { title }),
      kind,
      target,
      startedAt,
      tookMs,
      cells: cells.map((one) => ({
        ...one,
        requirements: [...one.requirements],
        evidence: one.evidence.map((each) => ({ ...each })),
      })),
    })),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** Reads the text of a file, which may come from anybody; a problem is a sentence that does not name the file. */
export function tryReadReportFile(content: string): Parsed<TitledReport[]> {
  if (content.length > REPORT_FILE_OCTETS_MAX) return problem("is too large for a report of sotto probe");
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    // The message quotes the file.
    return problem(`is no JSON: ${visible(error instanceof Error ? error.message : String(error))}`);
  }
  const checked = file.safeParse(value);
  if (!checked.success) {
    const [issue] = checked.error.issues;
    const path = issue?.path.map(String).join(".") ?? "";
    return problem(
      `is no report of sotto probe: ${path === "" ? "" : `${path}: `}${issue?.message ?? "unknown"}`,
    );
  }
  return parsed(
    checked.data.reports.map(({ title, ...one }) => ({ title: title ?? one.target, report: one })),
  );
}
