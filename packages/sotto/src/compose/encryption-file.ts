/** Keeps what is known of authorities over TLS (RFC 9539 §4.5) for the next run. */
import { DnsError, type Runtime, type Timer } from "@sotto/dns/runtime";
import { StateFile } from "../operations/index.ts";
import type { AuthorityEncryption } from "../recursor/index.ts";

export class EncryptionFile {
  readonly #memory: AuthorityEncryption;
  readonly #runtime: Runtime;
  #file: StateFile | undefined = undefined;
  readonly #isReadOnly: boolean;
  #timer: Timer | undefined = undefined;
  /** Undefined: this file has nothing of ours yet. */
  #savedRevision: number | undefined = undefined;

  /** One that is read only is another worker's to write. */
  constructor(memory: AuthorityEncryption, runtime: Runtime, isReadOnly = false) {
    this.#isReadOnly = isReadOnly;
    this.#memory = memory;
    this.#runtime = runtime;
  }

  /** From now on this file is used; what it says is taken over once. Undefined: nothing is kept. */
  use(path: string | undefined): void {
    if (path === this.#file?.path) return;
    this.stop();
    this.#file = path === undefined ? undefined : new StateFile(path, this.#isReadOnly);
    this.#savedRevision = undefined;
    if (this.#file === undefined) return;
    this.#load(this.#file);
    this.#schedule();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Writes what is new; what cannot be written is told, and the resolver goes on. */
  async save(): Promise<void> {
    const { revision } = this.#memory;
    const file = this.#file;
    if (file === undefined || revision === this.#savedRevision) return;
    try {
      await file.replace(this.#memory.toText());
      // Meanwhile it may be another file's turn.
      if (file === this.#file) this.#savedRevision = revision;
    } catch (cause) {
      this.#tell(
        cause instanceof Error ? cause.message : String(cause),
        "what was learnt is lost at the end",
      );
    }
  }

  /** It is only a memory: without it, everything is learnt again. */
  #load(file: StateFile): void {
    try {
      const text = file.read();
      const loaded = text === undefined ? undefined : this.#memory.tryLoad(text);
      if (loaded?.ok === false)
        this.#tell(`${file.path}: ${loaded.problem}`, "it is not used and will be replaced");
    } catch (cause) {
      if (!DnsError.is(cause)) throw cause;
      this.#tell(cause.message, "it is not used");
    }
  }

  #schedule(): void {
    const timer = this.#runtime.clock.startTimer(
      "encryption state",
      SAVE_MS,
      () => {
        void this.save().then(() => {
          if (this.#timer === timer) this.#schedule();
        });
      },
      true,
    );
    this.#timer = timer;
  }

  #tell(problem: string, consequence: string): void {
    this.#runtime.events.publish("encryption.state-refused", { problem, consequence });
  }
}

/** What a crash may forget; it is learnt again at the cost of a probe. */
const SAVE_MS = 300_000;
