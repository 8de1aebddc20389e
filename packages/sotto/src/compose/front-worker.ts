/** `sotto front` in the thread of a worker, on its share of everything. */
import { DnsError, type Runtime, type Timer } from "@sotto/dns/runtime";
import { parseName } from "@sotto/dns/wire";
import { type FrontConfig, loadFront, problemToText } from "../config/index.ts";
import { BANS_MAX, type BanTold } from "../front/index.ts";
import { trustSystemAuthorities } from "../operations/index.ts";
import { type FrontStatus, type RunningFront, startFront } from "./front-daemon.ts";
import { type FrontPlace, frontShareOf } from "./front-place.ts";
import type { FrontTold } from "./front-reports.ts";
import type { OpenListener } from "./listeners.ts";
import type { AdmissionStatus } from "./listening.ts";
import type { FrontWork, ProgramCall } from "./worker-messages.ts";
import {
  type ProgramAnswer,
  type ProgramSurroundings,
  unknownCall,
  type WorkerProgram,
} from "./worker-program.ts";

/** Opens everything or nothing. */
export async function startFrontWorker(
  work: FrontWork,
  { place, sockets, runtime, tellBans }: ProgramSurroundings,
): Promise<WorkerProgram> {
  const bans = new BanBatch(tellBans, runtime);
  const worker: FrontPlace = { ...place, shared: work.shared, onBanned: (ban) => bans.add(ban) };
  const config = configOf(work, worker);
  // Each thread has its own; the supervisor has told how many there are.
  if (config.pools.some(({ backends }) => backends.some(({ tls }) => tls !== undefined)))
    trustSystemAuthorities();
  return new FrontWorker(await startFront(config, runtime, { sockets, worker }), worker, bans);
}

function configOf({ source }: FrontWork, place: FrontPlace): FrontConfig {
  const loaded = loadFront(source.text, source.file);
  // The supervisor found it good a moment ago, but it names files.
  if (!loaded.ok) throw new DnsError("ERR_CONFIG", loaded.problems.map(problemToText).join("; "));
  return frontShareOf(loaded.config, place);
}

/** See the head of this file. */
class FrontWorker implements WorkerProgram {
  readonly #front: RunningFront;
  readonly #place: FrontPlace;
  readonly #bans: BanBatch;

  constructor(front: RunningFront, place: FrontPlace, bans: BanBatch) {
    this.#front = front;
    this.#place = place;
    this.#bans = bans;
  }

  get listeners(): readonly OpenListener[] {
    return this.#front.listeners;
  }

  get connections(): number {
    return this.#front.connections;
  }

  get told(): { readonly status: AdmissionStatus; readonly own: FrontTold } {
    return toldOf(this.#front.status);
  }

  async reload(work: FrontWork): Promise<readonly string[]> {
    const config = configOf(work, this.#place);
    this.#place.shared = work.shared;
    return this.#front.reload(config);
  }

  answer(call: ProgramCall): ProgramAnswer {
    const { name, input } = call;
    switch (name) {
      case "flushAnswers":
        return this.#front.flush(parseName(input.name), input.isZone);
      case "drainBackend":
        this.#front.drainBackend(input.pool, input.backend);
        return undefined;
      case "resumeBackend":
        this.#front.resumeBackend(input.pool, input.backend);
        return undefined;
      case "listBans":
        return this.#front.bans;
      case "liftBan":
        return this.#front.liftBan(input);
      default:
        return unknownCall(call);
    }
  }

  adoptBans(bans: readonly BanTold[]): void {
    this.#front.adoptBans(bans);
  }

  drain(): Promise<void> {
    this.#bans.stop();
    return this.#front.drain();
  }

  close(): Promise<void> {
    this.#bans.stop();
    return this.#front.close();
  }
}

function toldOf(all: FrontStatus): { status: AdmissionStatus; own: FrontTold } {
  const { queries: _, workers: __, front, pending, pools, rules, ...status } = all;
  return { status, own: { front, pending, pools, rules } };
}

/** Bans on their way to the other workers: strangers can cause many, each of which would be a message to each of them. */
class BanBatch {
  readonly #tell: (bans: readonly BanTold[]) => void;
  readonly #runtime: Runtime;
  #bans: BanTold[] = [];
  #timer: Timer | undefined = undefined;
  #isStopped = false;

  constructor(tell: (bans: readonly BanTold[]) => void, runtime: Runtime) {
    this.#tell = tell;
    this.#runtime = runtime;
  }

  /** Beyond {@link BANS_MAX} it is not told: the others have no room for more either, and find out by themselves. */
  add(ban: BanTold): void {
    if (this.#isStopped) return;
    if (this.#bans.length < BANS_MAX) this.#bans.push(ban);
    this.#timer ??= this.#runtime.clock.startTimer("bans", BATCH_MS, () => this.#flush(), true);
  }

  #flush(): void {
    this.#timer = undefined;
    this.#tell(this.#bans);
    this.#bans = [];
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }
}

/** For so long a client that one worker has banned is answered by others. */
const BATCH_MS = 20;
