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

/** The latest one is in force; each can be taken away at any time. */
const layers: NodeDns[] = [];

/** What the process had before. */
const originals = { callbacks: { ...nodeDns }, promises: { ...nodePromises } };

/**
 * Replaces the functions of `node:dns` and `node:dns/promises` in this thread. Functions that somebody took out of the module
 * before stay as they are, so install first. Throws ERR_CONFIG that tells what is wrong with the options.
 */
export function install(options: StubResolverOptions = {}, runtime: Runtime = nodeRuntime()): InstalledDns {
  const dns = createDns(options, runtime);
  layers.push(dns);
  apply();
  const remove = (): void => {
    const at = layers.indexOf(dns);
    if (at < 0) return;
    layers.splice(at, 1);
    apply();
  };
  const uninstall = (): Promise<void> => {
    remove();
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

function apply(): void {
  const now = layers.at(-1);
  replace(nodeDns, originals.callbacks, now);
  replace(nodePromises, originals.promises, now?.promises);
  // So that `import { lookup } from "node:dns"` follows.
  syncBuiltinESMExports();
}

/** Every call and class that both have; `promises` is a module of its own, which others hold: it is changed, not replaced. */
function replace(target: object, original: object, ours: object | undefined): void {
  for (const [key, value] of Object.entries(original)) {
    if (typeof value !== "function") continue;
    Reflect.set(target, key, (ours === undefined ? undefined : Reflect.get(ours, key)) ?? value);
  }
}
