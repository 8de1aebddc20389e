/** Queries one after the other, for rows that are not about connections: what becomes of those shall not turn them. */
import type { ProbeTransport } from "./probe-options.ts";
import type { SentQuery } from "./probe-query.ts";
import type { Answer, ProbeStream } from "./probe-stream.ts";
import type { Prober } from "./prober.ts";
import type { Transcript } from "./transcript.ts";

export class Asker {
  readonly #prober: Prober;
  readonly #transport: ProbeTransport;
  readonly #log: Transcript;
  #stream: ProbeStream | undefined;

  constructor(prober: Prober, transport: ProbeTransport, log: Transcript) {
    this.#prober = prober;
    this.#transport = transport;
    this.#log = log;
  }

  /** Over one connection as long as it lives; asks once more when one that has served before is closed. */
  async ask(query: SentQuery): Promise<Answer> {
    if (this.#transport === "udp") return this.#prober.askUdp(query, this.#log);
    const isFresh = this.#stream?.isOpen !== true;
    const answer = await this.#askOver(query);
    // RFC 7766 §6.2.4: servers may close at any time, and clients ask again.
    if (answer.kind === "reply" || answer.isOpen || isFresh) return answer;
    return this.#askOver(query);
  }

  async #askOver(query: SentQuery): Promise<Answer> {
    if (this.#stream?.isOpen !== true) {
      this.close();
      const opened = await this.#prober.open(this.#transport === "tls" ? "tls" : "tcp", this.#log);
      if (!opened.ok) return { kind: "none", why: opened.problem, isOpen: false, strays: [] };
      this.#stream = opened.value;
    }
    this.#prober.count(1);
    return this.#stream.ask(query, this.#prober.patience.replyMs);
  }

  close(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }
}
