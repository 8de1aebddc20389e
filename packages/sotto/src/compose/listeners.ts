/** The listeners of a server, changed as a set: new ones open before old ones go, and unchanged ones keep their connections. */
import { DnsError, type Endpoint, type ProxyOptions, type Runtime } from "@sotto/dns/runtime";
import {
  type Admission,
  type MessageHandler,
  StreamService,
  type StreamServiceChange,
  UdpListener,
} from "@sotto/dns/transport";
import type { Config, ListenerConfig } from "../config/index.ts";
import type { CertificateSummary, InheritedSocket } from "../operations/index.ts";
import { AccessList, DOH_ALPN, DohProtocol } from "../server/index.ts";
import type { CertificateSource, ListenerCertificates } from "./certificates.ts";
import { judgeByCertificate } from "./client-access.ts";
import { placeSockets, type SocketPlaces, socketDirective } from "./inherited-listeners.ts";

/** The settings that listeners need. */
export type ListeningConfig = Pick<Config, "listeners" | "limits" | "tls">;

/** An open listener. */
export interface OpenListener {
  /** The same after a reload, and in all workers. */
  readonly key: string;
  readonly transport: ListenerConfig["transport"];
  /** With the port that the system chose when 0 was configured. */
  readonly local: Endpoint;
  /** SPKI pin of its first certificate; undefined without TLS. */
  readonly pin?: string | undefined;
  /** All its certificates, none without TLS. */
  readonly certificates: readonly CertificateSummary[];
  /** What became of the wish for Fast Open; undefined when it was not asked for. */
  readonly fastOpen?: string | undefined;
  /** Name of the socket that the service manager passed for it; undefined when it opened its own. */
  readonly inherited?: string | undefined;
  /** What has happened on it, for status reports. */
  readonly counters: object;
}

interface Entry {
  readonly key: string;
  config: ListenerConfig;
  readonly part: UdpListener | StreamService;
  /** What its connections speak, https only. */
  readonly doh: DohProtocol | undefined;
  readonly socket: InheritedSocket | undefined;
  certificates: ListenerCertificates | undefined;
  /** As the part is now. */
  change: StreamServiceChange | undefined;
}

/** A change of one kept listener that has been prepared and cannot fail for want of a file. */
interface Renewal {
  readonly entry: Entry;
  readonly config: ListenerConfig;
  readonly certificates: ListenerCertificates | undefined;
  readonly change: StreamServiceChange;
}

/** What all listeners share. */
export interface ListenerShare {
  /** Who answers what comes in at a listener. */
  handlerOf(key: string, listener: ListenerConfig): MessageHandler;
  readonly admission: Admission;
  readonly certificates: CertificateSource;
  /** What the service manager has opened; empty: nothing. */
  readonly sockets: readonly InheritedSocket[];
  /** It has opened some, whoever they are for. */
  readonly isActivated: boolean;
  /** Several workers listen where this one does. */
  readonly sharesPorts: boolean;
  /** The port that another worker got for a listener of the system's choice, by key; undefined: choose. */
  portOf(key: string): number | undefined;
  /** Keys of tickets now; 48 octets. */
  ticketKeys(): Uint8Array;
}

/** Owns all listeners of one server. */
export class ListenerSet {
  #entries: Entry[] = [];
  readonly #share: ListenerShare;
  readonly #runtime: Runtime;

  constructor(share: ListenerShare, runtime: Runtime) {
    this.#share = share;
    this.#runtime = runtime;
  }

