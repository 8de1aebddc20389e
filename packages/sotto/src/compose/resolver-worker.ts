/** `sotto serve` or `sotto stub` in the thread of a worker, on its share of everything. */
import { DnsError } from "@sotto/dns/runtime";
import { parseName } from "@sotto/dns/wire";
import { type Config, loadConfig, problemToText } from "../config/index.ts";
import { trustSystemAuthorities } from "../operations/index.ts";
import type { OpenListener } from "./listeners.ts";
import type { AdmissionStatus } from "./listening.ts";
import { type ResolverPlace, type RunningServer, startRecursor } from "./recursor-daemon.ts";
import type { ResolverTold } from "./resolver-reports.ts";
import type { ProgramCall, ResolverCalls, ResolverWork } from "./worker-messages.ts";
import { partOf, shareOfLimits } from "./worker-place.ts";
import {
  type ProgramAnswer,
  type ProgramSurroundings,
  unknownCall,
  type WorkerProgram,
} from "./worker-program.ts";

/** Opens everything or nothing. */
export async function startResolverWorker(
  work: ResolverWork,
  { place, sockets, runtime }: ProgramSurroundings,
): Promise<WorkerProgram> {
  const worker: ResolverPlace = { ...place, cache: work.cache };
  const config = configOf(work, place.count);
  // Each thread has its own; the supervisor has told how many there are.
  if (config.forwardZones.length > 0) trustSystemAuthorities();
  return new ResolverWorker(await startRecursor(config, runtime, { sockets, worker }), worker);
}

/** What one of `count` workers may have of what the whole resolver may have; the size of the cache is then for what it does not share. */
export function shareOf(config: Config, count: number): Config {
  const { limits, cache } = config;
  return {
    ...config,
    cache: { ...cache, sizeBytes: partOf(cache.sizeBytes, count) },
    limits: shareOfLimits(limits, count),
  };
}

function configOf({ source }: ResolverWork, count: number): Config {
  const loaded = loadConfig(source.text, source.file, source.purpose);
  // The supervisor found it good a moment ago, but it names files.
  if (!loaded.ok) throw new DnsError("ERR_CONFIG", loaded.problems.map(problemToText).join("; "));
  return shareOf(loaded.config, count);
}

/** See the head of this file. */
class ResolverWorker implements WorkerProgram {
  readonly #server: RunningServer;
  readonly #place: ResolverPlace;
  #dump: { readonly number: number; readonly lines: Generator<string> } | undefined = undefined;

  constructor(server: RunningServer, place: ResolverPlace) {
    this.#server = server;
    this.#place = place;
  }

  get listeners(): readonly OpenListener[] {
    return this.#server.listeners;
  }

  get connections(): number {
    return this.#server.connections;
  }

  get told(): { readonly status: AdmissionStatus; readonly own: ResolverTold } {
    const { queries: _, authorities, ...status } = this.#server.status;
    const { zones: upstreams, portal } = this.#server.stubStatus;
    return { status, own: { authorities, upstreams, portal } };
  }

  async reload(work: ResolverWork): Promise<readonly string[]> {
    const config = configOf(work, this.#place.count);
    this.#place.cache = work.cache;
    return this.#server.reload(config);
  }

  answer(call: ProgramCall): ProgramAnswer {
    const server = this.#server;
    switch (call.name) {
      case "flush":
        return this.#flush(call.input);
      case "dump":
        return this.#nextLines(call.input);
      case "load":
        return load(server, call.input);
      case "lookUp":
        return server.lookUp(parseName(call.input));
      case "trust":
        return server.trust();
      case "portal":
        return server.portal(call.input);
      default:
        return unknownCall(call);
    }
  }

  #flush({ from, name, what }: ResolverCalls["flush"]["input"]): number {
    return from === "replies"
      ? this.#server.flushReplies(parseName(name), what)
      : this.#server.flushRecordSets(parseName(name), what);
  }

  #nextLines({ dump, isFirst }: ResolverCalls["dump"]["input"]): string[] {
    if (isFirst) this.#dump = { number: dump, lines: this.#server.dump() };
    // Half a dump must not look like a whole one: the worker was started again, or somebody else has begun another.
    if (this.#dump?.number !== dump) throw new DnsError("ERR_CLOSED", "the dump was ended, begin it again");
    const lines: string[] = [];
    for (let next = this.#dump.lines.next(); next.done !== true; next = this.#dump.lines.next()) {
      lines.push(next.value);
      if (lines.length >= DUMP_LINES) return lines;
    }
    if (lines.length === 0) this.#dump = undefined;
    return lines;
  }

  drain(): Promise<void> {
    return this.#server.drain();
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}

function load(server: RunningServer, text: string): number {
  const loaded = server.load(text);
  if (!loaded.ok) throw new Error(loaded.problem);
  return loaded.value;
}

/** As many as make some 64 kB. */
const DUMP_LINES = 1000;
