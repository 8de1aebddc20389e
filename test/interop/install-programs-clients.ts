/**
 * Run by `install-programs-scenario.ts`: after one `install()` line, programs of many kinds look for their servers by name. Prints
 * what came of each as JSON. Without an upstream, nothing is installed.
 */
import { createSocket } from "node:dgram";
import dns from "node:dns";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";
import { promisify } from "node:util";
import { createClient } from "@redis/client";
import { install } from "@sotto/dns/node-dns";
import * as undici from "undici";

const [, , only = "", upstream] = process.argv;

if (upstream !== undefined) install({ upstreams: [upstream] });

const body = async (response: AsyncIterable<unknown>): Promise<string> => {
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return text;
};

async function got(message: http.ClientRequest): Promise<string> {
  // `response` carries one message.
  const [response] = (await once(message, "response")) as [http.IncomingMessage];
  return body(response);
}

/** What a server says first to whoever asks for a page by hand. */
async function firstLine(socket: net.Socket): Promise<string> {
  socket.end("GET / HTTP/1.0\r\n\r\n");
  const text = await body(socket);
  return text.slice(text.lastIndexOf("\n") + 1);
}

async function connected(socket: net.Socket, event: "connect" | "secureConnect"): Promise<string> {
  await once(socket, event);
  return firstLine(socket);
}

/** Each asks for a name of its own. */
const PROGRAMS: Readonly<Record<string, (host: string) => Promise<string>>> = {
  fetch: async (host) => (await fetch(`http://${host}/`)).text(),
  "fetch-https": async (host) => (await fetch(`https://${host}/`)).text(),
  "undici-fetch": async (host) =>
    (await undici.fetch(`http://${host}/`, { dispatcher: new undici.Agent() })).text(),
  "undici-request": async (host) => (await undici.request(`https://${host}/`)).body.text(),
  "undici-pool": async (host) => {
    const pool = new undici.Pool(`http://${host}`, { connections: 2 });
    const { body: page } = await pool.request({ path: "/", method: "GET" });
    const text = await page.text();
    await pool.close();
    return text;
  },
  "http-get": (host) => got(http.get(`http://${host}/`)),
  "http-keep-alive": async (host) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const pages = [
      await got(http.get(`http://${host}/`, { agent })),
      await got(http.get(`http://${host}/`, { agent })),
    ];
    agent.destroy();
    return [...new Set(pages)].join();
  },
  "https-get": (host) => got(https.get(`https://${host}/`)),
  http2: async (host) => {
    const session = http2.connect(`https://${host}:8443`);
    const failed = once(session, "error").then(([error]) => Promise.reject(error));
    const stream = session.request({ ":path": "/" });
    const text = await Promise.race([body(stream), failed]);
    session.close();
    return text;
  },
  "net-connect": (host) => connected(net.connect({ host, port: 80 }), "connect"),
  "net-auto-select": (host) =>
    connected(
      net.connect({ host, port: 80, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 250 }),
      "connect",
    ),
  "net-one-family": (host) => connected(net.connect({ host, port: 80, family: 4 }), "connect"),
  "net-not-auto": (host) =>
    connected(net.connect({ host, port: 80, autoSelectFamily: false, family: 4 }), "connect"),
  "tls-connect": (host) => connected(tls.connect({ host, port: 443, servername: host }), "secureConnect"),
  dgram: async (host) => {
    const socket = createSocket("udp4");
    try {
      const heard = once(socket, "message");
      await promisify<void>((done) => socket.send("hello", 9999, host, (error) => done(error)))();
      return String((await heard)[0]);
    } finally {
      socket.close();
    }
  },
  redis: async (host) => {
    const client = createClient({ url: `redis://${host}:6379`, socket: { reconnectStrategy: false } });
    client.on("error", () => undefined);
    await client.connect();
    await client.set("key", "here");
    const value = await client.get("key");
    await client.close();
    return String(value);
  },
  "dns-lookup": async (host) =>
    (await promisify(dns.lookup)(host, 4)).address === "127.0.0.1" ? "here" : "elsewhere",
  "dns-resolve": async (host) => (await promisify(dns.resolveTxt)(host)).flat().join(),
  "dns-promises": async (host) => (await dns.promises.resolveSrv(host)).map(({ name }) => name).join(),
};

/** An error and its causes, outermost first. */
function chain(error: unknown): unknown[] {
  if (!(error instanceof Error)) return error === undefined ? [] : [String(error)];
  const { message } = error;
  const [code, stage]: unknown[] = [Reflect.get(error, "code"), Reflect.get(error, "stage")];
  return [{ code, stage, message }, ...chain(error.cause)];
}

const outcomes: Record<string, { text?: string; problem?: unknown[] }> = {};
await Promise.all(
  Object.entries(PROGRAMS)
    .filter(([what]) => only === "all" || only === what)
    .map(async ([what, run]) => {
      try {
        outcomes[what] = { text: await run(`${what}.inside.example`) };
      } catch (error) {
        outcomes[what] = { problem: chain(error) };
      }
    }),
);
console.log(JSON.stringify(outcomes));
process.exit(0);
