/**
 * From the text of a configuration file to a {@link Config}, in stages that have different types, so that nothing
 * unchecked travels further: text → YAML document with positions → checked {@link Settings} → Config. All problems are
 * reported together, each with its line.
 */
import { dirname, resolve } from "node:path";
import type { Endpoint } from "@sotto/dns/runtime";
import { hasCredentials, lintUpstream, readUpstream } from "@sotto/dns/stub";
import { tryParseUpstreamAddress } from "@sotto/dns/transport";
import {
  addressToText,
  Name,
  parseName,
  RRType,
  tryParseAddress,
  tryParseRecord,
  tryParseZone,
} from "@sotto/dns/wire";
import type { Config, ForwardZoneConfig, StaleConfig, StubZoneConfig } from "./config.ts";
import {
  type ConfigDocument,
  type ConfigProblem,
  parseConfigDocument,
  readConfigText,
} from "./config-document.ts";
import { settingsSchema } from "./explain.ts";
import { toCookies, toListeners } from "./load-common.ts";
import { toDesignation } from "./load-designation.ts";
import { toDnssec } from "./load-dnssec.ts";
import { bounded, known, toAdmissionLimits, toTls } from "./load-listeners.ts";
import { toPortal, toStub, toUpstreamConnections } from "./load-stub.ts";
import { tryParseStubServer } from "./setting-types.ts";
import { type Settings, settings } from "./settings.ts";
import { looksLikeStubby, readStubby } from "./stubby.ts";
import { tryParseDuration, tryParseSize } from "./units.ts";

/** A usable configuration, with what is worth telling, or everything that is wrong with it. */
export type LoadedConfig =
  | {
      readonly ok: true;
      readonly config: Config;
      readonly settings: Settings;
      readonly warnings: readonly ConfigProblem[];
      /** To load the same once more, elsewhere. */
      readonly source: ConfigSource;
    }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** What a configuration was read from. */
export interface ConfigSource {
  readonly text: string;
  readonly file: string;
  readonly purpose: "serve" | "stub";
}

/** Which program the file is for: `stub` needs upstreams, and reads `stubby.yml`, too; `either` is what the file looks like. */
export type ConfigPurpose = "serve" | "stub" | "either";

/** Reads and checks a file. Files it names are relative to its folder. */
export function loadConfigFile(file: string, purpose: ConfigPurpose = "serve"): LoadedConfig {
  const text = readConfigText(file);
  return text.ok
    ? loadConfig(text.value, file, purpose)
    : failed([{ file, line: undefined, path: "", message: text.problem }]);
}

/** Checks the text of a configuration file; `file` is for messages and for the folder of files it names. */
export function loadConfig(text: string, file: string, wanted: ConfigPurpose = "serve"): LoadedConfig {
  const document = parseConfigDocument(text, file);
  if (!document.ok) return failed(document.problems);
  const warnings: ConfigProblem[] = [];
  let { value } = document.value;
  const purpose = wanted === "either" ? purposeOf(value) : wanted;
  const read = purpose === "stub" && looksLikeStubby(value) ? readStubby(value) : undefined;
  const source = { text, file, purpose, document: document.value, isStubby: read !== undefined };
  if (read !== undefined) {
    warnings.push(...read.warnings.map(({ path, message }) => placed(source, path, message)));
    if (read.problems.length > 0)
      return failed(read.problems.map(({ path, message }) => placed(source, path, message)));
    value = read.settings;
  }
  const checked = settings.safeParse(purpose === "stub" ? withStubDefaults(value) : value);
  if (!checked.success) return failed(document.value.problemsOf(checked.error.issues, settingsSchema()));
  return toConfig(checked.data, source, warnings);
}

/** Whose file it is by its looks. */
function purposeOf(value: unknown): "serve" | "stub" {
  const isStub = looksLikeStubby(value) || (typeof value === "object" && value !== null && "stub" in value);
  return isStub ? "stub" : "serve";
}

