/**
 * Connections to one backend that are of one client each, because they begin with a PROXY header. The port in it is that of the
 * query for which the connection was opened. When there are too many the one used least recently that is idle makes room.
 */
import type { Endpoint, Runtime } from "@sotto/dns/runtime";
import { makeLocalProxyHeader, makeProxyHeader } from "@sotto/dns/wire";
import type { Attempt } from "./attempt.ts";
import { type Sending, StreamLanes, type StreamLanesOptions } from "./stream-lanes.ts";

export class ClientLanes {
  readonly #options: StreamLanesOptions;
  readonly #runtime: Runtime;
  /** By the client's address, least recently used first; empty for our own queries. */
  readonly #ofClients = new Map<string, StreamLanes>();
  /** On their way out. */
  readonly #leaving = new Set<StreamLanes>();
  #openedBefore = 0;

  constructor(options: StreamLanesOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
  }

  get connections(): number {
    let count = 0;
    for (const lanes of this.#ofClients.values()) count += lanes.connections;
    for (const lanes of this.#leaving) count += lanes.connections;
    return count;
  }

  /** Connections that were opened. */
  get opened(): number {
    let count = this.#openedBefore;
    for (const lanes of this.#ofClients.values()) count += lanes.opened;
    return count;
  }

  send(attempt: Attempt, nowMs: number, isForced: boolean): Sending {
    const key = attempt.query.client?.address ?? "";
    let lanes = this.#ofClients.get(key);
    if (lanes === undefined) {
      if (this.#ofClients.size + this.#leaving.size >= this.#options.lanes) {
        this.#makeRoom();
        return "full";
      }
      lanes = this.#makeLanes(attempt.query.client, attempt.query.local);
    } else this.#ofClients.delete(key);
    this.#ofClients.set(key, lanes);
    return lanes.send(attempt, nowMs, isForced);
  }

  note(...what: Parameters<StreamLanes["note"]>): void {
    // What is learnt is kept in the memory that all have together.
    const [attempt] = what;
    this.#ofClients.get(attempt.query.client?.address ?? "")?.note(...what);
  }

  #makeLanes(client: Endpoint | undefined, local: Endpoint | undefined): StreamLanes {
    const { target } = this.#options;
    const preamble = proxyHeader(client, local ?? target.remote, "stream");
    return new StreamLanes({ ...this.#options, target: { ...target, preamble }, lanes: 1 }, this.#runtime);
  }

  #makeRoom(): void {
    for (const [key, lanes] of this.#ofClients) {
      if (lanes.pending > 0) continue;
      this.#ofClients.delete(key);
      this.#openedBefore += lanes.opened;
      this.#leaving.add(lanes);
      void this.#retire(lanes);
      return;
    }
  }

  async #retire(lanes: StreamLanes): Promise<void> {
    await lanes.close();
    this.#leaving.delete(lanes);
    this.#options.onRoom();
  }

  async close(): Promise<void> {
    const all = [...this.#ofClients.values(), ...this.#leaving];
    this.#ofClients.clear();
    await Promise.all(all.map((lanes) => lanes.close()));
  }
}

/** Whom we speak for; of ourselves when there is no client. */
export function proxyHeader(
  client: Endpoint | undefined,
  local: Endpoint,
  kind: "stream" | "datagram",
): Uint8Array {
  return client === undefined ? makeLocalProxyHeader() : makeProxyHeader(client, local, kind);
}
