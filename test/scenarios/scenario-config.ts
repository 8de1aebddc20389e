/** What Unbound's and Deckard's words in a scenario's configuration part mean for us, as our configuration file. */
import { readAnchorFile, type Scenario, type ScenarioSetting } from "@sotto/dns/testing";
import { recordToText } from "@sotto/dns/wire";
import { ROOT_HINTS } from "../../packages/sotto/src/recursor/index.ts";

export interface ScenarioConfig {
  /** Our configuration file as a value. */
  readonly file: Readonly<Record<string, unknown>>;
  /** Settings that have no meaning here and change what is answered: such a scenario cannot be played. */
  readonly unsupported: readonly string[];
}

interface Zone {
  readonly kind: "stub" | "forward";
  name: string;
  readonly addresses: string[];
  readonly names: string[];
  fallback: boolean;
}

type Section = Record<string, unknown>;

/** What is being put together. */
class Draft {
  readonly resolver: Section = {};
  readonly dnssec: Section = {};
  readonly cache: Section = {};
  /** Settings that only our configuration has, by section. */
  readonly own: Record<string, Section> = {};
  readonly access = {
    allow: ["127.0.0.0/8", "::1/128"],
    deny: [] as string[],
    "cache-snooping": [] as string[],
    action: "refuse",
    any: "full",
  };
  readonly zones: Zone[] = [];
  readonly identity: Section = {};
  readonly localZones: Section[] = [];
  readonly unsupported: string[] = [];
  readonly anchors: string[] = [];
  readonly negativeAnchors: string[] = [];
  readonly localData: string[] = [];
  /** Names that are special to us and not to Unbound, and more. */
  readonly privateAddresses: string[] = [];
  readonly privateDomains: string[] = [];
  readonly dns64: Section = {};
  readonly ignoredAaaa: string[] = [];
  readonly notLocal: string[] = ["local."];
  readonly hidden = new Set<string>();
  /** Deckard's scenarios use names that are special elsewhere. */
  hasLocalNames = true;
  families = ["ipv4", "ipv6"];
  modules = "validator iterator";

  rootZone(): Zone {
    this.hasLocalNames = false;
    const known = this.zones.find(({ name, kind }) => name === "." && kind === "stub");
    if (known !== undefined) return known;
    const zone: Zone = { kind: "stub", name: ".", addresses: [], names: [], fallback: false };
    this.zones.push(zone);
    return zone;
  }
}

/** Translates the configuration part. */
export function scenarioConfig(scenario: Scenario): ScenarioConfig {
  const draft = new Draft();
  const followed = scenario.anchorFiles.flatMap(({ text }) => readAnchorFile(text).anchors);
  if (followed.length > 0) draft.dnssec["dsa"] = true;
  draft.anchors.push(...[...scenario.anchors, ...followed].map(recordToText));
  let section = "";
  for (const setting of scenario.settings) {
    const { key, value } = setting;
    if (value === "" && SECTION.test(key)) {
      section = key;
      const kind = key === "stub-zone" ? "stub" : key === "forward-zone" ? "forward" : undefined;
      if (kind !== undefined)
        draft.zones.push({ kind, name: ".", addresses: [], names: [], fallback: false });
      else if (key !== "server" && key !== "remote-control") draft.unsupported.push(key);
    } else if (section === "stub-zone" || section === "forward-zone") takeZone(draft, setting);
    else if (OWN_SETTING.test(key)) takeOwn(draft, setting);
    else if (SERVER_SETTINGS[key] !== undefined) SERVER_SETTINGS[key](draft, value);
    else if (UNSUPPORTED.test(key)) draft.unsupported.push(key);
  }
  const addresses = new Set(scenario.ranges.flatMap((range) => range.addresses));
  return finish(draft, addresses);
}

const SECTION = /^(server|[a-z]+-zone|rpz|view|remote-control|python|dynlib|cachedb|ipset)$/;

const absolute = (name: string): string => (name.endsWith(".") ? name : `${name}.`);
const isOn = (value: string): boolean => value === "yes" || value === "on";
const withoutRest = (value: string): string => value.replace(/\s.*/, "");

/** What only our configuration has a word for: `sotto-SECTION-KEY: value` (our extension). */
const OWN_SETTING = /^sotto-(access|resolver|dnssec|cache)-(.+)$/;

function takeOwn(draft: Draft, { key, value }: ScenarioSetting): void {
  const [, section = "", name = ""] = OWN_SETTING.exec(key) ?? [];
  const plain = value === "yes" ? true : value === "no" ? false : /^\d+$/.test(value) ? Number(value) : value;
  draft.own[section] = { ...draft.own[section], [name]: plain };
}

function takeZone({ zones, unsupported }: Draft, { key, value }: ScenarioSetting): void {
  const zone = zones.at(-1);
  if (zone === undefined) return;
  if (key === "name") zone.name = absolute(value);
  else if (key.endsWith("-addr")) zone.addresses.push(withoutRest(value));
  else if (key.endsWith("-host") || key === "stub-name") zone.names.push(absolute(value));
  else if (key.endsWith("-first")) zone.fallback = isOn(value);
  else if (key.endsWith("-no-cache") && isOn(value)) unsupported.push(key);
}

