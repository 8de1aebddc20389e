/** Our load generator as a process: one order after the other. */
import { join } from "node:path";
import type { LoadExchange } from "./dnsperf/run.ts";
import type { LoadOutcome, LoadRequest } from "./generator/orders.ts";
import { PinnedProcess } from "./processes.ts";

/** Starts it on cores (`0`, or `0,1`), with its output in the folder. */
export class OwnLoad {
  readonly #process: PinnedProcess;

  constructor(cores: string, folder: string) {
    const command = [
      process.execPath,
      "--conditions=source",
      "--disable-warning=ExperimentalWarning",
      join(import.meta.dirname, "generator/process.ts"),
    ];
    this.#process = PinnedProcess.start({ name: "load", command, cores, folder, isIpc: true });
  }

  /** Waits until it takes orders: once, and first. */
  async becomeReady(): Promise<void> {
    await this.#answer();
  }

  async run(request: LoadRequest): Promise<LoadExchange> {
    this.#process.child.send(request);
    // Ours sent it.
    return { outcome: (await this.#answer()) as LoadOutcome, pid: this.#process.pid };
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }

  async #answer(): Promise<unknown> {
    const load = this.#process;
    if (load.hasEnded) throw new Error("the load has ended");
    return new Promise((resolve, reject) => {
      const onExit = (): void => reject(new Error(`the load ended: ${load.output().slice(-2000)}`));
      load.child.once("exit", onExit);
      load.child.once("message", (message) => {
        load.child.off("exit", onExit);
        if (typeof message === "object" && message !== null && "problem" in message)
          reject(new Error(String(message.problem)));
        else resolve(message);
      });
    });
  }
}
