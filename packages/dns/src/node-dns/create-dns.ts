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
import { PromiseResolver, ResolverBase } from "./promise-resolver.ts";
import type { ServiceBinding } from "./record-values.ts";
import { QUESTIONS } from "./resolve.ts";

type ServiceCallback = (error: NodeJS.ErrnoException | null, bindings: ServiceBinding[]) => void;

/** What there is beyond Node's own module. */
export interface MoreDns {
  resolveHttps(hostname: string, callback: ServiceCallback): void;
  resolveSvcb(hostname: string, callback: ServiceCallback): void;
  /** The whole message with its protection and security, as `StubResolver.query`. */
  query(name: string, type: RRType | string, options?: QueryOptions): Promise<StubAnswer>;
  /** For undici's `interceptors.dns({ lookup })`: takes an origin and gives addresses with their TTL in its unit. */
  lookupOrigin(
    origin: URL | { readonly hostname: string },
    options:
      | {
          readonly family?: number | "IPv4" | "IPv6" | null | undefined;
          readonly affinity?: 4 | 6 | null | undefined;
        }
      | undefined,
    callback: (error: Error | null, addresses: OriginAddress[]) => void,
  ): void;
  /** Who is asked now; changes with `setServers`. */
  readonly resolver: StubResolver;
  /** Gives up what is under way and closes all connections. */
  close(): Promise<void>;
}

/** An address as undici's cache keeps it. */
export interface OriginAddress {
  readonly address: string;
  readonly family: 4 | 6;
  /** Milliseconds. */
  readonly ttl: number;
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
  #callbackClass(): object {
    const defaults = this.#defaults;
    class Resolver extends CallbackResolver {
      constructor(options?: unknown) {
        super(new Channel(defaults, options));
      }
    }
    return asNodes(Resolver, CallbackResolver, nodeDns.Resolver);
  }

  #promiseClass(): object {
    const defaults = this.#defaults;
    class Resolver extends PromiseResolver {
      constructor(options?: unknown) {
        super(new Channel(defaults, options));
      }
    }
    return asNodes(Resolver, PromiseResolver, nodeDns.promises.Resolver);
  }

  #makeModule(): object {
    const lookup = named("lookup", 3, this.#lookup.bind(this));
    const lookupService = named("lookupService", 3, this.#lookupService.bind(this));
    makePromisable(lookup, ["address", "family"]);
    makePromisable(lookupService, ["hostname", "service"]);
    const { ADDRCONFIG, ALL, V4MAPPED } = nodeDns;
    const facade = this;
    return {
      lookup,
      lookupService,
      Resolver: this.#callbackClass(),
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
      lookup: named("lookup", 2, this.#lookupPromise.bind(this)),
      lookupService: named("lookupService", 2, this.#lookupServicePromise.bind(this)),
      Resolver: this.#promiseClass(),
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
      (found) => queueMicrotask(() => callback(null, found.map(originAddress))),
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
    methods.map((method) => {
      // Each method of the list is defined on both kinds of resolvers.
      const { name, length } = methodOf(target(), method);
      const call = (...given: unknown[]): unknown => {
        const resolver = target();
        return Reflect.apply(methodOf(resolver, method), resolver, given);
      };
      return [method, named(`bound ${name}`, length, call)];
    }),
  );
}

type Call = (...given: unknown[]) => unknown;

function methodOf(resolver: ResolverBase, method: string): Call {
  return Reflect.get(resolver, method) as Call;
}

/** With the name and the length of Node's own, which tools that wrap or print functions look at. */
function named<T extends Call>(name: string, length: number, call: T): T {
  return Object.defineProperties(call, { name: { value: name }, length: { value: length } });
}

/** What `util.promisify` makes of a call: wrong arguments reject, several results become an object. */
function makePromisable(call: Call, names: readonly string[]): void {
  const promised = (...given: unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      call(...given, (error: Error | null, ...results: unknown[]) => {
        if (error !== null) reject(error);
        else if (results.length === 1) resolve(results[0]);
        else resolve(Object.fromEntries(names.map((name, at) => [name, results[at]])));
      });
    });
  Object.defineProperty(call, promisify.custom, { value: promised });
}

/**
 * The questions are the class's own, as in Node, where programs that watch them replace them; and its resolvers are instances of Node's
 * class, by which libraries tell those with promises from those with callbacks. None of Node's methods is left to be found.
 */
function asNodes<T extends Prototyped>(made: T, from: Prototyped, nodes: Prototyped): T {
  const base: object = Object.create(nodes.prototype, methodsOf(ResolverBase));
  Object.defineProperties(made.prototype, methodsOf(from));
  Object.setPrototypeOf(made.prototype, base);
  return made;
}

interface Prototyped {
  readonly prototype: object;
}

function methodsOf({ prototype }: Prototyped): PropertyDescriptorMap {
  const { constructor: _, ...methods } = Object.getOwnPropertyDescriptors(prototype);
  return methods;
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

/** What may not be kept must still be there when undici looks for what it was given. */
function originAddress({ address, family, ttl }: FoundAddress): OriginAddress {
  return { address, family, ttl: Math.max(ttl, 1) * 1000 };
}

function shortOf({ address, family }: FoundAddress): { address: string; family: 4 | 6 } {
  return { address, family };
}