const flag =
  (section: "resolver" | "cache" | "dnssec", name: string) =>
  (draft: Draft, value: string): void => {
    draft[section][name] = isOn(value);
  };
const time =
  (section: "cache", name: string, unit: "s" | "ms" = "s") =>
  (draft: Draft, value: string): void => {
    draft[section][name] = `${value}${unit}`;
  };
const minimisation = (draft: Draft, value: string): void => {
  draft.resolver["qname-minimisation"] = isOn(value) ? "relaxed" : "off";
};
const without =
  (family: string) =>
  (draft: Draft, value: string): void => {
    if (!isOn(value)) draft.families = draft.families.filter((one) => one !== family);
  };

const ANY_TIME = { "clock-skew-min": "36500d", "clock-skew-max": "36500d", dsa: true };

const SERVER_SETTINGS: Readonly<Record<string, (draft: Draft, value: string) => void>> = {
  // Deckard's files have the root's servers outside of any section.
  "stub-addr": (draft, value) => void draft.rootZone().addresses.push(withoutRest(value)),
  "forward-addr": (draft, value) => {
    draft.hasLocalNames = false;
    draft.zones.push({
      kind: "forward",
      name: ".",
      addresses: [withoutRest(value)],
      names: [],
      fallback: false,
    });
  },
  "stub-name": (draft, value) => void draft.rootZone().names.push(absolute(value)),
  "trust-anchor": (draft, value) => void draft.anchors.push(value),
  "domain-insecure": (draft, value) => void draft.negativeAnchors.push(absolute(value)),
  "val-override-date": (draft, value) => {
    // Any time will do.
    if (value === "-1") Object.assign(draft.dnssec, ANY_TIME);
    else draft.dnssec["now"] = value;
  },
  "harden-dnssec-stripped": flag("dnssec", "harden-stripped"),
  "harden-algo-downgrade": flag("dnssec", "harden-algorithm-downgrade"),
  "val-override-timestamp": (draft, value) => {
    draft.dnssec["now"] = Number(value);
  },
  "val-nsec3-keysize-iterations": (draft, value) => {
    draft.dnssec["nsec3-iterations"] = Math.min(2500, Number(value.split(/\s+/).at(-1)));
  },
  "qname-minimisation": minimisation,
  "query-minimization": minimisation,
  "qname-minimisation-strict": (draft, value) => {
    if (isOn(value)) draft.resolver["qname-minimisation"] = "strict";
  },
  "do-ip4": without("ipv4"),
  "do-ip6": without("ipv6"),
  "dns-error-reporting": flag("resolver", "error-reporting"),
  "harden-glue": flag("resolver", "harden-glue"),
  "aggressive-nsec": flag("cache", "aggressive-denial"),
  "harden-below-nxdomain": flag("cache", "nxdomain-cut"),
  "cache-min-ttl": time("cache", "min-ttl"),
  "cache-max-ttl": time("cache", "max-ttl"),
  "cache-min-negative-ttl": time("cache", "min-negative-ttl"),
  "cache-max-negative-ttl": time("cache", "max-negative-ttl"),
  prefetch: flag("cache", "prefetch"),
  "serve-expired": flag("cache", "serve-stale"),
  "serve-expired-client-timeout": time("cache", "stale-client-timeout", "ms"),
  "serve-expired-reply-ttl": time("cache", "stale-reply-ttl"),
  "serve-expired-ttl": time("cache", "stale-ttl"),
  // Unbound's answer is empty, which RFC 8482 does not have.
  "deny-any": (draft, value) => {
    draft.access.any = isOn(value) ? "minimal" : "full";
  },
  "dns64-prefix": (draft, value) => {
    draft.dns64["prefix"] = value;
  },
  // Deckard's word for what a resolver needs; its prefix has 96 bits.
  features: (draft, value) => {
    const [, bound, seconds = ""] = /\b(min|max)_ttl\s*=\s*(\d+)/.exec(value) ?? [];
    if (bound !== undefined) time("cache", `${bound}-ttl`)(draft, seconds);
    const prefix = /\bdns64_prefix\s*=\s*(\S+)/.exec(value)?.[1];
    if (prefix === undefined) return;
    draft.dns64["prefix"] = `${prefix}/96`;
    draft.modules += " dns64";
  },
  "dns64-synthall": (draft, value) => void (isOn(value) && draft.ignoredAaaa.push(".")),
  "dns64-ignore-aaaa": (draft, value) => void draft.ignoredAaaa.push(absolute(value)),
  "private-address": (draft, value) => void draft.privateAddresses.push(value),
  "private-domain": (draft, value) => void draft.privateDomains.push(absolute(value)),
  "hide-identity": (draft, value) => void (isOn(value) && draft.hidden.add("id")),
  "hide-version": (draft, value) => void (isOn(value) && draft.hidden.add("version")),
  "hide-trustanchor": (draft, value) => {
    draft.identity["trust-anchors"] = !isOn(value);
  },
  identity: (draft, value) => {
    draft.identity["id"] = value;
  },
  version: (draft, value) => {
    draft.identity["version"] = value;
  },
  "access-control": (draft, value) => {
    const [prefix = "", action = ""] = value.split(/\s+/);
    const list = action === "allow_snoop" ? "cache-snooping" : action.startsWith("allow") ? "allow" : "deny";
    draft.access[list].push(prefix);
    if (action === "allow_snoop") draft.access.allow.push(prefix);
    if (list !== "deny") return;
    // One action serves all prefixes here.
    const ours = action === "deny" ? "drop" : "refuse";
    if (draft.access.deny.length > 1 && draft.access.action !== ours)
      draft.unsupported.push(`access-control ${value}`);
    draft.access.action = ours;
  },
  "local-zone": (draft, value) => {
    const [, name = "", kind = ""] = /^"?([^"\s]+)"?\s+(\S+)$/.exec(value) ?? [];
    const type = LOCAL_ZONE_TYPES[kind];
    if (kind === "nodefault") {
      draft.notLocal.push(absolute(name));
      return;
    }
    if (type === undefined) draft.unsupported.push(`local-zone ${kind}`);
    else draft.localZones.push({ name: absolute(name), type });
  },
  "local-data": (draft, value) => void draft.localData.push(value),
  "module-config": (draft, value) => {
    draft.modules = value;
  },
};

