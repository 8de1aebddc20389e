/** Turns the lookups of a whole process over to a facade, and back. */
import nodeDns from "node:dns";
import nodePromises from "node:dns/promises";
import { syncBuiltinESMExports } from "node:module";
import type { Runtime } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import type { StubResolver, StubResolverOptions } from "@sotto/dns/stub";
import { createDns, type NodeDns } from "./create-dns.ts";

/** While it lasts, `node:dns`, and with it `net`, `http`, `tls`, `fetch` and what is built on them, asks our way. */
export interface InstalledDns extends Disposable, AsyncDisposable {
  readonly dns: NodeDns;
  readonly resolver: StubResolver;
  /** Gives the process its own lookups back and closes the connections. */
  uninstall(): Promise<void>;
}

/** One function of a module that ours stands in for. */
interface Replacement {
  readonly target: object;
  readonly key: string;
  readonly ours: unknown;
  before: unknown;
}

/** The latest one is in force; each can be taken away at any time. */
const layers: (readonly Replacement[])[] = [];

/**
 * Replaces the functions of `node:dns` and `node:dns/promises` in this thread. Functions that somebody took out of the module
 * before stay as they are, so install first. Throws ERR_CONFIG that tells what is wrong with the options.
 */
export function install(options: StubResolverOptions = {}, runtime: Runtime = nodeRuntime()): InstalledDns {
  const dns = createDns(options, runtime);
  // `promises` is a module of its own, which others hold: it is changed, not replaced.
  const layer = [...replacements(nodeDns, dns), ...replacements(nodePromises, dns.promises)];
  layers.push(layer);
  for (const { target, key, ours } of layer) Reflect.set(target, key, ours);
  // So that `import { lookup } from "node:dns"` follows.
  syncBuiltinESMExports();
  const uninstall = (): Promise<void> => {
    remove(layer);
    return dns.close();
  };
  return {
    dns,
    get resolver() {
      return dns.resolver;
    },
    uninstall,
    [Symbol.dispose]: () => void uninstall(),
    [Symbol.asyncDispose]: uninstall,
  };
}

/** Every call and class that both have. */
function replacements(target: object, ours: object): Replacement[] {
  return Object.entries(target).flatMap(([key, before]: [string, unknown]) => {
    const own: unknown = Reflect.get(ours, key);
    return typeof before === "function" && typeof own === "function"
      ? [{ target, key, ours: own, before }]
      : [];
  });
}

/** What somebody else has put in the place of ours since then stays; it may be a tool that watches the calls. */
function remove(layer: readonly Replacement[]): void {
  const at = layers.indexOf(layer);
  if (at < 0) return;
  layers.splice(at, 1);
  const above = layers.slice(at).flat();
  for (const { target, key, ours, before } of layer) {
    if (Reflect.get(target, key) === ours) Reflect.set(target, key, before);
    for (const other of above)
      if (other.target === target && other.key === key && other.before === ours) other.before = before;
  }
  syncBuiltinESMExports();
}
