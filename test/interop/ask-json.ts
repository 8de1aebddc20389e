/** `sotto query +json` on loopback, and its replies as far as tests look at them. */
import { runSotto } from "./peers.ts";

/** One line of its output. */
export interface JsonReply {
  readonly message: { readonly RCODE: number; readonly answerRRs?: readonly unknown[] };
  readonly exchange: {
    readonly protection: string;
    readonly authenticatedBy: string | null;
    readonly connectionReused: boolean;
    readonly retriedOverTcp: boolean;
    readonly tls: { readonly alpn: string | null; readonly protocol: string } | null;
  };
}

/** Runs it to its end. */
export async function ask(
  port: number,
  args: readonly string[],
): Promise<{ replies: JsonReply[]; code: number; stderr: string }> {
  const result = await runSotto(["query", "@127.0.0.1", "-p", String(port), "+json", ...args]);
  const replies = result.stdout
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line): JsonReply => JSON.parse(line));
  return { replies, code: result.code, stderr: result.stderr };
}