  /** What is open now. */
  get open(): readonly OpenListener[] {
    return this.#entries.map(({ key, config, part, doh, certificates, socket }) => ({
      key,
      transport: config.transport,
      local: part.local,
      pin: certificates?.summaries[0]?.pin,
      certificates: certificates?.summaries ?? [],
      fastOpen: config.fastOpen && part instanceof StreamService ? part.fastOpen : undefined,
      inherited: socket?.name,
      counters: doh === undefined ? part.counters : { ...part.counters, refusals: doh.refusals },
    }));
  }

  /**
   * Opens what is new, changes what stays, drains what is gone. When something cannot be done nothing has changed, and
   * the error says what.
   */
  async apply(config: ListeningConfig): Promise<readonly string[]> {
    const wanted = new Map(config.listeners.map((listener, i) => [keyOf(listener, i), listener]));
    const kept = this.#entries.filter((entry) => wanted.has(entry.key));
    // Files first: a broken new one refuses the whole change (nothing is open yet).
    const renewals = await Promise.all(
      kept.map((entry) => this.#prepare(entry, wanted.get(entry.key) ?? entry.config, config)),
    );
    const places = placeSockets(config.listeners, this.#share.sockets);
    const added = await this.#openAll(
      [...wanted].filter(([key]) => !kept.some((entry) => entry.key === key)),
      config,
      places,
    );
    try {
      renewAll(renewals);
    } catch (error) {
      await Promise.all(added.map(({ part }) => part.close()));
      throw error;
    }
    this.#share.admission.setLimits(config.limits);
    this.#tellSockets(places);
    const removed = this.#entries.filter((entry) => !wanted.has(entry.key));
    this.#entries = [...kept, ...added];
    const deadlineMs = this.#runtime.clock.nowMs() + config.limits.drainTimeoutMs;
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

  /** Reads all certificates again; open connections stay. Rejects, and all stay as they are, when one is broken. */
  async renewCertificates(config: ListeningConfig): Promise<void> {
    const tls = this.#entries.filter((entry) => entry.config.usesTls);
    renewAll(await Promise.all(tls.map((entry) => this.#prepare(entry, entry.config, config))));
  }

  /** The machine may have other addresses now: listeners on all of them look again. */
  networkChanged(): void {
    for (const { part } of this.#entries) if (part instanceof UdpListener) part.networkChanged();
  }

  /** New keys for the tickets of all TLS listeners. */
  setTicketKeys(keys: Uint8Array): void {
    for (const { part, config } of this.#entries)
      if (part instanceof StreamService && config.usesTls) part.setTicketKeys(keys);
  }

  async #prepare(entry: Entry, listener: ListenerConfig, config: ListeningConfig): Promise<Renewal> {
    const certificates = await this.#certificatesFor(listener);
    return { entry, config: listener, certificates, change: this.#changeFor(listener, certificates, config) };
  }

  async #certificatesFor(listener: ListenerConfig): Promise<ListenerCertificates | undefined> {
    return listener.usesTls ? this.#share.certificates.certificatesFor(listener) : undefined;
  }

  #changeFor(
    listener: ListenerConfig,
    certificates: ListenerCertificates | undefined,
    config: ListeningConfig,
  ): StreamServiceChange {
    return {
      tls: certificates && {
        ...certificates.first,
        moreCertificates: certificates.more,
        clientAuthoritiesPem: certificates.clientAuthoritiesPem,
        alpn: listener.transport === "https" ? DOH_ALPN : ["dot"],
        groups: config.tls.groups,
        ticketKeys: this.#share.ticketKeys(),
      },
      proxy: proxyOptions(listener),
      judgeClient: listener.clientCertificates && judgeByCertificate(listener.clientCertificates),
      limits: listener.limits,
    };
  }

  /** Opens all or none. */
  async #openAll(
    wanted: readonly (readonly [string, ListenerConfig])[],
    config: ListeningConfig,
    places: SocketPlaces,
  ): Promise<Entry[]> {
    const opened: Entry[] = [];
    try {
      for (const [key, listener] of wanted)
        opened.push(await this.#openOne(key, listener, config, places.of.get(listener)));
    } catch (error) {
      await Promise.all(opened.map(({ part }) => part.close()));
      throw error;
    }
    return opened;
  }

  async #openOne(
    key: string,
    listener: ListenerConfig,
    config: ListeningConfig,
    socket: InheritedSocket | undefined,
  ): Promise<Entry> {
    const { transport, fastOpen } = listener;
    const { admission, isActivated, sharesPorts } = this.#share;
    const handler = this.#share.handlerOf(key, listener);
    const { address, port } = listener.local;
    const local = { address, port: port === 0 ? (this.#share.portOf(key) ?? 0) : port };
    const place = {
      local: socket?.local ?? local,
      inheritedFd: socket?.fd,
      reusePort: sharesPorts && socket === undefined,
    };
    try {
      if (transport === "udp") {
        const options = { ...place, proxy: proxyOptions(listener) };
        const part = await UdpListener.open(options, handler, this.#runtime);
        return {
          key,
          config: listener,
          part,
          doh: undefined,
          socket,
          certificates: undefined,
          change: undefined,
        };
      }
      const certificates = await this.#certificatesFor(listener);
      const change = this.#changeFor(listener, certificates, config);
      const options = { ...change, ...place, admission, fastOpen };
      const doh = listener.path === undefined ? undefined : new DohProtocol(listener.path);
      const part =
        doh === undefined
          ? await StreamService.open(options, handler, this.#runtime)
          : await StreamService.openFor(doh, options, handler, this.#runtime);
      return { key, config: listener, part, doh, socket, certificates, change };
    } catch (cause) {
      if (DnsError.is(cause, "ERR_CONFIG")) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      const help =
        socket !== undefined
          ? `; its socket ${socket.name} is the service manager's, and comes again with a restart`
          : isActivated
            ? `; the service manager passed no socket for it: add ${socketDirective(listener)} to the socket unit`
            : "";
      throw new DnsError("ERR_CONFIG", `cannot listen on ${describe(listener)}: ${why}${help}`, { cause });
    }
  }

  /** What the socket unit and the configuration do not agree about. */
  #tellSockets({ without, unused }: SocketPlaces): void {
    const { events } = this.#runtime;
    for (const { name, layer, local } of unused)
      events.publish("listener.socket-unused", {
        socket: name,
        layer,
        ...local,
        problem: "the service manager passed a socket that no listener is configured for",
        consequence: "what is sent there gets no answer: add a listener, or take it out of the socket unit",
      });
    for (const listener of without)
      events.publish("listener.socket-missing", {
        transport: listener.transport,
        ...listener.local,
        problem: "the service manager passed sockets, but none for this listener",
        consequence: `it has its own: add ${socketDirective(listener)} to the socket unit`,
      });
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

/** All or none. */
function renewAll(renewals: readonly Renewal[]): void {
  const done: Renewal[] = [];
  try {
    for (const renewal of renewals) {
      const { part } = renewal.entry;
      if (part instanceof UdpListener) part.setProxy(renewal.change.proxy);
      else part.change(renewal.change);
      done.push(renewal);
    }
  } catch (error) {
    for (const { entry } of done)
      if (entry.part instanceof StreamService && entry.change !== undefined) entry.part.change(entry.change);
    throw error;
  }
  for (const { entry, config, certificates, change } of renewals) {
    entry.config = config;
    if (entry.doh !== undefined && config.path !== undefined) entry.doh.path = config.path;
    entry.certificates = certificates;
    entry.change = change;
  }
}

function proxyOptions({ proxy }: ListenerConfig): ProxyOptions | undefined {
  if (proxy === undefined) return undefined;
  const trusted = new AccessList({ allow: proxy.from, deny: [], action: "drop" });
  return { place: proxy.place, isTrusted: (address) => trusted.allows(address) };
}

/** Listeners with equal keys are the same and survive a reload. */
export function keyOf(listener: ListenerConfig, index: number): string {
  const { address, port } = listener.local;
  // Several listeners may ask for a port of the system's choice.
  const place = port === 0 ? `0 #${index}` : String(port);
  return `${listener.transport} ${address} ${place}`;
}

function describe(listener: ListenerConfig): string {
  return `${listener.transport} ${listener.local.address} port ${listener.local.port}`;
}
