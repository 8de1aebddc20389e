/** Asks a running program over its control socket. */
import { connect } from "node:net";

/** Sends one command; rejects with what the resolver says, or why it could not be asked. */
export function askControl(
  path: string,
  words: readonly string[],
  take: (text: string) => void = () => undefined,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(`${JSON.stringify(words)}\n`));
    let buffered = "";
    socket.setEncoding("utf8");
    socket.on("error", (cause: NodeJS.ErrnoException) => {
      const why =
        cause.code === "ENOENT" || cause.code === "ECONNREFUSED"
          ? "nobody listens; is the resolver running?"
          : cause.message;
      reject(new Error(`${path}: ${why}`));
    });
    socket.on("close", () => reject(new Error(`${path}: the resolver closed the connection`)));
    socket.on("data", (text: string) => {
      buffered += text;
      const lines = buffered.split("\n");
      buffered = lines.pop() ?? "";
      for (const line of lines) {
        // Our own server's word.
        const said = JSON.parse(line) as { data?: string; ok?: boolean; result?: unknown; error?: string };
        if (said.data !== undefined) take(said.data);
        else if (said.ok === true) resolve(said.result);
        else reject(new Error(said.error ?? line));
        if (said.data === undefined) socket.end();
      }
    });
  });
}