/** A stub serves its own machine, in clear over loopback, and one thread is more than that asks for. */
function withStubDefaults(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const listen = ["udp", "tcp"].map((transport) => ({ transport, address: "127.0.0.1" }));
  return { workers: 1, listen, ...value };
}

function failed(problems: readonly ConfigProblem[]): LoadedConfig {
  return { ok: false, problems };
}

interface Source extends ConfigSource {
  readonly document: ConfigDocument;
  /** Stubby's file, in which things stand elsewhere. */
  readonly isStubby: boolean;
}

/** Turns checked settings into values; only relations between settings and other files can still be wrong. */
function toConfig(checked: Settings, source: Source, warnings: ConfigProblem[]): LoadedConfig {
  const { text, file, purpose } = source;
  const problems: ConfigProblem[] = [];
  const report = (path: readonly PropertyKey[], message: string): void =>
    void problems.push(placed(source, path, message));
  const warn = (path: readonly PropertyKey[], message: string): void =>
    void warnings.push(placed(source, path, message));
  const folder = dirname(resolve(file));
  const listeners = toListeners(checked, folder, report);
  const config: Config = {
    workers: checked.workers,
    listeners,
    access: toAccess(checked),
    identity: toIdentity(checked),
    cookies: toCookies(checked, folder, (key, message) => report(["cookies", key], message)),
    resolver: {
      rootHints: readRootHints(checked.resolver["root-hints"], folder, (message) =>
        report(["resolver", "root-hints"], message),
      ),
      port: checked.resolver.port,
      families: checked.resolver.families,
      fastOpen: checked.resolver["fast-open"] === "auto",
      sharesPorts: checked.resolver["port-sharing"] === "when-busy",
      outgoingAddresses: checked.resolver["outgoing-addresses"],
      qnameMinimisation: checked.resolver["qname-minimisation"],
      caseRandomisation: checked.resolver["case-randomisation"],
      hardenGlue: checked.resolver["harden-glue"],
      cookies: checked.resolver.cookies,
      ...toEncryption(checked, folder),
      ednsPayloadOctets: checked.resolver["edns-payload"],
      errorReporting: checked.resolver["error-reporting"],
      privateAddresses: toPrivateAddresses(checked),
      deadlineMs: bounded(checked.resolver.deadline, 100, 60_000, (message) =>
        report(["resolver", "deadline"], message),
      ),
    },
    dnssec: toDnssec(checked, folder, (key, message) => report(["dnssec", key], message)),
    engine: checked.engine,
    controlSocket: checked.control.socket && resolve(folder, checked.control.socket),
    dns64: toDns64(checked, report),
    forwardZones: toForwardZones(
      checked,
      purpose,
      folder,
      listeners.map(({ local }) => local),
      { report, warn },
    ),
    upstreamConnections: toUpstreamConnections(checked),
    portal:
      purpose === "stub"
        ? toPortal(checked, (message) => report(["stub", "portal", "for-max"], message))
        : undefined,
    stubZones: checked["stub-zones"].map(toStubZone),
    localZones: {
      builtin: checked["local-zones"].builtin,
      except: checked["local-zones"].except.map((name) => parseName(name)),
      records: checked["local-zones"].data.map((text) => known(tryParseRecord(text))),
      zones: checked["local-zones"].zones.map(({ name, type }) => ({ name: parseName(name), kind: type })),
    },
    designation: toDesignation(checked, listeners, { report, warn }),
    cache: toCache(checked, (key, message) => report(["cache", key], message)),
    limits: toAdmissionLimits(checked, (path, message) => report(["limits", ...path], message)),
    tls: toTls(checked, folder, (key, message) => report(["tls", key], message)),
    log: checked.log,
  };
  return problems.length === 0
    ? { ok: true, config, settings: checked, warnings, source: { text, file, purpose } }
    : failed(problems);
}

/** A problem with its place in the file. */
function placed(source: Source, path: readonly PropertyKey[], message: string): ConfigProblem {
  const [section, list, ...rest] = path;
  const isUpstream = source.isStubby && section === "stub" && list === "upstreams";
  return source.document.problem(isUpstream ? ["upstream_recursive_servers", ...rest] : path, message);
}

