/** What one `Resolver` of Node's terms is: some servers, a patience, and the questions under way. */

import { isIP } from "node:net";
import { DnsError, type Runtime, Stop, stopWith } from "@sotto/dns/runtime";
import { systemFileStamp, systemResolvConf } from "@sotto/dns/runtime/node";
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

  /** Somebody waits for an answer. */
  enter(): void {
    this.#waiting++;
  }

  leave(): void {
    this.#waiting--;
    this.#closeIfIdle();
  }

  letGo(): void {
    this.#isLetGo = true;
    this.#closeIfIdle();
  }

  #closeIfIdle(): void {
    if (this.#isLetGo && this.#waiting === 0) void this.stub.close();
  }
}

/** Servers, and who asks them. */
interface Served {
  readonly servers: readonly NamedServer[];
  /** Undefined when nobody is asked. */
  readonly tenancy: Tenancy | undefined;
}

/** What all channels of one facade start from. */
export class ChannelDefaults {
  readonly options: StubResolverOptions;
  readonly runtime: Runtime;
  #served: Served & { readonly tenancy: Tenancy };
  #stamp = stampOfServers();
  #resolvConf = systemResolvConf();
  #isClosed = false;

  constructor(options: StubResolverOptions, runtime: Runtime) {
    this.options = options;
    this.runtime = runtime;
    this.#served = this.#serve();
  }

  /** The system's servers are those that it has now, as for getaddrinfo: machines move from network to network. */
  get served(): Served & { readonly tenancy: Tenancy } {
    if (this.options.upstreams !== undefined || this.#isClosed) return this.#served;
    const stamp = stampOfServers();
    if (stamp === this.#stamp) return this.#served;
    this.#stamp = stamp;
    const text = systemResolvConf();
    // Network managers write the same again.
    if (text === this.#resolvConf) return this.#served;
    this.#resolvConf = text;
    const before = this.#served;
    this.#served = this.#serve();
    before.tenancy.letGo();
    return this.#served;
  }

  #serve(): Served & { readonly tenancy: Tenancy } {
    const { options, runtime } = this;
    const servers = (options.upstreams ?? parseResolvConf(this.#resolvConf).servers).map(namedServer);
    const upstreams = servers.map(({ upstream }) => upstream);
    return { servers, tenancy: new Tenancy(new StubResolver({ ...options, upstreams }, runtime)) };
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return this.#served.tenancy.stub.close();
  }

  /** Servers that somebody sets later must keep what the facade promised; but they may promise more. */
  get profile(): StubResolverOptions["profile"] {
    return this.#served.tenancy.stub.profile === "strict" ? "strict" : this.options.profile;
  }
}

/** Windows keeps its servers in no file: there they are those of the start. */
function stampOfServers(): string {
  return systemFileStamp("resolv.conf");
}

/** `timeout`, `tries` and `maxTimeout` as `new Resolver()` takes them. */
export class Channel {
  readonly #defaults: ChannelDefaults;
  readonly #timeoutMs: number | undefined;
  /** Undefined: the facade's. */
  #own: Served | undefined = undefined;
  #localAddresses: readonly string[] | undefined = undefined;
  /**
   * One for each question under way, because a signal for all would keep a list of listeners that has to be searched. They are empty
   * once it is over: sets keep what went through them alive until the next full collection.
   */
  readonly #underWay = new Set<Stop>();

  constructor(defaults: ChannelDefaults, options?: unknown) {
    this.#defaults = defaults;
    this.#timeoutMs = patienceOf(options);
  }

  get #served(): Served {
    return this.#own ?? this.#defaults.served;
  }

  ask(name: string, type: RRType | string, options: QueryOptions = {}): Promise<StubAnswer> {
    return this.askFor(name, type, options, given, thrown);
  }

  /** {@link ask}, and makes something of the answer or the problem, which costs less than another promise that does. */
  askFor<T>(
    name: string,
    type: RRType | string,
    options: QueryOptions,
    onAnswer: (answer: StubAnswer) => T,
    onProblem: (problem: unknown) => T,
  ): Promise<T> {
    const { servers, tenancy } = this.#served;
    if (servers.length === 0 || tenancy === undefined)
      return Promise.reject(new DnsError("ERR_CONFIG", "no server is set", { stage: "resolve" })).catch(
        onProblem,
      );
    const signal = options.signal === undefined ? new Stop() : stopWith(options.signal);
    const { timeoutMs = this.#timeoutMs, search, hosts, dnssecOk, checkingDisabled } = options;
    this.#underWay.add(signal);
    tenancy.enter();
    const leave = (): void => {
      tenancy.leave();
      this.#underWay.delete(signal);
      if (options.signal !== undefined) signal.abort();
    };
    // One by one: copying the options takes longer than all the rest.
    const asked = { signal, timeoutMs, search, hosts, dnssecOk, checkingDisabled } satisfies {
      readonly [option in keyof Required<QueryOptions>]: QueryOptions[option];
    };
    return tenancy.stub.query(name, type, asked).then(
      (answer) => {
        leave();
        return onAnswer(answer);
      },
      (problem: unknown) => {
        leave();
        return onProblem(problem);
      },
    );
  }

  cancel(): void {
    const reason = new DnsError("ERR_ABORTED", "cancel() was called", { stage: "query" });
    for (const signal of [...this.#underWay]) signal.abort(reason);
  }

  getServers(): string[] {
    return this.#served.servers.map(({ text }) => text);
  }

  setServers(servers: unknown): void {
    const named = readServers(servers, this.#served.servers);
    if (named.length > 0) this.#rebuild(named, this.#localAddresses);
    else this.#own = { servers: named, tenancy: this.#own?.tenancy };
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
    const { servers } = this.#served;
    if (servers.length > 0) this.#rebuild(servers, addresses);
    this.#localAddresses = addresses;
  }

  /** Questions under way go on with the servers that they were put to. */
  #rebuild(servers: readonly NamedServer[], localAddresses: readonly string[] | undefined): void {
    const { options, profile, runtime } = this.#defaults;
    const upstreams = servers.map(({ upstream }) => upstream);
    const connection = { ...options.connection, ...(localAddresses === undefined ? {} : { localAddresses }) };
    const stub = new StubResolver({ ...options, upstreams, profile, connection }, runtime);
    this.#own?.tenancy?.letGo();
    this.#own = { servers, tenancy: new Tenancy(stub) };
  }

  async close(): Promise<void> {
    await Promise.all([this.#own?.tenancy?.stub.close(), this.#defaults.close()]);
  }

  /** The resolver that is asked now. */
  get stub(): StubResolver {
    return (this.#served.tenancy ?? this.#defaults.served.tenancy).stub;
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

function given(answer: StubAnswer): StubAnswer {
  return answer;
}

function thrown(problem: unknown): never {
  throw problem;
}
