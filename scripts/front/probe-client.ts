/** A DNS over TLS client that writes what a probe likes and keeps every message with its time, in both directions. */
import { connect as connectTcp, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";
import {
  type EdnsOption,
  encodeMessage,
  FrameReader,
  frameMessage,
  type Message,
  makeEdns,
  makeMessage,
  parseName,
  RRClass,
  RRType,
  tryDecodeMessage,
} from "@sotto/dns/wire";

/** One message, or the end of the connection, as it went over the wire. */
export interface TraceLine {
  /** Since the connection was asked for, milliseconds. */
  readonly atMs: number;
  readonly way: "sent" | "received" | "end";
  /** Octets of the message in hex, without its length; why the connection ended. */
  readonly what: string;
}

/** A reply and when it came. */
export interface Reply {
  readonly message: Message;
  readonly octets: Uint8Array;
  readonly atMs: number;
}

export interface ProbeTarget {
  readonly address: string;
  readonly port: number;
  readonly caPem: string;
}

export interface ProbeClientOptions {
  /** Where it comes from. Default 127.0.0.1. */
  readonly localAddress?: string;
  /** A TLS session to resume. */
  readonly session?: Buffer;
}

export class ProbeClient {
  readonly tls: TLSSocket;
  readonly trace: TraceLine[] = [];
  readonly replies: Reply[] = [];
  /** The newest session that the server has given. */
  session: Buffer | undefined = undefined;
  /** When the server's end came; undefined while it is open. */
  endedMs: number | undefined = undefined;
  isOpen = false;
  /** The handshake resumed a session; the socket forgets it when it ends. */
  isResumed = false;
  readonly #startedMs = performance.now();

  constructor(target: ProbeTarget, { localAddress = "127.0.0.1", session }: ProbeClientOptions = {}) {
    const { address, port, caPem } = target;
    const below: Socket = connectTcp({ host: address, port, localAddress, noDelay: true });
    below.on("error", (error) => this.#end(error.message));
    this.tls = connectTls({
      socket: below,
      ca: caPem,
      servername: PROBE_NAME,
      ALPNProtocols: ["dot"],
      rejectUnauthorized: false,
      minVersion: "TLSv1.3",
      ...(session === undefined ? {} : { session }),
    });
    const frames = new FrameReader();
    this.tls.on("secureConnect", () => {
      this.isOpen = true;
      this.isResumed = this.tls.isSessionReused();
    });
    this.tls.on("session", (given) => {
      this.session = given;
    });
    this.tls.on("data", (chunk: Buffer) => {
      frames.push(chunk, (octets) => {
        this.#take(octets.slice());
        return true;
      });
    });
    this.tls.on("end", () => this.#end("closed by the server"));
    this.tls.on("close", () => this.#end("closed"));
    this.tls.on("error", (error) => this.#end(error.message));
  }

  /** Opens one; rejects when there is no handshake in time. */
  static async open(target: ProbeTarget, options?: ProbeClientOptions): Promise<ProbeClient> {
    const client = new ProbeClient(target, options);
    await client.until(() => client.isOpen || client.endedMs !== undefined, OPEN_MS);
    if (client.isOpen) return client;
    const problem = `no TLS connection: ${client.endedMs === undefined ? "nothing came" : client.endText}`;
    client.close();
    throw new Error(problem);
  }

  /** How the connection ended. */
  get endText(): string {
    return this.trace.find(({ way }) => way === "end")?.what ?? "closed by the probe";
  }

  get nowMs(): number {
    return performance.now() - this.#startedMs;
  }

  /** Sends messages in one write. */
  send(...messages: readonly Uint8Array[]): void {
    for (const octets of messages) this.#note("sent", hex(octets));
    if (this.tls.writable) this.tls.write(Buffer.concat(messages.map((octets) => frameMessage(octets))));
  }

  /** Waits for so many replies in all; gives what is there when the time or the connection is over. */
  async wait(count: number, limitMs = REPLY_MS): Promise<readonly Reply[]> {
    await this.until(() => this.replies.length >= count || this.endedMs !== undefined, limitMs);
    return this.replies;
  }

  /** Waits for something; whether it came. */
  async until(isSo: () => boolean, limitMs: number): Promise<boolean> {
    const endMs = performance.now() + limitMs;
    while (!isSo()) {
      if (performance.now() > endMs) return false;
      await pause(POLL_MS);
    }
    return true;
  }

  close(): void {
    this.endedMs ??= this.nowMs;
    this.tls.destroy();
  }

  #take(octets: Uint8Array): void {
    this.#note("received", hex(octets));
    const message = tryDecodeMessage(octets);
    if (message.ok) this.replies.push({ message: message.value, octets, atMs: this.nowMs });
  }

  #end(why: string): void {
    if (this.endedMs !== undefined) return;
    this.endedMs = this.nowMs;
    this.#note("end", why);
  }

  #note(way: TraceLine["way"], what: string): void {
    this.trace.push({ atMs: Math.round(this.nowMs * 10) / 10, way, what });
  }
}

/** Octets of an A query. */
export function queryOctets(name: string, id: number, options?: readonly EdnsOption[]): Uint8Array {
  return encodeMessage(
    makeMessage({
      id,
      recursionDesired: true,
      questions: [{ name: parseName(name), type: RRType.A, class: RRClass.IN }],
      edns: options && makeEdns({ options }),
    }),
  );
}

/** Data of an EDNS option of a reply. */
export function optionOf({ message }: Reply, code: number): Uint8Array | undefined {
  return message.edns?.options.find((option) => option.code === code)?.data;
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}

/** In the certificate. */
export const PROBE_NAME = "dns.example";
const OPEN_MS = 4000;
const REPLY_MS = 2500;
const POLL_MS = 2;
