/**
 * Stands between a TCP socket and the TLS that runs over it: sees the flights of the handshake, stops them where it is told
 * to, and ends the TCP connection in ways that TLS itself would not.
 */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { HandshakeStop } from "./behaviour.ts";

export interface GateHandlers {
  /** Octets from and to the client, as TCP carries them. */
  readonly onTraffic: (direction: "in" | "out", octets: Uint8Array) => void;
  /** The gate stopped here, and nothing passes any more. */
  readonly onHalt: (what: string) => void;
}

export class HandshakeGate extends Duplex {
  readonly #socket: Socket;
  readonly #stop: HandshakeStop | undefined;
  readonly #handlers: GateHandlers;
  /** Flights of the server so far; one lasts until the client says something. */
  #flights = 0;
  #isInFlight = false;
  #isHalted = false;
  #keepsOpen = false;

  constructor(socket: Socket, stop: HandshakeStop | undefined, handlers: GateHandlers) {
    super();
    this.#socket = socket;
    this.#stop = stop;
    this.#handlers = handlers;
    socket.on("data", (octets: Buffer) => {
      this.#isInFlight = false;
      handlers.onTraffic("in", octets);
      if (!this.#isHalted && !this.push(octets)) socket.pause();
    });
    socket.on("end", () => {
      if (!this.#isHalted) this.push(null);
      // A connection that was left open is given back with its client.
      if ((this.#isHalted || this.#keepsOpen) && !socket.writableEnded) socket.end();
    });
    socket.on("close", () => this.destroy());
    // What becomes of it is seen by "close"; the reason is noted by the listener.
    socket.on("error", () => undefined);
  }

  get waitingOctets(): number {
    return this.#socket.writableLength;
  }

  /** Ends the TCP connection whatever TLS thinks of it, or leaves it dead. */
  halt(how: "fin" | "rst" | "silence"): void {
    if (this.#isHalted) return;
    this.#isHalted = true;
    // What the client still sends is read and forgotten, so that its end is seen.
    this.#socket.resume();
    // Octets that are on their way would die with the connection.
    if (how === "rst") this.#socket.write("", () => this.#socket.resetAndDestroy());
    else if (how === "fin") this.#socket.end();
  }

  /** The end of TLS does not end TCP. */
  keepOpen(): void {
    this.#keepsOpen = true;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, written: (error?: Error | null) => void): void {
    if (!this.#isInFlight) {
      this.#isInFlight = true;
      this.#flights++;
    }
    const stop = this.#stop;
    if (!this.#isHalted && stop !== undefined && this.#flights >= stop.flight) {
      if (stop.at === "middle") this.#send(chunk.subarray(0, chunk.length >>> 1), () => undefined);
      this.halt(stop.how);
      this.#handlers.onHalt(`${stop.how} ${stop.at} flight ${stop.flight}`);
    }
    if (this.#isHalted || this.#socket.destroyed) written();
    else this.#send(chunk, written);
  }

  #send(octets: Uint8Array, written: (error?: Error | null) => void): void {
    this.#handlers.onTraffic("out", octets);
    // A failure closes the socket, which is heard of otherwise.
    this.#socket.write(octets, () => written());
  }

  override _final(done: (error?: Error | null) => void): void {
    if (!this.#isHalted && !this.#keepsOpen) this.#socket.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // A halted connection belongs to the halt, not to TLS.
    if (!this.#isHalted && !this.#keepsOpen) this.#socket.destroy();
    done(error);
  }
}
