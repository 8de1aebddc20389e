/** Files that somebody names on the command line: read to their end, and never further than is wanted. */
import { closeSync, openSync, readSync } from "node:fs";
import { type Parsed, parsed, problem } from "@sotto/dns/wire";

/** Standard input, where a file is wanted. */
const STANDARD_INPUT = "-";
const DESCRIPTOR_OF_INPUT = 0;
/** Octets of one read. */
const CHUNK_OCTETS = 65_536;

/**
 * The text of a file, or of standard input for `-`. What is longer than `octetsMax` is a problem and is read no further: pipes and
 * devices have no size to ask for, and may have no end.
 */
export function readBoundedText(file: string, octetsMax: number): Parsed<string> {
  const name = file === STANDARD_INPUT ? "standard input" : file;
  let opened: number | undefined;
  try {
    if (file !== STANDARD_INPUT) opened = openSync(file, "r");
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_OCTETS, octetsMax + 1));
    const pieces: Buffer[] = [];
    for (let octets = 0; ; ) {
      const wanted = Math.min(chunk.length, octetsMax + 1 - octets);
      const read = readSync(opened ?? DESCRIPTOR_OF_INPUT, chunk, 0, wanted, null);
      if (read === 0) return parsed(Buffer.concat(pieces).toString("utf8"));
      octets += read;
      if (octets > octetsMax) return problem(`${name} is too large: at most ${octetsMax} octets are read`);
      // A copy, as pipes give little at a time, and a part of the chunk would keep all of it.
      pieces.push(Buffer.from(chunk.subarray(0, read)));
    }
  } catch (error) {
    return problem(`cannot read ${name}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    if (opened !== undefined) closeSync(opened);
  }
}
