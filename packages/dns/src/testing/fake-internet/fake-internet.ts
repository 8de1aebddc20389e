/** The whole of it: zones built and signed, servers on a network, and what a resolver needs to begin. */
import type { Clock, Network, Random } from "@sotto/dns/runtime";
import {
  addressToText,
  type Name,
  parseName,
  type ResourceRecord,
  RRType,
  tryParseAddress,
  tryParseZone,
} from "@sotto/dns/wire";
import type { ServedZone } from "./authority.ts";
import { DNSSEC_ZONES } from "./dnssec.zones.ts";
import { FakeServer, type FakeTls, type HeardQuery } from "./fake-server.ts";
import { SERVERS, ZONES } from "./internet.zones.ts";
import { MINIMISATION_DELEGATION, MINIMISATION_SERVERS, MINIMISATION_ZONES } from "./minimisation.zones.ts";
import type { Action } from "./misbehaviour.ts";
import { signZone } from "./sign.ts";
import { SIGNING_FLAWS } from "./signing-flaws.ts";
import { Zone } from "./zone.ts";
import { dsRecords } from "./zone-key.ts";
import { csk, type ServerText, type ZoneText } from "./zone-text.ts";

export interface FakeInternetOptions {
  /** Wall time, milliseconds since 1970: right signatures are valid from a day before to a month after. */
  readonly wallMs: number;
  /** Turns server addresses into others, undefined drops them; absent: they stay. Applies to servers and to their glue. */
  readonly mapAddress?: (address: string) => string | undefined;
  /** Port of all servers. Default 53. */
  readonly port?: number;
  /** With a name that tells how it was asked for, `MINIMISATION_NAME`. Default: without, and the plans of seeds stay as they are. */
  readonly tellsMinimisation?: boolean;
  /** Servers that speak TLS, too (RFC 9539). Absent: none. */
  readonly tls?: FakeTls & { readonly isSpokenBy: (server: ServerText) => boolean };
}

/** A question with what it is there for. */
export interface FakeName {
  readonly name: Name;
  readonly type: RRType;
}

/** Changes what a server was going to do with a query. */
export type Tamper = (server: ServerText, heard: HeardQuery, action: Action) => Action;

const TTL_SECONDS = 300;

/** Addresses of servers on real loopback interfaces: 198.51.100.N becomes 127.51.100.N; IPv6 has only one and drops out. */
export function loopbackAddress(address: string): string | undefined {
  if (address.startsWith("198.51.100.")) return address.replace("198.51.100.", "127.51.100.");
  if (address.startsWith("203.0.113.")) return address.replace("203.0.113.", "127.113.0.");
  return undefined;
}

export class FakeInternet {
  readonly zones: readonly ServedZone[];
  /** Names and addresses of the root servers. */
  readonly rootHints: readonly { readonly name: Name; readonly address: string }[];
  /** DS of the root's key. */
  readonly trustAnchors: readonly ResourceRecord[];
  /** Every server and what it is there for. */
  readonly servers: readonly ServerText[];
  readonly #options: FakeInternetOptions;
  readonly #running: FakeServer[] = [];

  private constructor(
    zones: readonly ServedZone[],
    servers: readonly ServerText[],
    options: FakeInternetOptions,
  ) {
    this.zones = zones;
    this.servers = servers;
    this.#options = options;
    this.rootHints = servers
      .filter((server) => server.zones.includes("."))
      .flatMap((server) => server.addresses.map((address) => ({ name: parseName(server.name), address })));
    this.trustAnchors = dsRecords(parseName("."), csk(13), [{}], TTL_SECONDS);
  }

  /** Plans the zones, which are built and signed when they are needed; nothing is opened. */
  static build(options: FakeInternetOptions): FakeInternet {
    const map = options.mapAddress ?? ((address: string) => address);
    const isTelling = options.tellsMinimisation === true;
    const allServers = isTelling ? [...SERVERS, ...MINIMISATION_SERVERS] : SERVERS;
    const serverAddresses = new Map(
      allServers.flatMap((server) => server.addresses.map((address) => [address, map(address)] as const)),
    );
    const nowSeconds = Math.floor(options.wallMs / 1000);
    const zones = (isTelling ? withMinimisation(ZONES) : ZONES).map(
      (text) => new LazyZone(text, serverAddresses, nowSeconds),
    );
    const servers = allServers.map((server) => ({
      ...server,
      addresses: server.addresses.map(map).filter((address) => address !== undefined),
    }));
    return new FakeInternet(zones, servers, options);
  }

  /** Opens every server that is not absent; rejects with everything closed when one cannot be opened. */
  async start(
    networkOf: (addresses: string[]) => Network,
    clock: Clock,
    _random: Random,
    tamper?: Tamper,
  ): Promise<void> {
    try {
      for (const server of this.servers) {
        if (server.isAbsent === true || server.addresses.length === 0) continue;
        const zones = this.zones.filter((zone) => server.zones.includes(zone.origin.toString()));
        const { addresses, behaviour } = server;
        this.#running.push(
          await FakeServer.start(
            {
              addresses,
              port: this.#options.port ?? 53,
              tls: this.#options.tls?.isSpokenBy(server) === true ? this.#options.tls : undefined,
              zones,
              behaviour,
              tamper: tamper && ((heard, action) => tamper(server, heard, action)),
            },
            networkOf([...addresses]),
            clock,
          ),
        );
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((server) => server.close()));
  }

