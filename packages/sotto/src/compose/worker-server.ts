/** A worker: its program on its share of everything, which does what its supervisor asks and tells how it does. Not here: what only one program does. */
import { DnsError, type Runtime, type Timer } from "@sotto/dns/runtime";
import type { BanTold } from "../front/index.ts";
import { startFrontWorker } from "./front-worker.ts";
import { startResolverWorker } from "./resolver-worker.ts";
import { DescriptorsUnderWay } from "./worker-descriptors.ts";
import { HandOver } from "./worker-hand-over.ts";
import { ReportWriter, tallyCells } from "./worker-memory.ts";
import type {
  AcceptedConnection,
  GivenConnection,
  ToldBans,
  WorkerCall,
  WorkerCallName,
  WorkerCalls,
  WorkerMessage,
  WorkerStart,
  WorkerWork,
  WorkerWorld,
} from "./worker-messages.ts";
import type { WorkerPlace } from "./worker-place.ts";
import type { ProgramSurroundings, WorkerProgram } from "./worker-program.ts";

/** What a worker needs of its thread. */
export interface WorkerSurroundings {
  readonly runtime: Runtime;
  /** False when connections of the other workers cannot be had here, nor ours there: another engine carries them. */
  readonly isLikeOthers: boolean;
  readonly post: (message: WorkerMessage) => void;
  /** Gives a socket away; false when that cannot be done here, and then it stays as it is. */
  readonly postSocket: (socket: object, place: string, receiver: number) => boolean;
  /** Takes one; false, and it is closed, when nobody listens there any more. */
  readonly adopt: (connection: AcceptedConnection, place: string) => boolean;
  /** Share of the time since the last call in which the event loop was busy. */
  readonly utilisation: () => number;
}

/** Answers calls one after another; the first, which nobody sends, opens the listeners. */
export class WorkerServer {
  readonly #surroundings: WorkerSurroundings;
  readonly #start: WorkerStart;
  readonly #place: WorkerPlace;
  readonly #reports: ReportWriter;
  #program: WorkerProgram | undefined = undefined;
  #timer: Timer | undefined = undefined;
  #answering: Promise<void> = Promise.resolve();
  readonly #handOver: HandOver;
  readonly #underWay: DescriptorsUnderWay;
  #canGiveSockets = true;
  #utilisation = 0;
  #given = 0;
  #taken = 0;
  #lost = 0;

