/**
 * Everything in front of whoever answers, with what keeps it going: listeners, what they may take on, their certificates and ticket
 * keys. A resolver and a front end have the same.
 */
import type { Runtime } from "@sotto/dns/runtime";
import { Admission, type AdmissionCounters, type MessageHandler } from "@sotto/dns/transport";
import type { ListenerConfig } from "../config/index.ts";
import { FileWatch, type InheritedSocket } from "../operations/index.ts";
import { CertificateSource, certificateFilesOf, SelfMadeCertificates } from "./certificates.ts";
import { ListenerSet, type ListeningConfig, type OpenListener } from "./listeners.ts";
import { ledgerOf } from "./shared-clients.ts";
import { TicketKeys } from "./tickets.ts";
import type { WorkerPlace } from "./worker-place.ts";

export interface ListeningOptions {
  /** Who answers what comes in at a listener; `key` is the listener's in {@link OpenListener}. */
  handlerOf(key: string, listener: ListenerConfig): MessageHandler;
  /** Sockets that the service manager has opened. */
  readonly sockets: readonly InheritedSocket[];
  /** Its place among several workers; undefined: it serves alone. */
  readonly worker: WorkerPlace | undefined;
}

/** What is held for clients now. */
export interface AdmissionStatus {
  readonly connections: number;
  readonly handshakes: number;
  readonly inFlight: number;
  readonly bufferedOctets: number;
  /** 1: all timers as configured; 0: clients are told to go. */
  readonly patience: number;
  readonly admission: AdmissionCounters;
}

export class Listening {
  readonly #runtime: Runtime;
  readonly #admission: Admission;
  readonly #tickets: TicketKeys;
  readonly #listeners: ListenerSet;
  readonly #certificateWatch: FileWatch;
  #config: ListeningConfig;

  /** Throws ERR_CONFIG when the file of the ticket secret cannot be used. */
  constructor(config: ListeningConfig, { handlerOf, sockets, worker }: ListeningOptions, runtime: Runtime) {
    this.#runtime = runtime;
    this.#config = config;
    this.#tickets = new TicketKeys(
      config.tls,
      runtime,
      (keys) => this.#listeners.setTicketKeys(keys),
      worker?.secrets.tickets,
    );
    this.#admission = new Admission(
      config.limits,
      runtime.clock,
      worker && ledgerOf(worker.clients, worker.index, runtime.random),
    );
    this.#listeners = new ListenerSet(
      {
        handlerOf,
        admission: this.#admission,
        certificates: new CertificateSource(
          new SelfMadeCertificates(() => runtime.clock.wallMs(), worker?.certificates),
        ),
        sockets,
        isActivated: sockets.length > 0,
        sharesPorts: worker !== undefined,
        portOf: (key) => worker?.ports.get(key),
        ticketKeys: () => this.#tickets.current,
      },
      runtime,
    );
    this.#certificateWatch = new FileWatch(runtime.clock, () => void this.#renewCertificates());
  }

  /** Opens all listeners, or none and rejects. */
  async open(): Promise<void> {
    await this.#listeners.apply(this.#config);
    this.#lookAfterCertificates();
  }

  get listeners(): readonly OpenListener[] {
    return this.#listeners.open;
  }

  get connections(): number {
    return this.#admission.connections;
  }

  get status(): AdmissionStatus {
    const { connections, handshakes, inFlight, bufferedOctets, patience, counters } = this.#admission;
    return { connections, handshakes, inFlight, bufferedOctets, patience, admission: counters };
  }

  /** Changes to other settings; rejects, and all is as it was, when that cannot be done. Tells what changed. */
  async change(next: ListeningConfig): Promise<readonly string[]> {
    this.#tickets.change(next.tls);
    let changes: readonly string[];
    try {
      changes = await this.#listeners.apply(next);
    } catch (error) {
      this.#tickets.change(this.#config.tls);
      throw error;
    }
    this.#config = next;
    this.#lookAfterCertificates();
    return changes;
  }

  networkChanged(): void {
    this.#listeners.networkChanged();
  }

  /** Lets clients finish for as long as configured, then closes. */
  async drain(): Promise<void> {
    this.stop();
    await this.#listeners.drain(this.#runtime.clock.nowMs() + this.#config.limits.drainTimeoutMs);
  }

  async close(): Promise<void> {
    this.stop();
    await this.#listeners.close();
  }

  /** Ends its timers. */
  stop(): void {
    this.#tickets.stop();
    this.#certificateWatch.stop();
  }

  #lookAfterCertificates(): void {
    const { listeners, tls } = this.#config;
    this.#certificateWatch.watch(certificateFilesOf(listeners), tls.watchCertificatesMs);
    this.#tellCertificates();
  }

  /** Files have changed. What is broken is told and not used: the next change is looked at again. */
  async #renewCertificates(): Promise<void> {
    const { events } = this.#runtime;
    try {
      await this.#listeners.renewCertificates(this.#config);
      for (const { certificates, local } of this.#listeners.open)
        for (const one of certificates) events.publish("certificate.renewed", { ...local, ...one });
      this.#tellCertificates();
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      events.publish("certificate.refused", { problem, consequence: "the certificate in use stays" });
    }
  }

  #tellCertificates(): void {
    const { events, clock } = this.#runtime;
    const soonMs = clock.wallMs() + EXPIRES_SOON_MS;
    for (const { certificates, local } of this.#listeners.open) {
      for (const { names, notAfterMs } of certificates)
        if (notAfterMs < soonMs) events.publish("certificate.expires", { ...local, names, notAfterMs });
    }
  }
}

/** Long enough to find out why a renewal did not happen. */
const EXPIRES_SOON_MS = 7 * 86_400_000;
