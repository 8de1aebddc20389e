/**
 * A thread with listeners of the native engine, for `thread-end.test.ts`: tells their ports, and throws or hangs when it is told to. It connects to
 * the ports that are given, where the first one takes connections.
 */
import { parentPort, workerData } from "node:worker_threads";
import { DnsError } from "../dns-error.ts";
import type { TlsServerOptions } from "../network.ts";
import { nativeRuntime } from "./native-runtime.ts";

const { network } = nativeRuntime();
// Given by the test, which has made it as such.
const { ports = [], ...tls } = workerData as TlsServerOptions & { readonly ports?: readonly number[] };
const common = { local: { address: "127.0.0.1", port: 0 }, handshakeTimeoutMs: 60_000, reusePort: false };
const nothing = (): undefined => undefined;
const handlers = {
  onStream: (stream: Parameters<Parameters<typeof network.listen>[1]["onStream"]>[0]) =>
    stream.setHandlers({
      onData: (octets) => void stream.write(octets.slice()),
      onEnd: nothing,
      onDrain: nothing,
      onClose: nothing,
    }),
  onFailure: nothing,
};
const clear = await network.listen({ ...common, tls: undefined }, handlers);
const secure = await network.listen({ ...common, tls }, handlers);
const udp = await network.bindDatagram(
  { ...common, connectTo: undefined },
  { onMessage: nothing, onError: nothing },
);
const asking = await network.bindDatagram(
  { ...common, connectTo: udp.local },
  { onMessage: nothing, onError: nothing },
);
const [open] = ports.map((port) =>
  network.connect({
    remote: { address: "127.0.0.1", port },
    localAddress: undefined,
    tls: undefined,
    connectTimeoutMs: 60_000,
    handshakeTimeoutMs: 60_000,
    signal: undefined,
  }),
);
if (open !== undefined) handlers.onStream(await open);
parentPort?.on("message", (what) => {
  if (what === "hang") {
    parentPort?.postMessage("hangs");
    for (;;);
  }
  // Outside of any promise: an uncaught exception.
  setImmediate(() => {
    throw new DnsError("ERR_SYSTEM", "told to fail");
  });
});
parentPort?.postMessage([clear, secure, udp, asking].map(({ local }) => local.port));
