/** The server of scripts/native-soak.ts: listeners of the native engine that do what the first octet of a connection says. */

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
export const Wish = { Echo: 1, Much: 2, MuchAndEnd: 3, Reset: 4, End: 5, Pause: 6, MuchAndReset: 7 } as const;

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
  const handlers: ListenHandlers = {
    onStream: (stream) => {
      counts.streams++;
      counts.open++;
      play(stream, () => counts.open--);
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
      tell({ ...counts, rssBytes: process.memoryUsage.rss() });
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

function play(stream: ByteStream, closed: () => void): void {
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
