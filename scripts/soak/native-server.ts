/** The server of scripts/native-soak.ts: listeners of the native engine that do what the first octet of a connection says. */

import { readdirSync } from "node:fs";
import type {
  ByteStream,
  DatagramHandlers,
  DatagramSocket,
  Endpoint,
  ListenHandlers,
  ListenOptions,
  Network,
  StreamListener,
} from "@sotto/dns/runtime";
import { type AcceptedDescriptor, closeDescriptor, nativeRuntime } from "@sotto/dns/runtime/native";
import { AcceptedConnections } from "@sotto/dns/runtime/node";
import { makeAuthority } from "../../packages/sotto/src/operations/index.ts";

/** What clients ask for, by their first octet. */
export const Wish = {
  Echo: 1,
  Much: 2,
  MuchAndEnd: 3,
  Reset: 4,
  End: 5,
  Pause: 6,
  MuchAndReset: 7,
  Ask: 8,
} as const;

const MUCH_OCTETS = 400_000;

if (process.send !== undefined) await serve(process.send.bind(process));

async function serve(tell: (message: unknown) => void): Promise<void> {
  // Every other connection goes away and comes back, as between threads.
  let accepts = 0;
  const descriptors = new AcceptedConnections<AcceptedDescriptor>({
    give(connection, place) {
      if (accepts++ % 2 === 0) return false;
      setImmediate(() => descriptors.adopt(connection, place));
      return true;
    },
    close: ({ fd }) => closeDescriptor(fd),
  });
  const runtime = nativeRuntime(undefined, undefined, descriptors);
  if (runtime.engineProblem !== undefined) throw new Error(runtime.engineProblem);
  const { network } = runtime;
  const authority = await makeAuthority("soak authority", runtime.clock.wallMs());
  const pair = await authority.issue(["dns.example"], runtime.clock.wallMs());
  const more = await authority.issue(["other.example"], runtime.clock.wallMs());
  const tls = {
    ...pair,
    alpn: ["dot"],
    ticketKeys: new Uint8Array(48).fill(7),
    moreCertificates: [more],
    clientAuthoritiesPem: [authority.certificatePem],
  };
  const counts = { streams: 0, failures: 0, open: 0 };
  /** A listener of ours in clear, and a port where nobody listens. */
  const peers: Endpoint[] = [];
  const handlers: ListenHandlers = {
    onStream: (stream) => {
      counts.streams++;
      counts.open++;
      play(
        stream,
        (octets) => askStream(network, peers, octets, counts),
        () => counts.open--,
      );
    },
    onFailure: () => {
      counts.failures++;
    },
  };
  const options = (parts: Partial<ListenOptions>): ListenOptions => ({
    local: { address: "127.0.0.1", port: 0 },
    tls: undefined,
    handshakeTimeoutMs: 2000,
    reusePort: false,
    ...parts,
  });
  const isTrusted = (): boolean => true;
  const listeners: StreamListener[] = [];
  for (const parts of [
    {},
    { tls },
    { proxy: { isTrusted, place: "before tls" } },
    { tls, proxy: { isTrusted, place: "before tls" } },
    { tls, proxy: { isTrusted, place: "inside tls" } },
  ] as const)
    listeners.push(await network.listen(options(parts), handlers));
  const udp = await openDatagrams(network, counts);
  const closedOne = await network.listen(options({}), handlers);
  await closedOne.close();
  for (const { local } of [listeners[0] ?? closedOne, closedOne]) peers.push(local);
  process.on("message", (message) => {
    if (message === "change") {
      // Contexts are freed while connections hold them, keys change under tickets.
      for (const listener of listeners.slice(3))
        listener.change({ tls, handshakeTimeoutMs: 2000, proxy: { isTrusted, place: "before tls" } });
      listeners[4]?.change({ tls, handshakeTimeoutMs: 2000, proxy: { isTrusted, place: "inside tls" } });
      listeners[1]?.change({
        tls: { ...tls, ticketKeys: undefined },
        handshakeTimeoutMs: 2000,
        proxy: undefined,
      });
      void network.listen(options({ tls }), handlers).then((listener) => listener.close());
    } else if (message === "rotate") listeners[1]?.setTicketKeys(crypto.getRandomValues(new Uint8Array(48)));
    else if (message === "facts") {
      globalThis.gc?.();
      tell({
        ...counts,
        descriptors: readdirSync("/proc/self/fd").length,
        rssBytes: process.memoryUsage.rss(),
      });
    } else process.exit(0);
  });
  process.on("disconnect", () => process.exit(1));
  const ports = [...listeners.map(({ local }) => local.port), udp.local.port];
  tell(ports);
}