function toCache(checked: Settings, report: (key: string, message: string) => void): Config["cache"] {
  const { cache } = checked;
  const config: Config["cache"] = {
    sizeBytes: known(tryParseSize(cache.size)),
    maxTtlSeconds: seconds(cache["max-ttl"]),
    minTtlSeconds: seconds(cache["min-ttl"]),
    maxNegativeTtlSeconds: seconds(cache["max-negative-ttl"]),
    minNegativeTtlSeconds: optionalSeconds(cache["min-negative-ttl"]),
    nxdomainCut: cache["nxdomain-cut"],
    aggressiveDenial: cache["aggressive-denial"],
    prefetch: cache.prefetch,
    stale: toStale(checked),
  };
  if (config.sizeBytes < CACHE_BYTES_MIN) report("size", "is less than 1MiB");
  if (config.sizeBytes > CACHE_BYTES_MAX) report("size", "is more than 16GiB");
  if (config.minTtlSeconds > config.maxTtlSeconds) report("min-ttl", "is longer than max-ttl");
  if ((config.minNegativeTtlSeconds ?? 0) > config.maxNegativeTtlSeconds)
    report("min-negative-ttl", "is longer than max-negative-ttl");
  return config;
}

function toIdentity({ identity }: Settings): Config["identity"] {
  return { id: identity.id, version: identity.version, trustAnchors: identity["trust-anchors"] };
}

function toAccess({ access }: Settings): Config["access"] {
  const { allow, deny, action, any } = access;
  const policy = any === "minimal-over-udp" ? "minimal over udp" : any;
  return { allow, deny, action, snooping: access["cache-snooping"], any: policy };
}

function toDns64(
  { dns64 }: Settings,
  report: (path: readonly PropertyKey[], message: string) => void,
): Config["dns64"] {
  const { prefix, exclude, clients, reverse } = dns64;
  if (prefix === undefined) return undefined;
  const bits = Number(/\/(\d+)$/.exec(prefix)?.[1] ?? 128);
  if (!prefix.includes(":") || ![32, 40, 48, 56, 64, 96].includes(bits))
    report(["dns64", "prefix"], "is not an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits (RFC 6052 §2.2)");
  const ignoreAaaa = dns64["ignore-aaaa"].map((name) => parseName(name));
  return { prefix, exclude, ignoreAaaa, clients, reverse };
}

function toEncryption(
  { resolver }: Settings,
  folder: string,
): Pick<Config["resolver"], "encryptsToAuthorities" | "encryptionPort" | "encryptionStateFile"> {
  const file = resolver["encryption-state"];
  return {
    encryptsToAuthorities: resolver.encryption === "opportunistic",
    encryptionPort: resolver["encryption-port"],
    encryptionStateFile: file === undefined ? undefined : resolve(folder, file),
  };
}

function toPrivateAddresses({ resolver }: Settings): Config["resolver"]["privateAddresses"] {
  return {
    prefixes: resolver["private-addresses"],
    except: resolver["private-domains"].map((name) => parseName(name)),
  };
}

function toForwardZones(
  checked: Settings,
  purpose: "serve" | "stub",
  folder: string,
  ourselves: readonly Endpoint[],
  { report, warn }: Record<"report" | "warn", (path: readonly PropertyKey[], message: string) => void>,
): ForwardZoneConfig[] {
  const zones = checked["forward-zones"].map((zone, i) => {
    const config = toForwardZone(zone, (message) => report(["forward-zones", i, "upstreams"], message));
    for (const [j, upstream] of config.upstreams.entries())
      for (const lint of lintUpstream(upstream)) warn(["forward-zones", i, "upstreams", j], lint);
    return config;
  });
  const { stub } = checked;
  if (purpose === "stub") {
    refuseOtherRoots(checked, report);
    const own = toStub(stub, folder, ourselves, {
      report: (key, message) => report(["stub", ...key], message),
      warn: (key, message) => warn(["stub", ...key], message),
    });
    return [own, ...zones];
  }
  if (stub.upstreams.length > 0) report(["stub"], "is for `sotto stub`; `sotto serve` has forward-zones");
  return zones;
}

