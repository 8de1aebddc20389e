/** Options whose data is one name and nothing else. */
import type { Name } from "../name.ts";
import { OctetReader } from "../octets.ts";
import { type Parsed, parsed, problem } from "../parsed.ts";

/** One uncompressed name that fills the option; `title` is for the problem. */
export function tryReadOnlyName(data: Uint8Array, title: string): Parsed<Name> {
  const reader = new OctetReader(data);
  const name = reader.plainName();
  if (reader.problem !== undefined) return problem(`${title}: ${reader.problem}`);
  return reader.remaining === 0 ? parsed(name) : problem(`${title} is longer than its name`);
}
