/** From the text of a file of `sotto front` to a {@link FrontConfig}; all problems are reported together, each with its line. */
import { dirname, resolve } from "node:path";
import type { Endpoint } from "@sotto/dns/runtime";
import { lintUpstream } from "@sotto/dns/stub";
import {
  type TlsPolicy,
  tryParseUpstreamAddress,
  type UpstreamAddress,
  upstreamAddressToText,
  upstreamTlsPolicy,
} from "@sotto/dns/transport";
import {
  EdnsOptionCode,
  type Name,
  parseName,
  type Rcode,
  RRType,
  rcodeFromText,
  rrTypeFromText,
} from "@sotto/dns/wire";
import type { Config } from "./config.ts";
import {
  type ConfigDocument,
  type ConfigProblem,
  parseConfigDocument,
  problemOfFile,
  readConfigText,
} from "./config-document.ts";
import { frontSchema } from "./explain.ts";
import { optionCode } from "./front-rule-conditions.ts";
import type { FrontRulesConfig } from "./front-rules-config.ts";
import { toFrontRules } from "./front-rules-load.ts";
import { type FrontSettings, frontSettings } from "./front-settings.ts";
import { type ReportAt, readAuthorities, toCookies, toListeners } from "./load-common.ts";
import { bounded, known, toAdmissionLimits, toTls } from "./load-listeners.ts";
import { tryParseDuration, tryParseSize } from "./units.ts";

export interface BackendConfig {
  readonly name: string;
  readonly address: UpstreamAddress;
  /** What it must prove; undefined: it is not asked over TLS. */
  readonly tls: TlsPolicy | undefined;
  readonly weight: number;
  readonly connections: number;
  readonly inFlightMax: number;
  readonly queueMax: number;
  readonly tellsClient: boolean;
  /** Of this machine; undefined: the system chooses. */
  readonly localAddress: string | undefined;
  /** Where it is asked over TCP when it is asked over UDP. */
  readonly tcpPort: number | undefined;
}

export interface PoolConfig {
  readonly name: string;
  readonly backends: readonly BackendConfig[];
  readonly choice: FrontSettings["pools"][number]["choice"];
  readonly retries: number;
  readonly retriesServfail: boolean;
  readonly health: {
    readonly name: Name;
    readonly type: number;
    readonly rcodes: readonly Rcode[];
    readonly intervalMs: number;
    readonly timeoutMs: number;
    readonly rise: number;
    readonly fall: number;
  };
  readonly slowStartMs: number;
  /** 0: no cache. */
  readonly cacheBytes: number;
  readonly maxTtlSeconds: number;
  readonly staleSeconds: number;
  /** Codes of EDNS options that go through as they are. */
  readonly passedOptions: readonly number[];
  readonly passesAuthenticData: boolean;
}

/** Everything `sotto front` needs to know. */
export interface FrontConfig
  extends Pick<
      Config,
      "workers" | "engine" | "listeners" | "cookies" | "limits" | "tls" | "controlSocket" | "log"
    >,
    FrontRulesConfig {
  readonly access: Pick<Config["access"], "allow" | "deny" | "action"> & {
    /** Who may have zone transfers. */
    readonly transfers: readonly string[];
  };
  /** The first is for queries that no rule routes. */
  readonly pools: readonly PoolConfig[];
  readonly deadlineMs: number;
  /** Undefined: only when told to. */
  readonly watchSetsMs: number | undefined;
}

/** A usable configuration, with what is worth telling, or everything that is wrong with it. */
export type LoadedFront =
  | {
      readonly ok: true;
      readonly config: FrontConfig;
      readonly settings: FrontSettings;
      readonly warnings: readonly ConfigProblem[];
      /** To load the same once more, elsewhere. */
      readonly source: FrontSource;
    }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** What a configuration was read from. */
export interface FrontSource {
  readonly text: string;
  readonly file: string;
}

/** Reads and checks a file. Files it names are relative to its folder. */
export function loadFrontFile(file: string): LoadedFront {
  const text = readConfigText(file);
  return text.ok
    ? loadFront(text.value, file)
    : { ok: false, problems: [{ file, line: undefined, path: "", message: text.problem }] };
}

/** Checks the text of a file; `file` is for messages and for the folder of files it names. */
export function loadFront(text: string, file: string): LoadedFront {
  const document = parseConfigDocument(text, file);
  if (!document.ok) return document;
  const checked = frontSettings.safeParse(document.value.value);
  if (!checked.success)
    return { ok: false, problems: document.value.problemsOf(checked.error.issues, frontSchema()) };
  return toConfig(checked.data, document.value, { text, file });
}

