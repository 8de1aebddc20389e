/** From a query spec to what the exchanger is asked for. */
import { readFileSync } from "node:fs";
import { DnsError, type Random } from "@sotto/dns/runtime";
import type { ExchangeRequest, TlsPolicy } from "@sotto/dns/transport";
import {
  type Edns,
  type EdnsOption,
  EdnsOptionCode,
  type Message,
  makeClientSubnet,
  makeEdns,
  makeMessage,
  type Parsed,
  parsed,
  tryParseAddress,
  tryParsePrefix,
} from "@sotto/dns/wire";
import type { QuerySpec } from "./arguments.ts";
import type { QueryOptions } from "./flags.ts";

/** The request without its deadline, which the run sets for each try. */
export type RequestDraft = Omit<ExchangeRequest, "deadlineMs">;

/** Builds the request for a server whose address is known. Problems are sentences about flags. */
export function buildRequest(spec: QuerySpec, address: string, random: Random): Parsed<RequestDraft> {
  const { options } = spec;
  const edns = buildEdns(options, random);
  if (!edns.ok) return edns;
  const port = spec.port ?? (options.transport === "tls" ? 853 : 53);
  const isTls = options.transport === "tls";
  return parsed({
    question: { name: spec.name, type: spec.type, class: spec.class },
    server: { address, port },
    transport: options.transport,
    recursionDesired: options.recursionDesired,
    checkingDisabled: options.checkingDisabled,
    authenticData: options.authenticData,
    edns: edns.value,
    keepalive: options.keepalive,
    ignoreTruncation: options.ignoreTruncation,
    ...(isTls ? { tls: buildTlsPolicy(spec) } : {}),
    ...(options.padBlockOctets === undefined ? {} : { padBlockOctets: options.padBlockOctets }),
  });
}

function buildEdns(options: Readonly<QueryOptions>, random: Random): Parsed<Edns | undefined> {
  if (options.ednsVersion === undefined) return parsed(undefined);
  const list: EdnsOption[] = [];
  if (options.nsid) list.push({ code: EdnsOptionCode.Nsid, data: EMPTY });
  if (options.expire) list.push({ code: EdnsOptionCode.Expire, data: EMPTY });
  if (options.cookie !== undefined) {
    const data = options.cookie === "" ? random.octets(CLIENT_COOKIE_OCTETS) : hexOctets(options.cookie);
    list.push({ code: EdnsOptionCode.Cookie, data });
  }
  if (options.clientSubnet !== undefined) {
    // RFC 7871 §7.1.2: a prefix length of 0 asks that no address is passed on.
    const text = options.clientSubnet === "0" ? "0.0.0.0/0" : options.clientSubnet;
    const prefix = tryParsePrefix(text.includes("/") ? text : `${text}/${text.includes(":") ? 56 : 24}`);
    if (!prefix.ok) return { ok: false, problem: `+subnet: ${prefix.problem}` };
    list.push(
      makeClientSubnet({
        address: prefix.value.octets,
        sourcePrefixBits: prefix.value.bits,
        scopePrefixBits: 0,
      }),
    );
  }
  for (const option of options.ednsOptions) list.push({ code: option.code, data: hexOctets(option.hex) });
  return parsed(
    makeEdns({
      version: options.ednsVersion,
      udpPayloadOctets: options.udpPayloadOctets,
      dnssecOk: options.dnssecOk,
      options: list,
    }),
  );
}

/** RFC 8310: with an anchor, a name or a pin the server must be authenticated; otherwise TLS is opportunistic. */
function buildTlsPolicy(spec: QuerySpec): TlsPolicy {
  const { options, server } = spec;
  const name = options.tlsHostname ?? server;
  const sni = options.tlsSni ?? (name !== undefined && !tryParseAddress(name).ok ? name : undefined);
  return {
    serverName: sni === "" ? undefined : sni,
    authName: options.tlsAuthenticate ? name : undefined,
    pins: options.tlsPins,
    trustAnchorsPem: options.tlsCaFiles.length === 0 ? undefined : options.tlsCaFiles.map(readPem),
    authenticate: options.tlsAuthenticate || options.tlsPins.length > 0 ? "required" : "no",
    certificatePem:
      options.tlsCertificateFile === undefined ? undefined : readPem(options.tlsCertificateFile),
    keyPem: options.tlsKeyFile === undefined ? undefined : readPem(options.tlsKeyFile),
  };
}

function readPem(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new DnsError(
      "ERR_CONFIG",
      `cannot read ${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

/** The query as it looks before the exchange adds an id, padding and keepalive: for `+qr`. */
export function queryMessage(draft: RequestDraft): Message {
  return makeMessage({
    recursionDesired: draft.recursionDesired,
    authenticData: draft.authenticData,
    checkingDisabled: draft.checkingDisabled,
    questions: [draft.question],
    edns: draft.edns,
  });
}

function hexOctets(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

const EMPTY = new Uint8Array(0);
/** RFC 7873 §4.1. */
const CLIENT_COOKIE_OCTETS = 8;
