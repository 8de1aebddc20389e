/** What operators can do to a running resolver, as commands of the control channel. */
import { type Name, type Parsed, type RRType, rrTypeFromText, tryParseName } from "@sotto/dns/wire";
import type { ControlCommand } from "../operations/index.ts";

/** What the commands need of the resolver. */
export interface Controlled {
  readonly status: object;
  readonly listeners: readonly object[];
  /** Forgets, and tells how much. */
  flush(name: Name, what: "zone" | "name" | RRType): object | Promise<object>;
  dump(): Generator<string> | AsyncGenerator<string>;
  load(text: string): Parsed<number> | Promise<Parsed<number>>;
  lookUp(name: Name): object | Promise<object>;
  trust(): object | Promise<object>;
  upstreams(): readonly object[];
  /** Upstreams, portal and answers, for people. */
  readonly stubStatus: object;
  /** Opens, closes or tells about captive portals. */
  portal(words: readonly string[]): object | Promise<object>;
  /** Reads the configuration again; what changed. */
  reload(): Promise<readonly string[]>;
  /** Begins to end. */
  stop(): void;
}

/** Commands by name; each takes the words behind it. */
export function controlCommands(resolver: Controlled): Readonly<Record<string, ControlCommand>> {
  return {
    status: async () => ({ ...resolver.status, listeners: resolver.listeners }),
    flush: async (words) => flush(resolver, words),
    dump: () => resolver.dump(),
    load: async ([text = ""]) => {
      const loaded = await resolver.load(text);
      if (!loaded.ok) throw new Error(`nothing was loaded: ${loaded.problem}`);
      return { recordSets: loaded.value };
    },
    lookup: async ([name]) => resolver.lookUp(nameOf(name)),
    trust: async () => resolver.trust(),
    upstreams: async () => ({ zones: resolver.upstreams() }),
    "stub-status": async () => resolver.stubStatus,
    portal: async (words) => resolver.portal(words),
    reload: async () => ({ changes: await resolver.reload() }),
    stop: async () => {
      resolver.stop();
      return { stopping: true };
    },
  };
}

/** `NAME`, `NAME TYPE`, `--zone NAME` or `--all`. */
function flush(resolver: Controlled, [first, second]: readonly string[]): object | Promise<object> {
  if (first === "--all") return resolver.flush(nameOf("."), "zone");
  if (first === "--zone") return resolver.flush(nameOf(second), "zone");
  const name = nameOf(first);
  if (second === undefined) return resolver.flush(name, "name");
  const type = rrTypeFromText(second);
  if (type === undefined) throw new Error(`${JSON.stringify(second)} is not a record type`);
  return resolver.flush(name, type);
}

function nameOf(text: string | undefined): Name {
  if (text === undefined) throw new Error("a name is missing");
  const name = tryParseName(text);
  if (!name.ok) throw new Error(name.problem);
  return name.value;
}
