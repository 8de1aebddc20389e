/** `npm run evidence:authentication`: takes the authentication matrix, prints its page, and with --write puts it into docs/evidence. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { matrixPage, takeMatrix } from "./evidence/authentication-matrix.ts";

const { values: options } = parseArgs({ options: { write: { type: "boolean" } } });
const page = matrixPage(await takeMatrix());
process.stdout.write(page);
if (options.write === true)
  writeFileSync(join(import.meta.dirname, "../docs/evidence/authentication.md"), page);
