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
import { FakeServer } from "./fake-server.ts";
import { SERVERS, type ServerText, ZONES, type ZoneText } from "./internet.zones.ts";
import { dsRecord, signZone } from "./sign.ts";
import { Zone } from "./zone.ts";

export interface FakeInternetOptions {
  /** Wall time, milliseconds since 1970: signatures are valid from a day before to a month after. */
  readonly wallMs: number;
  /** Turns server addresses into others, undefined drops them; absent: they stay. Applies to servers and to their glue. */
  readonly mapAddress?: (address: string) => string | undefined;
  /** Port of all servers. Default 53. */
  readonly port?: number;
}

/** A question with what it is there for. */
export interface FakeName {
  readonly name: Name;
  readonly type: RRType;
}

const DAY_SECONDS = 86_400;
const TTL_SECONDS = 300;

/** Addresses of servers on real loopback interfaces: 198.51.100.N becomes 127.51.100.N; IPv6 has only one and drops out. */
export function loopbackAddress(address: string): string | undefined {
  if (address.startsWith("198.51.100.")) return address.replace("198.51.100.", "127.51.100.");
  if (address.startsWith("203.0.113.")) return address.replace("203.0.113.", "127.113.0.");
  return undefined;
}

export class FakeInternet {
  readonly zones: readonly Zone[];
  /** Names and addresses of the root servers. */
  readonly rootHints: readonly { readonly name: Name; readonly address: string }[];
  /** DS of the root's key. */
  readonly trustAnchors: readonly ResourceRecord[];
  /** Every server and what it is there for. */
  readonly servers: readonly ServerText[];
  readonly #port: number;
  readonly #running: FakeServer[] = [];

  private constructor(zones: readonly Zone[], servers: readonly ServerText[], port: number) {
    this.zones = zones;
    this.servers = servers;
    this.#port = port;
    this.rootHints = servers
      .filter((server) => server.zones.includes("."))
      .flatMap((server) => server.addresses.map((address) => ({ name: parseName(server.name), address })));
    this.trustAnchors = [dsRecord(parseName("."), 13, TTL_SECONDS)];
  }

  /** Builds and signs the zones; nothing is opened. */
  static build(options: FakeInternetOptions): FakeInternet {
    const map = options.mapAddress ?? ((address: string) => address);
    const serverAddresses = new Map(
      SERVERS.flatMap((server) => server.addresses.map((address) => [address, map(address)] as const)),
    );
    const zones = ZONES.map((text) => buildZone(text, serverAddresses, Math.floor(options.wallMs / 1000)));
    const servers = SERVERS.map((server) => ({
      ...server,
      addresses: server.addresses.map(map).filter((address) => address !== undefined),
    }));
    return new FakeInternet(zones, servers, options.port ?? 53);
  }

  /** Opens every server that is not absent; rejects with everything closed when one cannot be opened. */
  async start(networkOf: (addresses: string[]) => Network, clock: Clock, _random: Random): Promise<void> {
    try {
      for (const server of this.servers) {
        if (server.isAbsent === true || server.addresses.length === 0) continue;
        const zones = this.zones.filter((zone) => server.zones.includes(zone.origin.toString()));
        const { addresses, behaviour } = server;
        this.#running.push(
          await FakeServer.start(
            { addresses, port: this.#port, zones, behaviour },
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

  /** Every name with each of its types, and for each zone a name and a type that do not exist. Signatures are left out. */
  names(): FakeName[] {
    const names = new Map<string, FakeName>();
    const add = (name: Name, type: RRType): void => void names.set(`${name.key} ${type}`, { name, type });
    for (const zone of this.zones) {
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

function buildZone(
  text: ZoneText,
  addresses: ReadonlyMap<string, string | undefined>,
  nowSeconds: number,
): Zone {
  const origin = parseName(text.origin);
  const soa = `@ ${TTL_SECONDS} IN SOA ${text.origin === "." ? "a.root-servers.lab." : "ns1"} hostmaster.nic.example. 2026112301 3600 600 604800 60\n`;
  const records = tryParseZone(`$TTL ${TTL_SECONDS}\n${soa}${text.text}`, {
    origin,
    ttl: TTL_SECONDS,
    fileName: text.origin,
  });
  if (!records.ok) throw new RangeError(records.problem);
  const mapped = records.value.flatMap((record) => mapRecord(record, addresses));
  const plain = new Zone(origin, [...mapped, ...delegationSigners(mapped, origin)]);
  if (text.signing === undefined) return plain;
  const isExpired = text.signing.flaw === "expired";
  return signZone(plain, {
    algorithm: text.signing.algorithm,
    denial: text.signing.denial,
    inception: nowSeconds - (isExpired ? 30 : 1) * DAY_SECONDS,
    expiration: nowSeconds + (isExpired ? -10 : 30) * DAY_SECONDS,
    isWrongKey: text.signing.flaw === "wrong key",
  });
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
    const child = ZONES.find((zone) => parseName(zone.origin).equals(cut));
    return child?.signing === undefined ? [] : [dsRecord(cut, child.signing.algorithm, TTL_SECONDS)];
  });
}
