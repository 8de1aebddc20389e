/**
 * A process of slow clients: `slow-clients.ts TCP-PORT TLS-PORT BIG-NAME COUNT KIND …`. The kinds share the count: `octets-tcp`
 * and `octets-tls` send an octet a second, `half-handshake` stops in the ClientHello, `never-reads` asks for large replies and
 * reads none. Who is closed comes back after 100 ms. They come one after the other over five seconds, as long as the server's
 * timers for half handshakes and half messages, so that their coming back is spread as well. Tells "there" when all have come
 * once; ends when its standard input ends, and tells how many connections of each kind there were.
 */
import { connect as connectTcp, type Socket } from "node:net";
import { RRType } from "@sotto/dns/wire";
import { connect, framedQuery, pause, QUERY } from "./clients.ts";

const [tcp = 0, tls = 0] = process.argv.slice(2, 4).map(Number);
const BIG_QUERY = framedQuery(process.argv[4] ?? ".", RRType.TXT);
const count = Number(process.argv[5]);
const kinds = process.argv.slice(6);
const ARRIVALS_MS = 5000;
const COME_BACK_MS = 100;
/** Together some megabytes of replies: more than the kernel buffers for a peer that does not read. */
const BIG_QUERIES = 100;

const came: Record<string, number> = {};

process.stdin.on("end", () => {
  process.stdout.write(`${JSON.stringify(came)}\n`, () => process.exit(0));
});
process.stdin.resume();

const first: Promise<void>[] = [];
for (let nth = 0; nth < count; nth++) {
  first.push(start(nth));
  await pause(ARRIVALS_MS / count);
}
await Promise.all(first);
process.stdout.write("there\n");

/** Connects and misbehaves; resolves when it is connected or could not. */
async function start(nth: number): Promise<void> {
  const kind = kinds[nth % kinds.length] ?? "half-handshake";
  const again = (): void => void setTimeout(() => void start(nth), COME_BACK_MS);
  let socket: Socket;
  try {
    socket = await (kind === "octets-tls"
      ? connect("tls", tls, nth)
      : connectClear(kind === "half-handshake" ? tls : tcp, nth));
  } catch {
    again();
    return;
  }
  came[kind] = (came[kind] ?? 0) + 1;
  const stop = misbehave(socket, kind);
  socket.on("error", () => undefined);
  socket.on("close", () => {
    stop();
    again();
  });
}

function misbehave(socket: Socket, kind: string): () => void {
  if (kind === "never-reads") {
    socket.pause();
    socket.write(Buffer.concat(Array.from({ length: BIG_QUERIES }, () => BIG_QUERY)));
    // Who never reads does not see the end of the connection; a write on it fails. A whole query, lest it be a broken frame.
    const timer = setInterval(() => socket.write(BIG_QUERY), 1000);
    return () => clearInterval(timer);
  }
  socket.resume();
  if (kind === "half-handshake") {
    socket.write(Buffer.of(0x16, 0x03, 0x01, 0x02));
    return () => undefined;
  }
  let at = 0;
  const timer = setInterval(() => {
    socket.write(QUERY.subarray(at, ++at));
  }, 1000);
  return () => clearInterval(timer);
}

function connectClear(port: number, nth: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ port, host: "127.0.0.1", localAddress: `127.0.${100 + (nth % 50)}.1` });
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}
