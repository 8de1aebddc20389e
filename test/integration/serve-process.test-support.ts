/** `sotto serve` as a process, with what it has logged, and one question to it. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import type { ExchangeResult, Exchanger } from "@sotto/dns/transport";
import { makeEdns, parseName, RRClass, RRType, rdataToText } from "@sotto/dns/wire";

const SOTTO = join(import.meta.dirname, "../../packages/sotto/src/bin/sotto.ts");

export type ServedTransport = "udp" | "tcp" | "tls";

/** Listeners on all transports, at ports that the system chooses. */
export const LISTENERS = `listen:
  - { transport: udp, address: 127.0.0.1, port: 0 }
  - { transport: tcp, address: 127.0.0.1, port: 0 }
  - { transport: tls, address: 127.0.0.1, port: 0 }
`;

/** Whoever starts it ends it. */
export class ServeProcess {
  readonly process: ChildProcess;
  readonly lines: Record<string, unknown>[] = [];
  /** Exit code. */
  readonly ended: Promise<number | null>;
  #text = "";
  #wake: () => void = () => undefined;

  /** With further flags of Node nothing of the test's own environment is passed on. */
  constructor(file: string, flags?: readonly string[]) {
    const usual = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
    this.process = spawn(process.execPath, [...usual, ...(flags ?? []), SOTTO, "serve", "--config", file], {
      stdio: ["ignore", "ignore", "pipe"],
      env: flags === undefined ? process.env : { ...process.env, NODE_OPTIONS: "" },
    });
    this.ended = new Promise((resolve) => this.process.on("close", (code) => resolve(code)));
    this.process.stderr?.on("data", (chunk: Buffer) => {
      this.#text += chunk.toString();
      const whole = this.#text.split("\n");
      this.#text = whole.pop() ?? "";
      for (const line of whole) this.lines.push(line.startsWith("{") ? JSON.parse(line) : { msg: line });
      this.#wake();
    });
    void this.ended.then(() => this.#wake());
  }

  /** Waits for the first line after `from` with this message; fails when the process ends before. */
  async line(message: string, from = 0): Promise<Record<string, unknown>> {
    for (;;) {
      const found = this.lines.slice(from).find((line) => String(line["msg"]).startsWith(message));
      if (found !== undefined) return found;
      if (this.process.exitCode !== null || this.process.signalCode !== null)
        throw new Error(`server ended without "${message}": ${JSON.stringify(this.lines)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async end(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.ended;
  }

  port(transport: ServedTransport): number {
    return Number(this.#listening(transport)?.["port"]);
  }

  /** Of the certificate that it made itself. */
  get pin(): string {
    return String(this.#listening("tls")?.["pin"]).replace("sha256:", "");
  }

  #listening(transport: ServedTransport): Record<string, unknown> | undefined {
    return this.lines.findLast((one) => one["msg"] === "listening" && one["transport"] === transport);
  }
}

/** Asks for the address of www.corp.example.; over TLS unauthenticated, or with a pin. */
export function askServer(
  exchanger: Exchanger,
  server: ServeProcess,
  transport: ServedTransport,
  pin?: string,
): Promise<ExchangeResult> {
  return exchanger.exchange({
    question: { name: parseName("www.corp.example."), type: RRType.A, class: RRClass.IN },
    server: { address: "127.0.0.1", port: server.port(transport) },
    transport,
    recursionDesired: true,
    checkingDisabled: false,
    authenticData: false,
    edns: makeEdns(),
    deadlineMs: nodeRuntime().clock.nowMs() + 10_000,
    ...(pin === undefined
      ? {}
      : {
          tls: {
            serverName: undefined,
            authName: undefined,
            pins: [pin],
            trustAnchorsPem: undefined,
            authenticate: "required" as const,
            certificatePem: undefined,
            keyPem: undefined,
          },
        }),
  });
}

/** The first record of an answer. */
export function addressOf(result: ExchangeResult): string {
  const [record] = result.message.answers;
  return record === undefined ? "" : rdataToText(record.type, record.rdata);
}