/** Another zone of that name would be asked in place of the stub's upstreams, whatever their profile is. */
function refuseOtherRoots(
  checked: Settings,
  report: (path: readonly PropertyKey[], message: string) => void,
): void {
  for (const key of ["forward-zones", "stub-zones"] as const)
    for (const [i, { name }] of checked[key].entries())
      if (parseName(name).isRoot)
        report([key, i, "name"], "the root is the stub's own: stub.upstreams are asked for everything");
}

function toForwardZone(
  zone: Settings["forward-zones"][number],
  report: (message: string) => void,
): ForwardZoneConfig {
  const { profile, choice } = zone;
  const plans = profile === undefined ? [] : zone.upstreams.map(readUpstream);
  if (profile === "strict")
    for (const plan of plans)
      if (!hasCredentials(plan))
        report(`the strict profile needs a name or a pin to know ${plan.label} by (RFC 8310 §6.6)`);
  const upstreams = zone.upstreams.map((text) => known(tryParseUpstreamAddress(text)));
  if (profile === undefined && upstreams.some(({ dane }) => dane !== undefined))
    report("DANE needs a profile, such as profile: strict");
  const manners = { hideClientSubnet: zone["hide-client-subnet"] };
  return {
    name: parseName(zone.name),
    hidesClientSubnet: zone["hide-client-subnet"],
    fallsBack: zone.fallback,
    upstreams,
    choice,
    profiled: profile && { profile, plans, manners },
  };
}

function toStubZone(zone: Settings["stub-zones"][number]): StubZoneConfig {
  return {
    name: parseName(zone.name),
    servers: zone.servers.map((text) => known(tryParseStubServer(text))),
    fallsBack: zone.fallback,
  };
}

function toStale({ cache }: Settings): StaleConfig | undefined {
  if (!cache["serve-stale"]) return undefined;
  const ttlSeconds = seconds(cache["stale-ttl"]);
  return {
    ttlSecondsMax: ttlSeconds === 0 ? Number.POSITIVE_INFINITY : ttlSeconds,
    replyTtlSeconds: seconds(cache["stale-reply-ttl"]),
    clientTimeoutMs: known(tryParseDuration(cache["stale-client-timeout"])),
  };
}

function seconds(text: string): number {
  return Math.floor(known(tryParseDuration(text)) / 1000);
}

function optionalSeconds(text: string | undefined): number | undefined {
  return text === undefined ? undefined : seconds(text);
}

function readRootHints(
  hints: Settings["resolver"]["root-hints"],
  folder: string,
  report: (message: string) => void,
): Config["resolver"]["rootHints"] {
  if (hints === undefined) return undefined;
  if (typeof hints !== "string") {
    return hints.map((hint) => ({
      name: parseName(hint.name),
      address: addressToText(known(tryParseAddress(hint.address))),
    }));
  }
  const file = resolve(folder, hints);
  const text = readConfigText(file);
  if (!text.ok) {
    report(`${file} ${text.problem}`);
    return [];
  }
  const records = tryParseZone(text.value, { fileName: file });
  if (!records.ok) {
    report(records.problem);
    return [];
  }
  const servers = new Set(
    records.value
      .filter((record) => record.type === RRType.NS && record.owner.isRoot)
      .map((record) => new Name(record.rdata).key),
  );
  const found = records.value
    .filter(
      (record) => (record.type === RRType.A || record.type === RRType.AAAA) && servers.has(record.owner.key),
    )
    .map((record) => ({ name: record.owner, address: addressToText(record.rdata) }));
  if (found.length === 0) report(`${file} has no address of a root server`);
  return found;
}

/** Below this the cache holds too little to be worth its bookkeeping. */
const CACHE_BYTES_MIN = 1024 * 1024;
const CACHE_BYTES_MAX = 16 * 1024 ** 3;