/** Answers datagrams at once, or after it has asked others, by their length. */
async function openDatagrams(network: Network, counts: { open: number }): Promise<DatagramSocket> {
  const any = { local: { address: "0.0.0.0", port: 0 }, reusePort: false };
  const echoes: DatagramHandlers = {
    onMessage: (octets, from, via) => via.send(octets.slice(), from),
    onError: () => undefined,
  };
  const back = await network.bindDatagram({ ...any, connectTo: undefined }, echoes);
  const closedOne = await network.bindDatagram({ ...any, connectTo: undefined }, echoes);
  await closedOne.close();
  const asked = [back, closedOne].map(({ local: { port } }) => ({ address: "127.0.0.1", port }));
  return await network.bindDatagram(
    { ...any, connectTo: undefined },
    {
      ...echoes,
      onMessage(octets, from, via) {
        const peer = asked[octets.length % 3];
        const answer = octets.slice();
        if (peer === undefined) via.send(answer, from);
        else void askDatagram(network, peer, answer, counts).then(() => via.send(answer, from));
      },
    },
  );
}

/** By a socket of its own, opened while another one is heard; answered, refused, or closed in the call that tells. */
async function askDatagram(
  network: Network,
  peer: Endpoint,
  octets: Uint8Array,
  counts: { open: number },
): Promise<void> {
  const over = Promise.withResolvers<void>();
  const options = { local: { address: "0.0.0.0", port: 0 }, connectTo: peer, reusePort: false };
  counts.open++;
  const end = (): void => {
    void socket.close();
    over.resolve();
  };
  const socket = await network.bindDatagram(options, { onMessage: end, onError: end });
  socket.send(octets, peer);
  const timer = setTimeout(end, 2000);
  await over.promise;
  clearTimeout(timer);
  counts.open--;
}

/**
 * Asks another listener over a connection of its own, opened while another one is heard: whom, how it ends and what for is in
 * the second and the third octet.
 */
async function askStream(
  network: Network,
  peers: readonly Endpoint[],
  [, how = 0, wish = 0]: Uint8Array,
  counts: { open: number },
): Promise<void> {
  const [ours, closedOne] = peers;
  const remote = how % 8 === 0 ? closedOne : ours;
  if (remote === undefined) return;
  const controller = new AbortController();
  counts.open++;
  try {
    const opening = network.connect({
      remote,
      localAddress: how < 128 ? undefined : "127.0.0.1",
      tls: undefined,
      connectTimeoutMs: how % 8 === 1 ? 0 : 2000,
      handshakeTimeoutMs: 2000,
      signal: controller.signal,
    });
    if (how % 8 === 2) controller.abort();
    const stream = await opening;
    const over = Promise.withResolvers<void>();
    if (how % 8 === 3) stream.reset();
    stream.setHandlers({
      onData: () => (how % 8 === 4 ? stream.reset() : stream.end()),
      onEnd: () => stream.end(),
      onDrain: () => undefined,
      onClose: () => over.resolve(),
    });
    stream.write(Uint8Array.of(wish, ...new Uint8Array(how)));
    if (how % 8 === 5) stream.end();
    const timer = setTimeout(() => stream.reset(), 1000);
    await over.promise;
    clearTimeout(timer);
  } catch {
    // Nobody is there, or it was given up.
  }
  counts.open--;
}

function play(stream: ByteStream, ask: (octets: Uint8Array) => Promise<void>, closed: () => void): void {
  stream.setHandlers({
    onData: (octets) => {
      const much = (): void => void stream.write(new Uint8Array(MUCH_OCTETS));
      switch (octets[0]) {
        case Wish.Much:
          much();
          break;
        case Wish.MuchAndEnd:
          much();
          stream.end();
          break;
        case Wish.MuchAndReset:
          much();
          stream.reset();
          break;
        case Wish.Reset:
          stream.reset();
          break;
        case Wish.Ask: {
          const answer = octets.slice();
          void ask(octets).then(() => stream.write(answer));
          break;
        }
        case Wish.End:
          stream.end();
          break;
        case Wish.Pause:
          stream.pause();
          setTimeout(() => stream.resume(), 5);
          stream.write(octets.slice());
          break;
        default:
          stream.write(octets.slice());
      }
    },
    onEnd: () => stream.end(),
    onDrain: () => undefined,
    onClose: closed,
  });
}
