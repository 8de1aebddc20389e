/** Clients of DNS over HTTPS for tests: HTTP/2 and HTTP/1.1 by Node's own, and octets by hand. */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { encodeMessage, makeEdns, makeMessage, parseName, RRClass, RRType } from "@sotto/dns/wire";

export const PATH = "/dns-query";
export const POST: OutgoingHttpHeaders = {
  ":method": "POST",
  ":path": PATH,
  "content-type": "application/dns-message",
};

export interface HttpReply {
  readonly status: number;
  readonly fields: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A query for an A record, padded when `padding` says how much. */
export function dohQuery(name: string, id = 0, padding?: number): Uint8Array {
  return encodeMessage(
    makeMessage({
      id,
      recursionDesired: true,
      questions: [{ name: parseName(name), type: RRType.A, class: RRClass.IN }],
      edns:
        padding === undefined
          ? undefined
          : makeEdns({ options: [{ code: 12, data: new Uint8Array(padding) }] }),
    }),
  );
}

export function targetOf(query: Uint8Array, path = PATH): string {
  return `${path}?dns=${Buffer.from(query).toString("base64url")}`;
}

/** An HTTP/2 connection; trusts whatever certificate there is. */
export async function openHttp2(
  port: number,
  options: SecureClientSessionOptions & { address?: string; inClear?: boolean } = {},
): Promise<ClientHttp2Session> {
  const { address = "127.0.0.1", inClear = false, ...rest } = options;
  const session = connectHttp2(`${inClear ? "http" : "https"}://${address}:${port}`, {
    rejectUnauthorized: false,
    ...rest,
  });
  session.on("error", () => undefined);
  await new Promise<void>((resolve, reject) => {
    session.once("connect", () => resolve());
    session.once("close", () => reject(new Error("no HTTP/2 session")));
  });
  return session;
}

/** Rejects when the stream ends without an answer. */
export function replyOf(stream: ClientHttp2Stream): Promise<HttpReply> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpReply>();
  const chunks: Buffer[] = [];
  let fields: IncomingHttpHeaders | undefined;
  stream.on("response", (headers) => {
    fields = headers;
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => undefined);
  stream.on("close", () => {
    if (fields === undefined) reject(new Error(`no answer, stream ended with ${stream.rstCode}`));
    else resolve({ status: Number(fields[":status"]), fields, body: Buffer.concat(chunks) });
  });
  return promise;
}

export function get(
  session: ClientHttp2Session,
  query: Uint8Array,
  fields: OutgoingHttpHeaders = {},
): Promise<HttpReply> {
  return replyOf(session.request({ ":path": targetOf(query), ...fields }, { endStream: true }));
}

export function post(session: ClientHttp2Session, body: Uint8Array): Promise<HttpReply> {
  const stream = session.request(POST);
  stream.end(body);
  return replyOf(stream);
}

export function closed(session: ClientHttp2Session): Promise<void> {
  return session.destroyed
    ? Promise.resolve()
    : new Promise((resolve) => session.once("close", () => resolve()));
}

/** A connection for HTTP/1.1 by hand: what is written, and the text that came. */
export class Http1Client {
  readonly socket: Socket;
  readonly ended: Promise<void>;
  text = "";
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      this.text += chunk;
      this.#wake();
    });
    socket.on("error", () => undefined);
    this.ended = new Promise((resolve) => {
      socket.on("close", () => {
        resolve();
        this.#wake();
      });
    });
  }

  static inClear(port: number): Http1Client {
    return new Http1Client(connectTcp({ port, host: "127.0.0.1", allowHalfOpen: true }));
  }

  static overTls(port: number): Http1Client {
    const options = { port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] };
    return new Http1Client(connectTls(options));
  }

  /** Waits until so many answers have begun, or the connection has ended; gives their statuses. */
  async statuses(count: number): Promise<number[]> {
    for (;;) {
      const found = [...this.text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
      if (found.length >= count || this.socket.destroyed) return found;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  write(text: string): void {
    this.socket.write(text, "latin1");
  }
}

export function getText(query: Uint8Array, fields = ""): string {
  return `GET ${targetOf(query)} HTTP/1.1\r\nHost: dns.example\r\n${fields}\r\n`;
}

export function postText(body: Uint8Array, fields = ""): string {
  const head = `POST ${PATH} HTTP/1.1\r\nHost: dns.example\r\nContent-Type: application/dns-message\r\n`;
  return `${head}Content-Length: ${body.length}\r\n${fields}\r\n${Buffer.from(body).toString("latin1")}`;
}
