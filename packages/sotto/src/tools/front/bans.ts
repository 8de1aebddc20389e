/** `sotto front bans`: who gets nothing now. */
import type { SteeredFront } from "../../compose/index.ts";
import { ExitCode, type ProgramIo } from "../../operations/index.ts";

type Bans = Awaited<SteeredFront["bans"]>;

/** Asks for the bans and prints them, a line each, those that end last first. */
export async function runFrontBans(
  ask: (words: readonly string[]) => Promise<unknown>,
  { json }: { readonly json: boolean },
  io: ProgramIo,
): Promise<number> {
  // Our own server's word.
  const { bans } = (await ask(["bans"])) as { readonly bans: Bans };
  io.stdout.write(json ? `${JSON.stringify({ bans })}\n` : bansText(bans));
  return ExitCode.Ok;
}

function bansText(bans: Bans): string {
  if (bans.length === 0) return "nobody is banned\n";
  const lastFirst = [...bans].sort((a, b) => b.remainingMs - a.remainingMs);
  const width = Math.max(...bans.map(({ client }) => client.length));
  return lastFirst
    .map(
      ({ client, remainingMs, count }) =>
        `${client.padEnd(width)}  ${Math.ceil(remainingMs / 1000)} s left, ${count} in a row\n`,
    )
    .join("");
}