function toConfig(checked: FrontSettings, document: ConfigDocument, source: FrontSource): LoadedFront {
  const folder = dirname(resolve(source.file));
  const problems: ConfigProblem[] = [];
  const warnings: ConfigProblem[] = [];
  const report = (path: readonly PropertyKey[], message: string): void =>
    void problems.push(document.problem(path, message));
  const warn = (path: readonly PropertyKey[], message: string): void =>
    void warnings.push(document.problem(path, message));
  const listeners = toListeners(checked, folder, report);
  checkNames(
    listeners.map(({ name }) => name),
    (i, message) => report(["listen", i, "name"], message),
  );
  checkNames(
    checked.pools.map(({ name }) => name),
    (i, message) => report(["pools", i, "name"], message),
  );
  const config: FrontConfig = {
    workers: checked.workers,
    engine: checked.engine,
    listeners,
    access: checked.access,
    cookies: toCookies(checked, folder, (key, message) => report(["cookies", key], message)),
    limits: toAdmissionLimits(checked, (path, message) => report(["limits", ...path], message)),
    tls: toTls(checked, folder, (key, message) => report(["tls", key], message)),
    controlSocket: checked.control.socket && resolve(folder, checked.control.socket),
    log: checked.log,
    pools: checked.pools.map((pool, i) =>
      toPool(pool, folder, {
        report: (path, message) => report(["pools", i, ...path], message),
        warn: (path, message) => warn(["pools", i, ...path], message),
      }),
    ),
    deadlineMs: bounded(checked.deadline, 100, 60_000, (message) => report(["deadline"], message)),
    watchSetsMs: known(tryParseDuration(checked["watch-sets"])) || undefined,
    ...toFrontRules(
      checked,
      folder,
      { pools: checked.pools.map(({ name }) => name), listeners: listeners.map(({ name }) => name) },
      { report, warn },
    ),
  };
  for (const [i, { backends }] of config.pools.entries())
    for (const [j, { address }] of backends.entries()) {
      const itself = listeners.find(
        ({ transport, local }) => transport === address.transport && isAt(local, address),
      );
      if (itself === undefined) continue;
      const tell = itself.local.address === address.endpoint.address ? report : warn;
      tell(
        ["pools", i, "backends", j, "address"],
        `is where listener ${itself.name} is: queries would come back here`,
      );
    }
  for (const [i, { file }] of config.sets.entries()) {
    const why = file === undefined ? undefined : problemOfFile(file);
    if (why !== undefined)
      report(["sets", i, "file"], `${checked.sets[i]?.file ?? ""} cannot be read: ${why}`);
  }
  if (problems.length > 0) return { ok: false, problems };
  warnOfParts(config, warn);
  return { ok: true, config, settings: checked, warnings, source };
}

/** Each worker has at least one of everything, which is more than was asked for when there are more workers. */
function warnOfParts({ workers, pools }: FrontConfig, warn: ReportAt): void {
  if (workers === "auto") return;
  for (const [i, { backends }] of pools.entries())
    for (const [j, { connections, inFlightMax }] of backends.entries())
      for (const [key, value] of [
        ["connections", connections],
        ["in-flight", inFlightMax],
      ] as const)
        if (value < workers)
          warn(
            ["pools", i, "backends", j, key],
            `is ${value}, and each of ${workers} workers has at least one: there may be ${workers}`,
          );
}

function isIPv6(address: string): boolean {
  return address.includes(":");
}

/** Exactly, or on loopback with a listener on all addresses, where perhaps somebody else is as well. */
function isAt({ address, port }: Endpoint, { endpoint }: UpstreamAddress): boolean {
  if (port === 0 || port !== endpoint.port) return false;
  const isLoopback = endpoint.address === "::1" || endpoint.address.startsWith("127.");
  return address === endpoint.address || (isLoopback && (address === "0.0.0.0" || address === "::"));
}

function checkNames(names: readonly string[], report: (index: number, message: string) => void): void {
  for (const [i, name] of names.entries())
    if (names.indexOf(name) < i) report(i, `${JSON.stringify(name)} is the name of another one before it`);
}

function toPool(
  pool: FrontSettings["pools"][number],
  folder: string,
  { report, warn }: Readonly<Record<"report" | "warn", ReportAt>>,
): PoolConfig {
  const backends = pool.backends.map((backend, i) =>
    toBackend(backend, folder, (key, message) => report(["backends", i, key], message)),
  );
  for (const [i, { address }] of backends.entries())
    for (const lint of lintUpstream(address)) warn(["backends", i, "address"], lint);
  checkNames(
    backends.map(({ name }) => name),
    (i, message) => report(["backends", i], message),
  );
  const { health } = pool;
  const timer = (path: readonly PropertyKey[], text: string, least: number, most: number): number =>
    bounded(text, least, most, (message) => report(path, message));
  const cacheBytes = known(tryParseSize(pool.cache));
  if (cacheBytes > 0 && cacheBytes < CACHE_BYTES_MIN) report(["cache"], "is less than 1MiB; 0B is for none");
  if (cacheBytes > CACHE_BYTES_MAX) report(["cache"], "is more than 16GiB");
  for (const [i, { address, tcpPort, localAddress }] of backends.entries()) {
    if (localAddress !== undefined && isIPv6(localAddress) !== isIPv6(address.endpoint.address))
      report(["backends", i, "source"], "is of another address family than the backend");
    if (tcpPort !== undefined && address.transport !== "udp")
      report(["backends", i, "tcp-port"], "is of use for udp only");
    if (address.dane !== undefined)
      report(
        ["backends", i, "address"],
        "dane needs lookups, which a front end does not do: give a pin or a name",
      );
  }
  const intervalMs = known(tryParseDuration(health.interval));
  return {
    name: pool.name,
    backends,
    choice: pool.choice,
    retries: pool.retries,
    retriesServfail: pool["retry-servfail"],
    health: {
      name: parseName(health.name),
      type: rrTypeFromText(health.type) ?? RRType.NS,
      rcodes: health.rcodes.flatMap((text) => rcodeFromText(text) ?? []),
      intervalMs: intervalMs === 0 ? 0 : timer(["health", "interval"], health.interval, 100, 3_600_000),
      timeoutMs: timer(["health", "timeout"], health.timeout, 50, 60_000),
      rise: health.rise,
      fall: health.fall,
    },
    slowStartMs: timer(["slow-start"], pool["slow-start"], 0, 3_600_000),
    cacheBytes,
    maxTtlSeconds: Math.floor(known(tryParseDuration(pool["max-ttl"])) / 1000),
    staleSeconds: Math.floor(known(tryParseDuration(pool["serve-stale"])) / 1000),
    passedOptions: toPassedOptions(pool["pass-options"], (i, message) =>
      report(["pass-options", i], message),
    ),
    passesAuthenticData: pool["pass-ad"],
  };
}

