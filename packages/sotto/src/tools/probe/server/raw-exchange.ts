/** Octets to the port of TLS and what comes back, before there is any TLS. */
import { type ByteStream, DnsError, type Timer } from "@sotto/dns/runtime";
import { concatOctets } from "@sotto/dns/wire";
import type { Prober } from "./prober.ts";
import { portOf } from "./target.ts";

/** Said where a server closes or waits without a word. */
export const EMPTY_WAIT = "no answer";

/** Sends and collects until that is enough, the end, the time for a reply, or the end of the probe; a text when there is no connection. */
export async function rawExchange(
  prober: Prober,
  octets: Uint8Array,
  isEnough: (soFar: Uint8Array) => boolean,
): Promise<Uint8Array | string> {
  const { target, patience, runtime, signal } = prober;
  await prober.settle();
  prober.countConnection();
  let stream: ByteStream;
  try {
    stream = await runtime.network.connect({
      remote: { address: target.address, port: portOf(target, "tls") },
      localAddress: undefined,
      tls: undefined,
      connectTimeoutMs: patience.connectMs,
      handshakeTimeoutMs: patience.handshakeMs,
      signal,
    });
  } catch (error) {
    if (!DnsError.is(error)) throw error;
    return error.message;
  }
  let soFar: Uint8Array = new Uint8Array(0);
  let timer: Timer | undefined;
  let onAbort = (): void => undefined;
  await new Promise<void>((resolve) => {
    onAbort = resolve;
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) resolve();
    timer = runtime.clock.startTimer("probe-raw", patience.replyMs, resolve);
    stream.setHandlers({
      onData: (more) => {
        soFar = concatOctets([soFar, more]);
        if (soFar.length > OCTETS_MAX || isEnough(soFar)) resolve();
      },
      onEnd: resolve,
      onClose: () => resolve(),
      onDrain: () => undefined,
    });
    stream.write(octets);
  });
  timer?.cancel();
  signal.removeEventListener("abort", onAbort);
  // A handshake that is given up is not worth a goodbye, and the server shall know at once.
  stream.reset();
  await prober.pause(RESET_PAUSE_MS);
  return soFar;
}

/** A ServerHello is far shorter. */
const OCTETS_MAX = 65_536;
/** For the reset to arrive before the next connection. */
const RESET_PAUSE_MS = 10;