const LOCAL_ZONE_TYPES: Readonly<Record<string, string>> = {
  static: "static",
  transparent: "transparent",
  typetransparent: "typetransparent",
  redirect: "redirect",
  refuse: "refuse",
  always_null: "null",
  always_nxdomain: "nxdomain",
  always_nodata: "nodata",
};

function finish(draft: Draft, addresses: ReadonlySet<string>): ScenarioConfig {
  const root = draft.zones.find((zone) => zone.kind === "stub" && zone.name === ".");
  const others = draft.zones.filter((zone) => zone !== root);
  // Without servers for the root the built-in ones are meant, as far as the scenario has them.
  const builtIn = ROOT_HINTS.filter(({ address }) => addresses.has(address));
  if (root !== undefined)
    draft.resolver["root-hints"] = root.addresses.map((address, i) => ({
      name: root.names[i] ?? `scenario-${i + 1}.root-servers.invalid.`,
      address,
    }));
  else if (builtIn.length > 0 && !others.some(({ name }) => name === "."))
    draft.resolver["root-hints"] = builtIn.map(({ name, address }) => ({ name: name.toString(), address }));
  for (const name of draft.hidden) delete draft.identity[name];
  if (/respip|subnet|ipset|cachedb|python/.test(draft.modules)) draft.unsupported.push(draft.modules);
  const upstream = (address: string): string => `udp://${address.includes(":") ? `[${address}]` : address}`;
  const file = {
    access: { ...draft.access, ...draft.own["access"] },
    resolver: {
      families: draft.families,
      "case-randomisation": false,
      encryption: "off",
      "private-addresses": draft.privateAddresses,
      "private-domains": draft.privateDomains,
      cookies: false,
      ...draft.resolver,
      ...draft.own["resolver"],
    },
    dns64: dns64Of(draft),
    dnssec: {
      ...draft.dnssec,
      ...draft.own["dnssec"],
      validation: draft.modules.includes("validator") && draft.anchors.length > 0,
      "trust-anchors": draft.anchors.map(withTtl),
      "negative-trust-anchors": draft.negativeAnchors,
    },
    cache: { ...draft.cache, ...draft.own["cache"] },
    "stub-zones": others
      .filter(({ kind }) => kind === "stub")
      .map(({ name, addresses, fallback }) => ({ name, servers: addresses, fallback })),
    "forward-zones": others
      .filter(({ kind }) => kind === "forward")
      .map(({ name, addresses, fallback }) => ({ name, upstreams: addresses.map(upstream), fallback })),
    "local-zones": {
      builtin: draft.hasLocalNames,
      except: draft.notLocal,
      data: draft.localData.map(withTtl),
      zones: draft.localZones,
    },
    identity: draft.identity,
    cookies: { policy: "off" },
  };
  return { file, unsupported: draft.unsupported };
}

/** Unbound's module gives the IPv4 name's PTR records under the asked name, and is on when it is named. */
function dns64Of({ dns64, ignoredAaaa, modules }: Draft): Section {
  if (!modules.includes("dns64")) return {};
  return { prefix: "64:ff9b::/96", reverse: "records", ...dns64, "ignore-aaaa": ignoredAaaa };
}

/** Scenario files often leave the TTL out. */
function withTtl(record: string): string {
  return record.replaceAll(/\s+/g, " ").replace(/^(\S+) (?!\d+ |IN \d+ )/, "$1 3600 ");
}

/** What has no meaning here yet, or not for a resolver of this kind. */
const UNSUPPORTED =
  /^(access-control-|define-tag|local-zone-|response-ip|edns-client-string|nat64|do-nat64|cookie-secret|answer-cookie)/;
