/** Fields whose shape depends on a number before them: IPSECKEY (RFC 4025), AMTRELAY (RFC 8777), HIP (RFC 8005). */
import { octetsToHex, tryHexToOctets } from "../hex.ts";
import { addressToText, tryParseAddress } from "../ip-address.ts";
import { Name, tryParseName } from "../name.ts";
import type { OctetReader, OctetWriter } from "../octets.ts";
import type { FormatProblem } from "../parsed.ts";
import type { TokenReader } from "../text-token.ts";
import { octetsToBase64, tryBase64ToOctets } from "./base-encoding.ts";
import { type Field, namesRest } from "./field.ts";

/** Nothing, an IPv4 address, an IPv6 address or a name: kinds 0 to 3 of both registries. */
export type Gateway = undefined | Uint8Array | Name;

const ADDRESS_OCTETS: Readonly<Record<number, number>> = { 1: 4, 2: 16 };
const KIND_OF_OCTETS: Readonly<Record<number, number>> = { 4: 1, 16: 2 };
const KIND_NAME = 3;

function readGateway(reader: OctetReader, kind: number): Gateway {
  if (kind === 0) return undefined;
  if (kind === KIND_NAME) return reader.plainName();
  const octets = ADDRESS_OCTETS[kind];
  if (octets === undefined) reader.fail("gateway has an unknown type");
  return reader.take(octets ?? 0);
}

/** Kinds that are not assigned yet have no known length: what follows is not looked at. */
function skipGateway(reader: OctetReader, kind: number): void {
  if (kind > KIND_NAME) reader.skip(reader.remaining);
  else if (kind === KIND_NAME) reader.skipPlainName();
  else reader.skip(ADDRESS_OCTETS[kind] ?? 0);
}

function kindOf(gateway: Gateway): number {
  if (gateway === undefined) return 0;
  return gateway instanceof Name ? KIND_NAME : (KIND_OF_OCTETS[gateway.length] ?? -1);
}

function writeGateway(writer: OctetWriter, gateway: Gateway): FormatProblem | undefined {
  if (gateway instanceof Name) writer.plainName(gateway);
  else if (gateway !== undefined) writer.octets(gateway);
  return undefined;
}

function gatewayToText(gateway: Gateway): string {
  if (gateway === undefined) return ".";
  return gateway instanceof Name ? gateway.toString() : addressToText(gateway);
}

function parseGateway(tokens: TokenReader, kind: number): Gateway {
  const { text } = tokens.next("gateway");
  if (kind === 0) {
    if (text !== ".") tokens.fail(`gateway ${JSON.stringify(text)} is not . although there is none`);
    return undefined;
  }
  if (kind === KIND_NAME) {
    const name = tryParseName(text, tokens.origin);
    if (name.ok) return name.value;
    tokens.fail(name.problem);
    return Name.root;
  }
  const address = tryParseAddress(text);
  if (!address.ok || address.value.length !== ADDRESS_OCTETS[kind]) {
    tokens.fail(`gateway ${JSON.stringify(text)} is not of type ${kind}`);
    return undefined;
  }
  return address.value;
}

/** Gateway type, algorithm, gateway and key of IPSECKEY: the algorithm stands between type and gateway. */
export interface IpsecGateway {
  readonly algorithm: number;
  readonly gateway: Gateway;
}

export const ipsecGateway: Field<IpsecGateway> = {
  read(reader) {
    const kind = reader.uint8();
    const algorithm = reader.uint8();
    return { algorithm, gateway: readGateway(reader, kind) };
  },
  skip(reader) {
    const kind = reader.uint8();
    reader.skip(1);
    skipGateway(reader, kind);
  },
  write(writer, { algorithm, gateway }) {
    if (kindOf(gateway) < 0) return "gateway is no address";
    writer.uint8(kindOf(gateway));
    writer.uint8(algorithm);
    return writeGateway(writer, gateway);
  },
  toText: ({ algorithm, gateway }) => `${kindOf(gateway)} ${algorithm} ${gatewayToText(gateway)}`,
  parse(tokens) {
    const kind = tokens.number("gateway type", 3);
    const algorithm = tokens.number("algorithm", 255);
    return { algorithm, gateway: parseGateway(tokens, kind) };
  },
};

/** Discovery-optional flag, relay type and relay of AMTRELAY. */
export interface AmtRelay {
  readonly isDiscoveryOptional: boolean;
  readonly relay: Gateway;
}

export const amtRelay: Field<AmtRelay> = {
  read(reader) {
    const octet = reader.uint8();
    return { isDiscoveryOptional: (octet & 0x80) !== 0, relay: readGateway(reader, octet & 0x7f) };
  },
  skip(reader) {
    const kind = reader.uint8() & 0x7f;
    skipGateway(reader, kind);
  },
  write(writer, { isDiscoveryOptional, relay }) {
    if (kindOf(relay) < 0) return "relay is no address";
    writer.uint8((isDiscoveryOptional ? 0x80 : 0) | kindOf(relay));
    return writeGateway(writer, relay);
  },
  toText: ({ isDiscoveryOptional, relay }) =>
    `${isDiscoveryOptional ? 1 : 0} ${kindOf(relay)} ${gatewayToText(relay)}`,
  parse(tokens) {
    const isDiscoveryOptional = tokens.number("discovery flag", 1) === 1;
    const kind = tokens.number("relay type", 3);
    return { isDiscoveryOptional, relay: parseGateway(tokens, kind) };
  },
};

/** Everything of HIP: two lengths stand in front of the algorithm, the tag and the key. */
export interface HostIdentity {
  readonly algorithm: number;
  readonly tag: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly rendezvousServers: readonly Name[];
}

export const hostIdentity: Field<HostIdentity> = {
  read(reader) {
    const tagOctets = reader.uint8();
    const algorithm = reader.uint8();
    const keyOctets = reader.uint16();
    const tag = reader.take(tagOctets);
    const publicKey = reader.take(keyOctets);
    if (tagOctets === 0 || keyOctets === 0) reader.fail("HIP has no tag or no key");
    return { algorithm, tag, publicKey, rendezvousServers: namesRest.read(reader) };
  },
  skip: (reader) => void hostIdentity.read(reader),
  write(writer, { algorithm, tag, publicKey, rendezvousServers }) {
    if (tag.length === 0 || tag.length > 255 || publicKey.length === 0 || publicKey.length > 0xffff)
      return "HIP tag or key has no possible length";
    writer.uint8(tag.length);
    writer.uint8(algorithm);
    writer.uint16(publicKey.length);
    writer.octets(tag);
    writer.octets(publicKey);
    return namesRest.write(writer, rendezvousServers);
  },
  toText({ algorithm, tag, publicKey, rendezvousServers }) {
    const servers = rendezvousServers.map((server) => ` ${server.toString()}`).join("");
    return `${algorithm} ${octetsToHex(tag).toUpperCase()} ${octetsToBase64(publicKey)}${servers}`;
  },
  parse(tokens) {
    const algorithm = tokens.number("algorithm", 255);
    const tag = tryHexToOctets(tokens.next("tag").text);
    const publicKey = tryBase64ToOctets(tokens.next("key").text);
    if (!tag.ok) tokens.fail(`tag: ${tag.problem}`);
    if (!publicKey.ok) tokens.fail(`key: ${publicKey.problem}`);
    const rendezvousServers = namesRest.parse(tokens, "rendezvous server");
    return {
      algorithm,
      tag: tag.ok ? tag.value : new Uint8Array(0),
      publicKey: publicKey.ok ? publicKey.value : new Uint8Array(0),
      rendezvousServers,
    };
  },
};
