/**
 * The control channel: a Unix socket on which the operator's commands come as one JSON object a line, and go back as lines:
 * `{"data": TEXT}` as often as there is more, then `{"ok": true, "result": …}` or `{"ok": false, "error": TEXT}`. Who may
 * connect is the file's mode: its owner.
 */
import { chmodSync, rmSync, statSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { DnsError } from "@sotto/dns/runtime";

/** One command; texts that it gives bit by bit are streamed. Rejects with a message for the operator. */
export type ControlCommand = (
  words: readonly string[],
) => Promise<unknown> | Generator<string> | AsyncGenerator<string>;

export class ControlServer {
  readonly #commands: Readonly<Record<string, ControlCommand>>;
  readonly #path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(path: string, commands: Readonly<Record<string, ControlCommand>>) {
    this.#path = path;
    this.#commands = commands;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** Rejects with ERR_ADDRESS_IN_USE when another server listens there, and with ERR_SYSTEM when it cannot be made. */
  static async open(
    path: string,
    commands: Readonly<Record<string, ControlCommand>>,
  ): Promise<ControlServer> {
    await removeStale(path);
    const control = new ControlServer(path, commands);
    await new Promise<void>((resolve, reject) => {
      control.#server.once("error", (cause) =>
        reject(new DnsError("ERR_SYSTEM", `control socket ${path}: ${cause.message}`, { cause })),
      );
      control.#server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
    return control;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    rmSync(this.#path, { force: true });
  }

  #serve(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    if (this.#sockets.size >= CONNECTIONS_MAX) {
      // Read on, or its end is never seen.
      socket.resume();
      socket.end(`${JSON.stringify({ ok: false, error: `${CONNECTIONS_MAX} operators are connected` })}\n`);
      return;
    }
    this.#sockets.add(socket);
    socket.setEncoding("utf8");
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
    let buffered = "";
    let running = Promise.resolve();
    socket.on("data", (text: string) => {
      buffered += text;
      const lines = buffered.split("\n");
      buffered = lines.pop() ?? "";
      if (buffered.length > LINE_MAX) {
        socket.end(
          `${JSON.stringify({ ok: false, error: `a line is longer than ${LINE_MAX} characters` })}\n`,
        );
        buffered = "";
      }
      for (const line of lines) running = running.then(() => this.#run(line, socket));
    });
  }

  /** Never rejects. */
  async #run(line: string, socket: Socket): Promise<void> {
    const say = (message: unknown): void => {
      if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
    };
    try {
      const words = wordsOf(line);
      const [name = "", ...rest] = words;
      const command = Object.hasOwn(this.#commands, name) ? this.#commands[name] : undefined;
      if (command === undefined)
        throw new Error(
          `${JSON.stringify(name)} is not a command; there are ${Object.keys(this.#commands).join(", ")}`,
        );
      const result = command(rest);
      if (!("next" in result)) {
        say({ ok: true, result: await result });
        return;
      }
      let text = "";
      let lines = 0;
      for await (const piece of result) {
        text += piece;
        lines++;
        if (text.length < CHUNK) continue;
        say({ data: text });
        text = "";
        // The resolver goes on between two pieces, and a reader that is slow is waited for.
        await drained(socket);
        if (socket.destroyed) return;
      }
      say({ data: text });
      say({ ok: true, result: { lines } });
    } catch (error) {
      say({ ok: false, error: error instanceof Error ? error.message : String(error) });
    }
  }
}

function wordsOf(line: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new Error("a line is not JSON");
  }
  if (!isWords(value)) throw new Error('a line is not a list of words, such as ["flush", "example."]');
  return value;
}

function isWords(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((word) => typeof word === "string");
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed || !socket.writableNeedDrain) {
      setImmediate(resolve);
      return;
    }
    const done = (): void => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
  });
}

/** A socket that nobody listens at was left by a run that was killed. */
async function removeStale(path: string): Promise<void> {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new DnsError("ERR_CONFIG", `control socket ${path}: there is a file that is no socket`);
  const isListening = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on("error", () => resolve(false));
  });
  if (isListening)
    throw new DnsError(
      "ERR_ADDRESS_IN_USE",
      `control socket ${path}: another server listens there; stop it or take another path`,
    );
  rmSync(path);
}

const CONNECTIONS_MAX = 16;
const IDLE_MS = 60_000;
/** A dump that is loaded comes in one line. */
const LINE_MAX = 256 * 1024 * 1024;
const CHUNK = 64 * 1024;
