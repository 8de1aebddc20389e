/** A steady stream of queries to a stub, each with a name of its own or one that comes again and again, and what became of each. */
import { createSocket, type Socket } from "node:dgram";
import { encodeMessage, makeEdns, makeMessage, parseName, Rcode, RRClass, RRType } from "@sotto/dns/wire";

/** One query; times are milliseconds since the run began. */
export interface Sent {
  readonly atMs: number;
  /** Undefined while there is no reply, and for ever when none comes. */
  answeredMs: number | undefined;
  isGood: boolean;
}

export class Stream {
  readonly sent: Sent[] = [];
  readonly #port: number;
  readonly #startMs: number;
  readonly #socket: Socket = createSocket("udp4");
  readonly #waiting = new Map<number, Sent>();
  #id = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(port: number, startMs: number) {
    this.#port = port;
    this.#startMs = startMs;
    this.#socket.on("error", () => undefined);
    this.#socket.on("message", (octets) => this.#receive(octets));
  }

  flow(): void {
    this.pause();
    this.#timer = setInterval(() => this.send(), INTERVAL_MS);
  }

  pause(): void {
    clearInterval(this.#timer);
  }

  close(): void {
    this.pause();
    this.#socket.close();
  }

  /** One in four asks for the same name as the others of those, as programs do that try again. */
  send(): void {
    this.#id = (this.#id + 1) & 0xffff;
    const id = this.#id;
    const name = parseName(`${id % 4 === 0 ? "again" : `q${id}`}.${this.#port}.recovery.example.`);
    const sent: Sent = { atMs: performance.now() - this.#startMs, answeredMs: undefined, isGood: false };
    this.sent.push(sent);
    this.#waiting.set(id, sent);
    const question = { name, type: RRType.A, class: RRClass.IN };
    const message = makeMessage({ id, recursionDesired: true, questions: [question], edns: makeEdns({}) });
    this.#socket.send(encodeMessage(message), this.#port, "127.0.0.1");
  }

  #receive(octets: Buffer): void {
    if (octets.length < 12) return;
    const id = octets.readUInt16BE(0);
    const sent = this.#waiting.get(id);
    if (sent === undefined) return;
    this.#waiting.delete(id);
    sent.answeredMs = performance.now() - this.#startMs;
    sent.isGood = (octets.readUInt8(3) & 15) === Rcode.NoError && octets.readUInt16BE(6) > 0;
  }
}

/** Twenty queries a second. */
const INTERVAL_MS = 50;
