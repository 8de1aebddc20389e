/** What Unbound's and Deckard's words in a scenario's configuration part mean for us, as our configuration file. */
import type { Scenario, ScenarioSetting } from "@sotto/dns/testing";
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
  readonly isPrimed: boolean;
}

type Section = Record<string, unknown>;

/** Translates the configuration part. */
export function scenarioConfig(scenario: Scenario): ScenarioConfig {
  const writer = new ConfigWriter();
  for (const setting of scenario.settings) writer.take(setting);
  const addresses = new Set(scenario.ranges.flatMap((range) => range.addresses));
  return writer.done(addresses);
}

class ConfigWriter {
  readonly #resolver: Section = {};
  readonly #dnssec: Section = { "trust-anchors": [] };
  readonly #cache: Section = {};
  readonly #zones: Zone[] = [];
  readonly #unsupported: string[] = [];
  readonly #anchors: string[] = [];
  readonly #negativeAnchors: string[] = [];
  readonly #localData: string[] = [];
  readonly #private: string[] = [];
  #families = ["ipv4", "ipv6"];
  #section = "";
  #modules = "validator iterator";

  take({ key, value }: ScenarioSetting): void {
    if (
      value === "" &&
      (key === "server" ||
        key.endsWith("-zone") ||
        key === "rpz" ||
        key === "view" ||
        key === "remote-control" ||
        key === "python" ||
        key === "dynlib")
    ) {
      this.#section = key;
      if (key === "stub-zone" || key === "forward-zone")
        this.#zones.push({
          kind: key === "stub-zone" ? "stub" : "forward",
          name: ".",
          addresses: [],
          names: [],
          isPrimed: false,
        });
      else if (key !== "server" && key !== "remote-control") this.#unsupported.push(key);
      return;
    }
    if (this.#section === "stub-zone" || this.#section === "forward-zone") this.#takeZone(key, value);
    else this.#takeServer(key, value);
  }

  #takeZone(key: string, value: string): void {
    const zone = this.#zones.at(-1);
    if (zone === undefined) return;
    if (key === "name") zone.name = value.endsWith(".") ? value : `${value}.`;
    else if (key.endsWith("-addr")) zone.addresses.push(value.replace(/\s.*/, ""));
    else if (key.endsWith("-host") || key === "stub-name")
      zone.names.push(value.endsWith(".") ? value : `${value}.`);
    else if (key.endsWith("-first") && value === "yes") this.#unsupported.push(key);
    else if (key.endsWith("-no-cache") && value === "yes") this.#unsupported.push(key);
  }

  #takeServer(key: string, value: string): void {
    const isOn = value === "yes" || value === "on";
    switch (key) {
      // Deckard's files have the root's servers outside of any section.
      case "stub-addr":
        this.#rootZone().addresses.push(value.replace(/\s.*/, ""));
        return;
      case "stub-name":
        this.#rootZone().names.push(value.endsWith(".") ? value : `${value}.`);
        return;
      case "trust-anchor":
        this.#anchors.push(value);
        return;
      case "val-override-date":
        this.#dnssec["now"] = value;
        return;
      case "val-override-timestamp":
        this.#dnssec["now"] = Number(value);
        return;
      case "qname-minimisation":
      case "query-minimization":
        this.#resolver["qname-minimisation"] = isOn ? "relaxed" : "off";
        return;
      case "qname-minimisation-strict":
        if (isOn) this.#resolver["qname-minimisation"] = "strict";
        return;
      case "do-ip6":
        if (!isOn) this.#families = this.#families.filter((family) => family !== "ipv6");
        return;
      case "do-ip4":
        if (!isOn) this.#families = this.#families.filter((family) => family !== "ipv4");
        return;
      case "domain-insecure":
        this.#negativeAnchors.push(value.endsWith(".") ? value : `${value}.`);
        return;
      case "aggressive-nsec":
        this.#cache["aggressive-denial"] = isOn;
        return;
      case "harden-below-nxdomain":
        this.#cache["nxdomain-cut"] = isOn;
        return;
      case "cache-min-ttl":
        this.#cache["min-ttl"] = `${value}s`;
        return;
      case "cache-max-ttl":
        this.#cache["max-ttl"] = `${value}s`;
        return;
      case "cache-max-negative-ttl":
        this.#cache["max-negative-ttl"] = `${value}s`;
        return;
      case "prefetch":
        this.#cache["prefetch"] = isOn;
        return;
      case "serve-expired":
        this.#cache["serve-stale"] = isOn;
        return;
      case "serve-expired-client-timeout":
        this.#cache["stale-client-timeout"] = `${value}ms`;
        return;
      case "serve-expired-reply-ttl":
        this.#cache["stale-reply-ttl"] = `${value}s`;
        return;
      case "serve-expired-ttl":
        this.#cache["stale-ttl"] = `${value}s`;
        return;
      case "local-data":
        this.#localData.push(value);
        return;
      case "private-address":
        this.#private.push(value);
        return;
      case "module-config":
        this.#modules = value;
        return;
      case "val-nsec3-keysize-iterations":
        this.#dnssec["nsec3-iterations"] = Math.min(2500, Number(value.split(/\s+/).at(-1)));
        return;
      default:
        if (UNSUPPORTED.test(key)) this.#unsupported.push(key);
    }
  }

  #rootZone(): Zone {
    const known = this.#zones.find(({ name, kind }) => name === "." && kind === "stub");
    if (known !== undefined) return known;
    const zone: Zone = { kind: "stub", name: ".", addresses: [], names: [], isPrimed: false };
    this.#zones.push(zone);
    return zone;
  }

  /** `addresses`: those that have servers in the scenario. */
  done(addresses: ReadonlySet<string>): ScenarioConfig {
    const root = this.#zones.find((zone) => zone.kind === "stub" && zone.name === ".");
    const others = this.#zones.filter((zone) => zone !== root);
    if (root !== undefined)
      this.#resolver["root-hints"] = root.addresses.map((address, i) => ({
        name: root.names[i] ?? `scenario-${i + 1}.root-servers.invalid.`,
        address,
      }));
    // Without servers for the root the built-in ones are meant, as far as the scenario has them.
    else if (!others.some(({ name }) => name === ".")) {
      const hints = ROOT_HINTS.filter(({ address }) => addresses.has(address));
      if (hints.length > 0)
        this.#resolver["root-hints"] = hints.map(({ name, address }) => ({ name: name.toString(), address }));
    }
    const isValidating = this.#modules.includes("validator") && this.#anchors.length > 0;
    if (/dns64|respip|subnet|ipset|cachedb|python/.test(this.#modules)) this.#unsupported.push(this.#modules);
    return {
      file: {
        resolver: {
          families: this.#families,
          "case-randomisation": false,
          cookies: false,
          ...this.#resolver,
        },
        dnssec: {
          ...this.#dnssec,
          validation: isValidating,
          "trust-anchors": this.#anchors.map(withTtl),
          "negative-trust-anchors": this.#negativeAnchors,
        },
        cache: this.#cache,
        "stub-zones": others
          .filter(({ kind }) => kind === "stub")
          .map(({ name, addresses }) => ({ name, servers: addresses })),
        "forward-zones": others
          .filter(({ kind }) => kind === "forward")
          .map(({ name, addresses }) => ({
            name,
            upstreams: addresses.map(
              (address) => `udp://${address.includes(":") ? `[${address}]` : address}`,
            ),
          })),
        "local-zones": { builtin: false, data: this.#localData.map(withTtl) },
        cookies: { policy: "off" },
      },
      unsupported: this.#unsupported,
    };
  }
}

/** Scenario files often leave the TTL out. */
function withTtl(record: string): string {
  return record.replaceAll(/\s+/g, " ").replace(/^(\S+) (?!\d+ |IN \d+ )/, "$1 3600 ");
}

/** What has no meaning here yet, or not for a resolver of this kind. */
const UNSUPPORTED =
  /^(access-control-|define-tag|local-zone-|response-ip|rpz|view|edns-client-string|dns64-prefix|nat64|do-nat64|auth-|zonefile|max-global-quota|cookie-secret|answer-cookie|serve-original-ttl|fake-)(?!sha1)/;