function toPassedOptions(
  options: FrontSettings["pools"][number]["pass-options"],
  report: (index: number, message: string) => void,
): number[] {
  return options.map((option, i) => {
    const code = optionCode(option);
    const why = NEVER_PASSED.get(code);
    if (why !== undefined) report(i, `option ${option} does not go through: ${why}`);
    return code;
  });
}

type BackendSettings = FrontSettings["pools"][number]["backends"][number];

function toBackend(
  backend: BackendSettings,
  folder: string,
  report: (key: "profile" | "authorities", message: string) => void,
): BackendConfig {
  const address = known(tryParseUpstreamAddress(backend.address));
  return {
    // Who it must be is long, and not what it is called.
    name: backend.name ?? upstreamAddressToText({ ...address, authName: undefined, pins: [] }),
    address,
    tls: toBackendTls(backend, address, folder, report),
    weight: backend.weight,
    connections:
      backend.connections ?? (backend.proxy === "v2" ? CONNECTIONS_OF_CLIENTS : CONNECTIONS_SHARED),
    inFlightMax: backend["in-flight"],
    queueMax: backend.queue,
    tellsClient: backend.proxy === "v2",
    localAddress: backend.source,
    tcpPort: backend["tcp-port"],
  };
}

/** What the address asks for, and no more than the profile allows: a name or a pin means strict unless it says otherwise. */
function toBackendTls(
  { profile, authorities }: BackendSettings,
  address: UpstreamAddress,
  folder: string,
  report: (key: "profile" | "authorities", message: string) => void,
): TlsPolicy | undefined {
  const tls = upstreamTlsPolicy(address);
  const text = upstreamAddressToText(address);
  if (tls === undefined) {
    if (profile !== undefined) report("profile", `is for tls, and nobody at ${text} can prove who it is`);
    if (authorities !== undefined) report("authorities", `are for tls, and ${text} is asked in clear`);
    return undefined;
  }
  const hasCredentials = tls.authenticate === "required";
  if (profile === "strict" && !hasCredentials)
    report(
      "profile",
      `strict needs a name or a pin to know ${text} by (RFC 8310 §6.6), such as tls://NAME?ip=${address.endpoint.address}`,
    );
  if (authorities !== undefined && !hasCredentials)
    report("authorities", `prove nothing without a name or a pin: give one to ${text}`);
  const pem = authorities === undefined ? undefined : readAuthorities(resolve(folder, authorities));
  if (pem?.ok === false) report("authorities", pem.problem);
  return {
    ...tls,
    trustAnchorsPem: pem?.ok === true ? [pem.value] : undefined,
    authenticate: profile === "opportunistic" && hasCredentials ? "if possible" : tls.authenticate,
  };
}

/** EDNS options that cannot go through, and why. */
const NEVER_PASSED: ReadonlyMap<number, string> = new Map([
  [
    EdnsOptionCode.ClientSubnet,
    "client subnets are passed anyway, as RFC 7871 wants, unless a rule changes them",
  ],
  [EdnsOptionCode.Cookie, "a cookie is between neighbours (RFC 7873 §5)"],
  [EdnsOptionCode.TcpKeepalive, "it is about one connection (RFC 7828 §3.2)"],
  [EdnsOptionCode.Padding, "it is about one message (RFC 7830 §3); each side has its own"],
  [EdnsOptionCode.ExtendedError, "extended errors are passed anyway (RFC 8914)"],
]);

/** One that answers in order holds up a quarter with a slow name, and not all. */
const CONNECTIONS_SHARED = 4;
/** Clients that ask at the same time, more or less. */
const CONNECTIONS_OF_CLIENTS = 256;
/** Below this a cache holds too little to be worth its bookkeeping. */
const CACHE_BYTES_MIN = 1024 * 1024;
const CACHE_BYTES_MAX = 16 * 1024 ** 3;
