/** The listeners of a server, changed as a set: new ones open before old ones go, and unchanged ones keep their connections. */
import { DnsError, type Endpoint, type Runtime } from "@sotto/dns/runtime";
import { type MessageHandler, StreamService, UdpListener } from "@sotto/dns/transport";
import type { Config, ListenerConfig } from "../config/index.ts";
import type { CertificateSource } from "./certificates.ts";

/** An open listener. */
export interface OpenListener {
  readonly transport: "udp" | "tcp" | "tls";
  /** With the port that the system chose when 0 was configured. */
  readonly local: Endpoint;
  /** SPKI pin of its certificate, tls only. */
  readonly pin?: string | undefined;
}

interface Entry {
  readonly key: string;
  readonly config: ListenerConfig;
  readonly part: UdpListener | StreamService;
  pin: string | undefined;
}

/** How long connections of a listener that was configured away may go on. */
const REMOVED_DRAIN_MS = 10_000;

/** Owns all listeners of one server. */
export class ListenerSet {
  #entries: Entry[] = [];
  readonly #handler: MessageHandler;
  readonly #certificates: CertificateSource;
  readonly #runtime: Runtime;

  constructor(handler: MessageHandler, certificates: CertificateSource, runtime: Runtime) {
    this.#handler = handler;
    this.#certificates = certificates;
    this.#runtime = runtime;
  }

  /** What is open now. */
  get open(): readonly OpenListener[] {
    return this.#entries.map(({ config, part, pin }) => ({
      transport: config.transport,
      local: part.local,
      pin,
    }));
  }

  /**
   * Opens what is new, renews certificates of what stays, drains what is gone. When something cannot be opened
   * nothing has changed, and the error says what.
   */
  async apply(config: Config): Promise<readonly string[]> {
    const wanted = new Map(config.listeners.map((listener, i) => [keyOf(listener, i), listener]));
    const kept = this.#entries.filter((entry) => wanted.has(entry.key));
    // Certificates first: a broken new file refuses the whole change (nothing is open yet).
    const renewals = await Promise.all(
      kept
        .filter(({ config: { transport } }) => transport === "tls")
        .map((entry) => this.#renewal(entry, wanted)),
    );
    const added = await this.#openAll(
      [...wanted].filter(([key]) => !kept.some((entry) => entry.key === key)),
      config,
    );
    for (const renew of renewals) renew();
    const removed = this.#entries.filter((entry) => !wanted.has(entry.key));
    this.#entries = [...kept, ...added];
    const deadlineMs = this.#runtime.clock.nowMs() + REMOVED_DRAIN_MS;
    for (const { part } of removed) {
      void part.drain(deadlineMs).catch((error: unknown) => {
        this.#runtime.events.publish("listener.failed", { stage: "drain", error: String(error) });
      });
    }
    return [
      ...added.map(({ config: listener }) => `opened ${describe(listener)}`),
      ...removed.map(({ config: listener }) => `closed ${describe(listener)}`),
    ];
  }

  async #renewal(entry: Entry, wanted: ReadonlyMap<string, ListenerConfig>): Promise<() => void> {
    const certificate = await this.#certificates.certificateFor(wanted.get(entry.key) ?? entry.config);
    const { part } = entry;
    return () => {
      if (part instanceof UdpListener) return;
      part.setCertificate(certificate.certificatePem, certificate.keyPem);
      entry.pin = certificate.pin;
    };
  }

  /** Opens all or none. */
  async #openAll(wanted: readonly (readonly [string, ListenerConfig])[], config: Config): Promise<Entry[]> {
    const opened: Entry[] = [];
    try {
      for (const [key, listener] of wanted) opened.push(await this.#openOne(key, listener, config));
    } catch (error) {
      await Promise.all(opened.map(({ part }) => part.close()));
      throw error;
    }
    return opened;
  }

  async #openOne(key: string, listener: ListenerConfig, config: Config): Promise<Entry> {
    const { local, transport } = listener;
    try {
      if (transport === "udp") {
        const part = await UdpListener.open({ local }, this.#handler, this.#runtime);
        return { key, config: listener, part, pin: undefined };
      }
      const certificate = transport === "tls" ? await this.#certificates.certificateFor(listener) : undefined;
      const { limits } = config;
      const part = await StreamService.open(
        {
          local,
          tls:
            certificate === undefined
              ? undefined
              : {
                  certificatePem: certificate.certificatePem,
                  keyPem: certificate.keyPem,
                  alpn: ["dot"],
                  ticketKeys: undefined,
                },
          limits: {
            connectionsMax: limits.connectionsMax,
            connectionsPerAddressMax: limits.connectionsPerAddressMax,
            inFlightMax: limits.inFlightMax,
            idleTimeoutMs: limits.idleTimeoutMs,
          },
        },
        this.#handler,
        this.#runtime,
      );
      return { key, config: listener, part, pin: certificate?.pin };
    } catch (cause) {
      if (DnsError.is(cause, "ERR_CONFIG")) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new DnsError("ERR_CONFIG", `cannot listen on ${describe(listener)}: ${why}`, { cause });
    }
  }

  /** Lets clients finish until `deadlineMs`, then closes. */
  async drain(deadlineMs: number): Promise<void> {
    await Promise.all(this.#entries.map(({ part }) => part.drain(deadlineMs)));
    this.#entries = [];
  }

  async close(): Promise<void> {
    await Promise.all(this.#entries.map(({ part }) => part.close()));
    this.#entries = [];
  }
}

/** Listeners with equal keys are the same and survive a reload. */
function keyOf(listener: ListenerConfig, index: number): string {
  const { address, port } = listener.local;
  // Several listeners may ask for a port of the system's choice.
  const place = port === 0 ? `0 #${index}` : String(port);
  return `${listener.transport} ${address} ${place}`;
}

function describe(listener: ListenerConfig): string {
  return `${listener.transport} ${listener.local.address} port ${listener.local.port}`;
}