  /**
   * Every name with each of its types, and for each zone a name and a type that do not exist. Signatures are left out, and
   * so are the zones for validators, which need questions of their own (`DNSSEC_ZONES`).
   */
  names(): FakeName[] {
    const names = new Map<string, FakeName>();
    const add = (name: Name, type: RRType): void => void names.set(`${name.key} ${type}`, { name, type });
    const forValidators = new Set(DNSSEC_ZONES.map(({ origin }) => origin));
    for (const served of this.zones) {
      if (forValidators.has(served.origin.toString())) continue;
      const { zone } = served;
      for (const node of zone.nodes) {
        if (!zone.isAuthoritativeFor(node.owner) || node.rrsets.has(RRType.NSEC3)) continue;
        for (const type of node.rrsets.keys())
          if (type !== RRType.RRSIG && type !== RRType.NSEC) add(node.owner, type);
        add(node.owner, RRType.AAAA);
        add(node.owner, RRType.HINFO);
      }
      for (const empty of zone.emptyNonTerminals) add(empty, RRType.A);
      for (const label of ["nothing", "a.b.nothing"]) {
        const absent = zone.origin.isRoot ? parseName(`${label}-at-all.`) : parseName(label, zone.origin);
        add(absent, RRType.A);
      }
    }
    return [...names.values()];
  }
}

function withMinimisation(zones: readonly ZoneText[]): ZoneText[] {
  const above = zones.map((zone) =>
    zone.origin === "lab." ? { ...zone, text: zone.text + MINIMISATION_DELEGATION } : zone,
  );
  return [...above, ...MINIMISATION_ZONES];
}

/** Built when it is first looked at. */
class LazyZone implements ServedZone {
  readonly origin: Name;
  readonly #build: () => Zone;
  #zone: Zone | undefined;

  constructor(text: ZoneText, addresses: ReadonlyMap<string, string | undefined>, nowSeconds: number) {
    this.origin = parseName(text.origin);
    this.#build = () => buildZone(text, this.origin, addresses, nowSeconds);
  }

  get zone(): Zone {
    this.#zone ??= this.#build();
    return this.#zone;
  }
}

function buildZone(
  text: ZoneText,
  origin: Name,
  addresses: ReadonlyMap<string, string | undefined>,
  nowSeconds: number,
): Zone {
  const soa = `@ ${TTL_SECONDS} IN SOA ${text.origin === "." ? "a.root-servers.lab." : "ns1"} hostmaster.nic.example. 2026112301 3600 600 604800 60\n`;
  const records = tryParseZone(`$TTL ${TTL_SECONDS}\n${soa}${text.text}`, {
    origin,
    ttl: TTL_SECONDS,
    fileName: text.origin,
  });
  if (!records.ok) throw new RangeError(records.problem);
  const mapped = records.value.flatMap((record) => mapRecord(record, addresses));
  const plain = new Zone(origin, [...mapped, ...delegationSigners(mapped, origin)], text.answerFlaw);
  if (text.signing === undefined) return plain;
  const { keys, denial, flaw } = text.signing;
  return signZone(plain, {
    keys,
    denial,
    nowSeconds,
    flaw: flaw === undefined ? {} : SIGNING_FLAWS[flaw],
    above: keyAbove(text.origin),
  });
}

/** The closest signed zone above, and a key of it. */
function keyAbove(origin: string): Parameters<typeof signZone>[1]["above"] {
  const [, above] = ZONES.filter(({ origin: other, signing }) => signing && isSuffix(other, origin)).sort(
    (a, b) => b.origin.length - a.origin.length,
  );
  const key = above?.signing?.keys[0];
  return above === undefined || key === undefined ? undefined : { origin: parseName(above.origin), key };
}

function isSuffix(suffix: string, name: string): boolean {
  return suffix === "." || name === suffix || name.endsWith(`.${suffix}`);
}

/** Addresses of servers move with their servers; other addresses stay. */
function mapRecord(
  record: ResourceRecord,
  addresses: ReadonlyMap<string, string | undefined>,
): ResourceRecord[] {
  if (record.type !== RRType.A && record.type !== RRType.AAAA) return [record];
  const text = addressToText(record.rdata);
  if (!addresses.has(text)) return [record];
  const mapped = addresses.get(text);
  const octets = mapped === undefined ? undefined : tryParseAddress(mapped);
  return octets?.ok === true ? [{ ...record, rdata: octets.value }] : [];
}

/** DS records for the delegated zones that are signed. */
function delegationSigners(records: readonly ResourceRecord[], origin: Name): ResourceRecord[] {
  const cuts = new Map(
    records
      .filter((record) => record.type === RRType.NS && !record.owner.equals(origin))
      .map((record) => [record.owner.key, record.owner]),
  );
  return [...cuts.values()].flatMap((cut) => {
    const child = ZONES_BY_ORIGIN.get(cut.key);
    if (child === undefined) return [];
    const { signing, ds = signing === undefined ? [] : [{}] } = child;
    return dsRecords(cut, signing?.keys ?? csk(13), ds, TTL_SECONDS);
  });
}

const ZONES_BY_ORIGIN: ReadonlyMap<string, ZoneText> = new Map(
  ZONES.map((zone) => [parseName(zone.origin).key, zone]),
);
