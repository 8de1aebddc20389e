/** New connections that workers give each other, as the supervisor sees them: all come through its thread, and it closes what arrives nowhere. */
import { type DescriptorMemory, DescriptorsUnderWay, makeDescriptorMemory } from "./worker-descriptors.ts";
import type { ClosableConnection, ConnectionOnWay, GivenConnection } from "./worker-messages.ts";

/** A worker that connections go to and come from. */
export interface ConnectionEnd {
  readonly index: number;
  readonly state: "starting" | "serving" | "down";
  give(connection: GivenConnection): void;
}

export interface WorkerConnectionsOptions {
  readonly close: (connection: ClosableConnection) => void;
  /** One that was for a worker has been closed. */
  readonly onLost: (receiver: number) => void;
}

/** One for all workers. */
export class WorkerConnections {
  readonly memory: DescriptorMemory;
  readonly #underWay: DescriptorsUnderWay;
  readonly #options: WorkerConnectionsOptions;

  constructor(count: number, options: WorkerConnectionsOptions) {
    this.memory = makeDescriptorMemory(count);
    this.#underWay = new DescriptorsUnderWay(this.memory);
    this.#options = options;
  }

  /** In the same turn, or this thread would read from it. To the giver, when the receiver has died meanwhile. */
  passOn(given: GivenConnection, receiver: ConnectionEnd, giver: ConnectionEnd): void {
    const taker = [receiver, giver].find(({ state }) => state === "serving");
    if (taker === undefined) this.#close(given.connection, receiver.index);
    else taker.give(given);
  }

  #close(connection: ConnectionOnWay, receiver: number): void {
    if (connection.kind === "descriptor")
      this.#closeDescriptor(this.#underWay.take(connection.pass), receiver);
    else {
      this.#options.close(connection);
      this.#options.onLost(receiver);
    }
  }

  /** Undefined when somebody else has taken it. */
  #closeDescriptor(fd: number | undefined, receiver: number): void {
    if (fd === undefined) return;
    this.#options.close({ kind: "descriptor", fd });
    this.#options.onLost(receiver);
  }

  /** The thread of a worker has ended: nobody takes what is on its way there. */
  receiverEnded(worker: number): void {
    for (const { fd, receiver } of this.#underWay.takeAll("receiver", worker))
      this.#closeDescriptor(fd, receiver);
  }

  /** A worker begins: nobody sends what its thread before has given, and not sent. */
  giverBegins(worker: number): void {
    for (const { fd, receiver } of this.#underWay.takeAll("giver", worker))
      this.#closeDescriptor(fd, receiver);
  }
}
