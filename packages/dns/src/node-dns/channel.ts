/** What one `Resolver` of Node's terms is: some servers, a patience, and the questions under way. */

import { isIP } from "node:net";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { systemResolvConf } from "@sotto/dns/runtime/node";
import {
  parseResolvConf,
  type QueryOptions,
  type StubAnswer,
  StubResolver,
  type StubResolverOptions,
} from "@sotto/dns/stub";
import type { RRType } from "@sotto/dns/wire";
import { requireInteger, requireString, wrongArgument } from "./argument-checks.ts";
import { type NamedServer, namedServer, readServers } from "./servers.ts";

/** Closes its resolver when it is let go and nobody waits for it any more. */
class Tenancy {
  readonly stub: StubResolver;
  #waiting = 0;
  #isLetGo = false;

  constructor(stub: StubResolver) {
    this.stub = stub;
  }

  async ask(name: string, type: RRType | string, options: QueryOptions): Promise<StubAnswer> {
    this.#waiting++;
    try {
      return await this.stub.query(name, type, options);
    } finally {
      this.#waiting--;
      this.#closeIfIdle();
    }
  }

  letGo(): void {
    this.#isLetGo = true;
    this.#closeIfIdle();
  }

  #closeIfIdle(): void {
    if (this.#isLetGo && this.#waiting === 0) void this.stub.close();
  }
}

/** What all channels of one facade start from. */
export class ChannelDefaults {
  readonly options: StubResolverOptions;
  readonly runtime: Runtime;
  readonly tenancy: Tenancy;
  readonly servers: readonly NamedServer[];

  constructor(options: StubResolverOptions, runtime: Runtime) {
    this.options = options;
    this.runtime = runtime;
    this.servers = (options.upstreams ?? parseResolvConf(systemResolvConf()).servers).map(namedServer);
    const upstreams = this.servers.map(({ upstream }) => upstream);
    this.tenancy = new Tenancy(new StubResolver({ ...options, upstreams }, runtime));
  }

  /** Servers that somebody sets later must keep what the facade promised; but they may promise more. */
  get profile(): StubResolverOptions["profile"] {
    return this.tenancy.stub.profile === "strict" ? "strict" : this.options.profile;
  }
}

/** `timeout`, `tries` and `maxTimeout` as `new Resolver()` takes them. */
export class Channel {
  readonly #defaults: ChannelDefaults;
  readonly #timeoutMs: number | undefined;
  #tenancy: Tenancy;
  #servers: readonly NamedServer[];
  #localAddresses: readonly string[] | undefined = undefined;
  #cancelling = new AbortController();

  constructor(defaults: ChannelDefaults, options?: unknown) {
    this.#defaults = defaults;
    this.#timeoutMs = patienceOf(options);
    this.#tenancy = defaults.tenancy;
    this.#servers = defaults.servers;
  }

  ask(name: string, type: RRType | string, options: QueryOptions = {}): Promise<StubAnswer> {
    if (this.#servers.length === 0)
      throw new DnsError("ERR_CONFIG", "no server is set", { stage: "resolve" });
    const own = this.#cancelling.signal;
    const signal = options.signal === undefined ? own : AbortSignal.any([own, options.signal]);
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs;
    return this.#tenancy.ask(name, type, { ...options, signal, timeoutMs });
  }

  cancel(): void {
    const cancelling = this.#cancelling;
    this.#cancelling = new AbortController();
    cancelling.abort(new DnsError("ERR_ABORTED", "cancel() was called", { stage: "query" }));
  }

  getServers(): string[] {
    return this.#servers.map(({ text }) => text);
  }

  setServers(servers: unknown): void {
    const named = readServers(servers);
    if (named.length > 0) this.#rebuild(named, this.#localAddresses);
    this.#servers = named;
  }

  setLocalAddress(ipv4: unknown, ipv6?: unknown): void {
    requireString(ipv4, "ipv4");
    if (ipv6 !== undefined) requireString(ipv6, "ipv6");
    const given = ipv6 === undefined ? [ipv4] : [ipv4, ipv6];
    const families = given.map((address) => isIP(address));
    if (families.includes(0)) throw wrongArgument("Invalid IP address.");
    if (families[0] === families[1]) throw wrongArgument(`Cannot specify two IPv${families[0]} addresses.`);
    // The unspecified address is what there is without a call.
    const addresses = given.filter((address) => !/^[0:.]+$/.test(address));
    if (this.#servers.length > 0) this.#rebuild(this.#servers, addresses);
    this.#localAddresses = addresses;
  }

  /** Questions under way go on with the servers that they were put to. */
  #rebuild(servers: readonly NamedServer[], localAddresses: readonly string[] | undefined): void {
    const { options, profile, runtime, tenancy } = this.#defaults;
    const upstreams = servers.map(({ upstream }) => upstream);
    const connection = { ...options.connection, ...(localAddresses === undefined ? {} : { localAddresses }) };
    const stub = new StubResolver({ ...options, upstreams, profile, connection }, runtime);
    const before = this.#tenancy;
    this.#tenancy = new Tenancy(stub);
    if (before !== tenancy) before.letGo();
  }

  async close(): Promise<void> {
    await Promise.all([this.#tenancy.stub.close(), this.#defaults.tenancy.stub.close()]);
  }

  /** The resolver that is asked now. */
  get stub(): StubResolver {
    return this.#tenancy.stub;
  }
}

/** Milliseconds that c-ares would try for: each try takes twice as long as the one before. Undefined: nothing was said. */
function patienceOf(options: unknown): number | undefined {
  // Node reads the properties of whatever it is given.
  const given = { ...(options as object | undefined) } as Readonly<Record<string, unknown>>;
  const { timeout = -1, tries = TRIES_DEFAULT, maxTimeout = 0 } = given;
  requireInteger(timeout, "options.timeout", -1, 0x7fff_ffff);
  requireInteger(tries, "options.tries", 1, 0x7fff_ffff);
  requireInteger(maxTimeout, "options.maxTimeout", 0, 0xffff_ffff);
  const isSilent = timeout <= 0 && given["tries"] === undefined && maxTimeout === 0;
  if (isSilent) return undefined;
  let patienceMs = 0;
  let tryMs = timeout <= 0 ? TRY_MS_DEFAULT : timeout;
  for (let i = 0; i < Math.min(tries, TRIES_MAX); i++) {
    patienceMs += maxTimeout > 0 ? Math.min(tryMs, maxTimeout) : tryMs;
    tryMs *= 2;
  }
  return Math.min(patienceMs, PATIENCE_MS_MAX);
}

/** As Node and c-ares have them. */
const TRIES_DEFAULT = 4;
const TRY_MS_DEFAULT = 2000;
/** After so many doublings the limit below is reached with any timeout. */
const TRIES_MAX = 24;
const PATIENCE_MS_MAX = 10 * 60 * 1000;
