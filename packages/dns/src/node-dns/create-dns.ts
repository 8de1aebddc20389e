/** The module `node:dns` made anew over a `StubResolver`: same calls, same errors, other wires. */
import * as nodeDns from "node:dns";
import { isIP } from "node:net";
import { promisify } from "node:util";
import type { Runtime } from "@sotto/dns/runtime";
import { machineFamilies, nodeRuntime, serviceName } from "@sotto/dns/runtime/node";
import type { QueryOptions, StubAnswer, StubResolver, StubResolverOptions } from "@sotto/dns/stub";
import type { RRType } from "@sotto/dns/wire";
import {
  missingArguments,
  requireCallback,
  requirePort,
  requireString,
  wrongValue,
} from "./argument-checks.ts";
import { CallbackResolver, callBack } from "./callback-resolver.ts";
import { Channel, ChannelDefaults } from "./channel.ts";
import { ERROR_CODES } from "./dns-exception.ts";
import { type FoundAddress, lookupAddresses, lookupNames } from "./lookup.ts";
import {
  type LookupArguments,
  type ResultOrder,
  readLookupOptions,
  readOrder,
  requireHostname,
} from "./lookup-arguments.ts";
import { PromiseResolver, type ResolverBase } from "./promise-resolver.ts";
import type { ServiceBinding } from "./record-values.ts";
import { QUESTIONS } from "./resolve.ts";

type ServiceCallback = (error: NodeJS.ErrnoException | null, bindings: ServiceBinding[]) => void;

/** What there is beyond Node's own module. */
export interface MoreDns {
  resolveHttps(hostname: string, callback: ServiceCallback): void;
  resolveSvcb(hostname: string, callback: ServiceCallback): void;
  /** The whole message with its protection and security, as `StubResolver.query`. */
  query(name: string, type: RRType | string, options?: QueryOptions): Promise<StubAnswer>;
  /** For undici's `interceptors.dns({ lookup })`: takes an origin and gives addresses with their TTL. */
  lookupOrigin(
    origin: URL | { readonly hostname: string },
    options:
      | { readonly family?: number | null | undefined; readonly affinity?: 4 | 6 | null | undefined }
      | undefined,
    callback: (error: Error | null, addresses: FoundAddress[]) => void,
  ): void;
  /** Who is asked now; changes with `setServers`. */
  readonly resolver: StubResolver;
  /** Gives up what is under way and closes all connections. */
  close(): Promise<void>;
}

/** The promise forms of the same. */
export interface MorePromises {
  resolveHttps(hostname: string): Promise<ServiceBinding[]>;
  resolveSvcb(hostname: string): Promise<ServiceBinding[]>;
}

export type NodeDns = Omit<typeof import("node:dns"), "promises"> &
  MoreDns & { readonly promises: typeof import("node:dns/promises") & MorePromises };

/** Throws ERR_CONFIG that tells what is wrong with the options. Sends nothing yet. */
export function createDns(options: StubResolverOptions = {}, runtime: Runtime = nodeRuntime()): NodeDns {
  const facade = new Facade(new ChannelDefaults(options, runtime));
  // That the calls take and give what the types of Node say is proved call by call in test/integration/node-dns.test.ts.
  return facade.module as unknown as NodeDns;
}

class Facade {
  readonly module: object;
  readonly #defaults: ChannelDefaults;
  readonly #promises: object;
  #channel: Channel;
  #callbacks: CallbackResolver;
  #resolvers: PromiseResolver;
  #order: ResultOrder;

  constructor(defaults: ChannelDefaults) {
    this.#defaults = defaults;
    // Respects --dns-result-order.
    this.#order = readOrder(nodeDns.getDefaultResultOrder(), "dnsOrder");
    this.#channel = new Channel(defaults);
    this.#callbacks = new CallbackResolver(this.#channel);
    this.#resolvers = new PromiseResolver(this.#channel);
    this.#promises = this.#makePromises();
    this.module = this.#makeModule();
  }

