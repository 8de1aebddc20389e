/**
 * Listens for a moment where workers are about to, alone. Sockets that share a port do not mind others of the same user,
 * so that without it a second resolver would take half of the first one's queries, and nobody would know.
 */
import { type Runtime, silentEvents } from "@sotto/dns/runtime";
import { Admission } from "@sotto/dns/transport";
import type { InheritedSocket } from "../operations/index.ts";
import { CertificateSource, SelfMadeCertificates } from "./certificates.ts";
import { placeSockets } from "./inherited-listeners.ts";
import { keyOf, ListenerSet, type ListeningConfig } from "./listeners.ts";

/** Rejects with what is wrong. Listeners in `open` are ours already; sockets of the service manager are nobody else's. */
export async function tryListeners(
  config: ListeningConfig,
  sockets: readonly InheritedSocket[],
  runtime: Runtime,
  open: ReadonlySet<string> = new Set(),
): Promise<void> {
  const places = placeSockets(config.listeners, sockets);
  const listeners = config.listeners.filter(
    (listener, i) => !places.of.has(listener) && !open.has(keyOf(listener, i)) && listener.local.port !== 0,
  );
  const trial = new ListenerSet(
    {
      // Whoever asks in this moment asks again.
      handlerOf: () => ({ answer: () => undefined }),
      admission: new Admission(config.limits, runtime.clock),
      certificates: new CertificateSource(new SelfMadeCertificates(() => runtime.clock.wallMs())),
      sockets: [],
      isActivated: sockets.length > 0,
      sharesPorts: false,
      portOf: () => undefined,
      ticketKeys: () => new Uint8Array(TICKET_KEYS_OCTETS),
    },
    { ...runtime, events: silentEvents },
  );
  await trial.apply({ ...config, listeners });
  await trial.close();
}

/** Of tickets that nobody will see. */
const TICKET_KEYS_OCTETS = 48;