  constructor(start: WorkerStart, surroundings: WorkerSurroundings) {
    const { index, count, memory, secrets, clients, world } = start;
    this.#surroundings = surroundings;
    this.#start = start;
    this.#place = {
      index,
      count,
      secrets,
      clients,
      cells: tallyCells(memory),
      ports: new Map(world.ports),
      certificates: new Map(world.certificates),
    };
    this.#reports = new ReportWriter(memory);
    this.#handOver = new HandOver(start.loads, index);
    this.#underWay = new DescriptorsUnderWay(start.descriptors);
    this.handle({ number: 0, name: "open", input: undefined });
  }

  /** Does what is asked, after what was asked before, and posts the result. A second end does not wait for the first. */
  handle(call: WorkerCall | GivenConnection | ToldBans): void {
    if (call.name === "connection") {
      this.#take(call);
      return;
    }
    if (call.name === "bans") {
      const adopt = (): void => this.#program?.adoptBans?.(call.bans);
      // Not behind a reload, which takes its time.
      if (this.#program === undefined) this.#answering = this.#answering.then(adopt);
      else adopt();
      return;
    }
    const answer = (): Promise<void> => this.#answer(call);
    if (call.name === "close") void answer();
    else this.#answering = this.#answering.then(answer);
  }

  /** Whether a connection that has just been accepted is another worker's now. */
  gives(connection: AcceptedConnection, place: string): boolean {
    if (connection.kind === "socket" && !this.#canGiveSockets) return false;
    const receiver = this.#handOver.receiver(this.#program?.connections ?? 0);
    if (receiver === undefined) return false;
    const isGiven =
      connection.kind === "socket"
        ? this.#giveSocket(connection.socket, place, receiver)
        : this.#giveDescriptor(connection, place, receiver);
    if (isGiven) this.#given++;
    return isGiven;
  }

  #giveSocket(socket: object, place: string, receiver: number): boolean {
    // Where it cannot be done once, it can never be done.
    this.#canGiveSockets = this.#surroundings.postSocket(socket, place, receiver);
    return this.#canGiveSockets;
  }

  #giveDescriptor(
    { fd, remote }: AcceptedConnection & { kind: "descriptor" },
    place: string,
    receiver: number,
  ): boolean {
    const pass = this.#underWay.put(fd, this.#place.index, receiver);
    if (pass === undefined) return false;
    const connection = { kind: "descriptor", pass, remote } as const;
    this.#surroundings.post({ kind: "connection", place, connection, receiver });
    return true;
  }

  #take({ connection, place }: GivenConnection): void {
    this.#handOver.took();
    let accepted: AcceptedConnection;
    if (connection.kind === "socket") accepted = connection;
    else {
      const fd = this.#underWay.take(connection.pass);
      // The supervisor took this thread for dead, and has counted it.
      if (fd === undefined) return;
      accepted = { kind: "descriptor", fd, remote: connection.remote };
    }
    if (this.#surroundings.adopt(accepted, place)) this.#taken++;
    else this.#lost++;
    this.#handOver.has(this.#program?.connections ?? 0);
  }

  /** Never rejects. */
  async #answer(call: WorkerCall): Promise<void> {
    const { number } = call;
    const { post } = this.#surroundings;
    try {
      const value = await this.#do(call);
      // Whoever asks for the status after the answer must see what it did.
      this.#report();
      post({ kind: "result", number, value });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      post({ kind: "failure", number, code: DnsError.is(error) ? error.code : undefined, message });
    }
  }

  async #do(call: WorkerCall): Promise<WorkerCalls[WorkerCallName]["output"]> {
    if (call.name === "open") return this.#open();
    const program = this.#program;
    if (program === undefined) throw new DnsError("ERR_CLOSED", "the worker is not open");
    switch (call.name) {
      case "reload":
        return this.#reload(program, call.input);
      case "drain":
      case "close":
        return this.#end(program, call.name);
      default:
        return program.answer(call);
    }
  }

  async #open(): Promise<ReadonlyMap<string, number>> {
    const { world, sockets } = this.#start;
    const { runtime, post } = this.#surroundings;
    const tellBans = (bans: readonly BanTold[]): void => post({ kind: "bans", bans });
    this.#program = await startProgram(world.work, { place: this.#place, sockets, runtime, tellBans });
    // Starting is work, but not a load that others should be spared.
    this.#surroundings.utilisation();
    this.#handOver.has(0);
    this.#tellLoad(0);
    this.#keepReporting();
    return this.#ports();
  }

  async #reload(program: WorkerProgram, world: WorkerWorld): Promise<WorkerCalls["reload"]["output"]> {
    const { ports, certificates } = this.#place;
    for (const [key, port] of world.ports) ports.set(key, port);
    for (const [address, pair] of world.certificates) certificates.set(address, pair);
    const changes = await program.reload(world.work);
    return { changes, ports: this.#ports() };
  }

  /** Of what is open now. */
  #ports(): ReadonlyMap<string, number> {
    return new Map((this.#program?.listeners ?? []).map(({ key, local }) => [key, local.port]));
  }

  async #end(program: WorkerProgram, how: "drain" | "close"): Promise<undefined> {
    await program[how]();
    this.#timer?.cancel();
    return undefined;
  }

  #keepReporting(): void {
    this.#timer = this.#surroundings.runtime.clock.startTimer(
      "worker report",
      REPORT_MS,
      () => {
        this.#utilisation = this.#surroundings.utilisation();
        this.#tellLoad(this.#utilisation);
        this.#handOver.has(this.#program?.connections ?? 0);
        this.#report();
        this.#keepReporting();
      },
      true,
    );
  }

  /** Whoever never tells looks busy, and has nothing to give. */
  #tellLoad(utilisation: number): void {
    if (this.#surroundings.isLikeOthers) this.#handOver.tell(utilisation);
  }

  #report(): void {
    if (this.#program === undefined) return;
    this.#reports.write({
      ...this.#program.told,
      listeners: this.#program.listeners,
      utilisation: this.#utilisation,
      connectionsGiven: this.#given,
      connectionsTaken: this.#taken,
      connectionsLost: this.#lost,
    });
  }
}

function startProgram(work: WorkerWork, surroundings: ProgramSurroundings): Promise<WorkerProgram> {
  return work.program === "front"
    ? startFrontWorker(work, surroundings)
    : startResolverWorker(work, surroundings);
}

/** An operator sees what happened a moment ago, at a cost of some 50 µs each time. */
const REPORT_MS = 250;