  /** Both classes of resolver share the servers, the connections and the cache until they set others. */
  #classes(): { Resolver: object; promises: object } {
    const defaults = this.#defaults;
    return {
      Resolver: class Resolver extends CallbackResolver {
        constructor(options?: unknown) {
          super(new Channel(defaults, options));
        }
      },
      promises: class Resolver extends PromiseResolver {
        constructor(options?: unknown) {
          super(new Channel(defaults, options));
        }
      },
    };
  }

  #makeModule(): object {
    const lookup = this.#lookup.bind(this);
    const lookupService = this.#lookupService.bind(this);
    Object.defineProperty(lookup, promisify.custom, { value: this.#lookupPromise.bind(this) });
    Object.defineProperty(lookupService, promisify.custom, { value: this.#lookupServicePromise.bind(this) });
    const { ADDRCONFIG, ALL, V4MAPPED } = nodeDns;
    const facade = this;
    return {
      lookup,
      lookupService,
      Resolver: this.#classes().Resolver,
      ...this.#shared(),
      ADDRCONFIG,
      ALL,
      V4MAPPED,
      ...bound(this.#methods, () => this.#callbacks),
      promises: this.#promises,
      query: (name: string, type: RRType | string, options?: QueryOptions) =>
        this.#channel.ask(name, type, options),
      lookupOrigin: this.#lookupOrigin.bind(this),
      get resolver() {
        return facade.#channel.stub;
      },
      close: () => this.#channel.close(),
    };
  }

  #makePromises(): object {
    return {
      lookup: this.#lookupPromise.bind(this),
      lookupService: this.#lookupServicePromise.bind(this),
      Resolver: this.#classes().promises,
      ...this.#shared(),
      ...bound(this.#methods, () => this.#resolvers),
    };
  }

  readonly #methods = ["getServers", "resolve", "reverse", ...QUESTIONS.map(({ method }) => method)];

  #shared(): object {
    return {
      getDefaultResultOrder: () => this.#order,
      setDefaultResultOrder: (order: unknown) => {
        this.#order = readOrder(order, "dnsOrder");
      },
      setServers: (servers: unknown) => this.#channel.setServers(servers),
      ...ERROR_CODES,
    };
  }

  #lookup(...given: unknown[]): object {
    const [hostname, options] = given;
    const callback = given.length > 2 && typeof options !== "function" ? given[2] : last(options);
    requireHostname(hostname);
    requireCallback(callback);
    const wanted = readLookupOptions(typeof options === "function" ? undefined : options, this.#order, true);
    const results = wanted.all
      ? (found: FoundAddress[]): unknown[] => [found.map(shortOf)]
      : ([first]: FoundAddress[]): unknown[] => [first?.address, first?.family];
    callBack(this.#addresses(nonEmpty(hostname), wanted), callback, results);
    return {};
  }

  #lookupPromise(hostname: unknown, options?: unknown): Promise<unknown> {
    requireHostname(hostname);
    const wanted = readLookupOptions(options, this.#order, false);
    return this.#lookupNow(hostname, wanted);
  }

  async #lookupNow(hostname: unknown, wanted: LookupArguments): Promise<unknown> {
    const found = (await this.#addresses(nonEmpty(hostname), wanted)).map(shortOf);
    return wanted.all ? found : found[0];
  }

  #addresses(hostname: string, wanted: LookupArguments): Promise<FoundAddress[]> {
    return lookupAddresses(this.#channel, hostname, wanted, machineFamilies);
  }

  #lookupOrigin(...[origin, options, callback]: Parameters<MoreDns["lookupOrigin"]>): void {
    const family = options?.affinity ?? options?.family ?? 0;
    const wanted = readLookupOptions({ family, all: true }, this.#order, true);
    // The address of a URL stands in brackets.
    const hostname = origin.hostname.replace(/^\[(.*)\]$/, "$1");
    this.#addresses(hostname, wanted).then(
      (found) => queueMicrotask(() => callback(null, found)),
      (error: Error) => queueMicrotask(() => callback(error, [])),
    );
  }

  #lookupService(...given: unknown[]): object {
    const [address, port, callback] = given;
    if (given.length !== 3) throw missingArguments(["address", "port", "callback"]);
    const checked = { address: requireAddress(address), port: requirePort(port) };
    requireCallback(callback);
    callBack(this.#names(checked), callback, ({ hostname, service }) => [hostname, service]);
    return {};
  }

  #lookupServicePromise(...given: unknown[]): Promise<{ hostname: string; service: string }> {
    const [address, port] = given;
    if (given.length !== 2) throw missingArguments(["address", "port"]);
    return this.#names({ address: requireAddress(address), port: requirePort(port) });
  }

  #names({
    address,
    port,
  }: {
    readonly address: string;
    readonly port: number;
  }): Promise<{ hostname: string; service: string }> {
    return lookupNames(this.#channel, address, port, serviceName);
  }
}

/** With two arguments the second one is the callback; a misplaced option is told as a wrong callback, as by Node. */
function last(options: unknown): unknown {
  return typeof options === "object" || typeof options === "number" ? undefined : options;
}

/** Methods of the resolver that is the default now, to be called on their own. */
function bound(methods: readonly string[], target: () => ResolverBase): object {
  return Object.fromEntries(
    methods.map((method) => [
      method,
      (...given: unknown[]): unknown => {
        const resolver = target();
        // Each method of the list is defined on both kinds of resolvers.
        const call = Reflect.get(resolver, method) as (...given: unknown[]) => unknown;
        return Reflect.apply(call, resolver, given);
      },
    ]),
  );
}

function nonEmpty(hostname: unknown): string {
  if (typeof hostname === "string" && hostname !== "") return hostname;
  throw wrongValue("hostname", hostname, "must be a non-empty string");
}

function requireAddress(address: unknown): string {
  requireString(address, "address");
  if (isIP(address) === 0) throw wrongValue("address", address);
  return address;
}

function shortOf({ address, family }: FoundAddress): { address: string; family: 4 | 6 } {
  return { address, family };
}
