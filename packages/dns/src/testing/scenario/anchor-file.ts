/**
 * Files of trust anchors that are followed (RFC 5011), in the form that scenarios have them: what a resolver begins with, and
 * what it must have come to. The last state of a key counts, not how often it was seen.
 */
import { type TrustPoint, tryReadAnchorState } from "@sotto/dns/dnssec";
import { type ResourceRecord, RRType, rdataToText, timestampToText, tryParseRecord } from "@sotto/dns/wire";

/** The file of one zone. */
export interface AnchorFile {
  /** Those that are trusted, as configuration. */
  readonly anchors: readonly ResourceRecord[];
  /** What an earlier run knew; empty when nobody followed the keys yet. */
  readonly known: readonly TrustPoint[];
}

interface FileKey {
  readonly record: ResourceRecord;
  readonly state: string | undefined;
  readonly sinceSeconds: number;
}

interface FileContent {
  readonly keys: readonly FileKey[];
  /** Numbers of the `;;name: number` lines. */
  readonly numbers: ReadonlyMap<string, number>;
  readonly isRevoked: boolean;
}

/** Reads what a resolver begins with. */
export function readAnchorFile(text: string): AnchorFile {
  const { keys, numbers, isRevoked } = readContent(text);
  const followed = keys.filter(({ state }) => state !== undefined);
  const isFollowed = followed.length > 0 || isRevoked;
  const trusted = isFollowed
    ? followed.filter(({ state }) => state === "valid" || state === "missing")
    : keys;
  const all = trusted.map(({ record }) => record);
  const anchors = all.some(isEntryPoint) ? all.filter(isEntryPoint) : all;
  const zone = keys[0]?.record.owner;
  if (!isFollowed || zone === undefined) return { anchors, known: [] };
  const moment = (name: string): string => timestampToText(numbers.get(name) ?? 0);
  const lines = [
    "sotto trust anchor state, version 1",
    `zone ${zone} asked=${moment("last_queried")} validated=${moment("last_success")} ` +
      `next=${isRevoked ? "never" : moment("next_probe_time")} failures=${numbers.get("query_failed") ?? 0} ` +
      `interval=${numbers.get("query_interval") ?? 0} retry=${numbers.get("retry_time") ?? 0}`,
    ...followed.map(({ record, state, sinceSeconds }) => {
      const rdata = rdataToText(RRType.DNSKEY, unrevoked(record.rdata));
      return `key ${zone} state=${state} since=${timestampToText(sinceSeconds)} DNSKEY ${rdata}`;
    }),
    `end zones=1 keys=${followed.length}`,
  ];
  const points = tryReadAnchorState(`${lines.join("\n")}\n`);
  if (!points.ok) throw new RangeError(points.problem);
  return { anchors, known: points.value };
}

/** Differences between a file and what a resolver knows, a line each. Moments may differ by a few seconds. */
export function compareAnchors(text: string, points: readonly TrustPoint[]): string[] {
  const { keys, numbers, isRevoked } = readContent(text);
  const zone = keys[0]?.record.owner;
  const point = points.find((one) => zone?.equals(one.zone));
  if (point === undefined) return ["the zone is not followed"];
  const differences: string[] = [];
  const found = new Map(
    point.keys.map((followed) => [rdataToText(RRType.DNSKEY, followed.key.rdata), followed]),
  );
  for (const { record, state, sinceSeconds } of keys) {
    if (state === undefined || record.type !== RRType.DNSKEY) continue;
    const name = rdataToText(RRType.DNSKEY, unrevoked(record.rdata));
    const ours = found.get(name);
    found.delete(name);
    if (ours?.state !== state)
      differences.push(`key ${name} is ${ours?.state ?? "not known"}, expected ${state}`);
    else if (!isNear(ours.sinceSeconds, sinceSeconds))
      differences.push(`key ${name} is ${state} since ${ours.sinceSeconds}, expected ${sinceSeconds}`);
  }
  // RFC 5011 §4.2: what is removed may be forgotten.
  for (const [name, { state }] of found)
    if (state !== "removed") differences.push(`key ${name} is ${state}, expected not to be known`);
  const { askedSeconds, validatedSeconds, nextSeconds, failures } = point.times;
  if (isRevoked !== (nextSeconds === undefined))
    differences.push(isRevoked ? "the trust point is not deleted" : "the trust point is deleted");
  // A file that nobody has written has no moments; where everything is revoked they are a matter of taste.
  if (!numbers.has("last_queried") || isRevoked) return differences;
  const moments = [
    ["last_queried", askedSeconds],
    ["last_success", validatedSeconds],
  ] as const;
  for (const [name, seconds = 0] of moments)
    if (!isNear(seconds, numbers.get(name) ?? 0))
      differences.push(`${name} is ${seconds}, expected ${numbers.get(name)}`);
  // How often each server is tried is not told.
  if (failures > 0 !== (numbers.get("query_failed") ?? 0) > 0)
    differences.push(`${failures} queries failed, expected ${numbers.get("query_failed")}`);
  return differences;
}

function readContent(text: string): FileContent {
  const keys: FileKey[] = [];
  const numbers = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, name = "", number = ""] = /^;;(\w+):\s*(\d+)/.exec(line) ?? [];
    if (name !== "") numbers.set(name, Number(number));
    if (/^\s*(;|$)/.test(line)) continue;
    const record = tryParseRecord(line.replace(/;.*/, ""), { ttl: 3600 });
    if (!record.ok) throw new RangeError(`${record.problem}: ${line}`);
    const state = /;;state=(\d)/.exec(line)?.[1];
    const sinceSeconds = Number(/;;lastchange=(\d+)/.exec(line)?.[1] ?? 0);
    keys.push({ record: record.value, state: STATES[Number(state)], sinceSeconds });
  }
  return { keys, numbers, isRevoked: /^;;REVOKED/m.test(text) };
}

/** DS, and keys that say they are entry points (RFC 4034 §2.1.1); the others count where there are none. */
function isEntryPoint({ type, rdata }: ResourceRecord): boolean {
  return type === RRType.DS || (type === RRType.DNSKEY && ((rdata[1] ?? 0) & 1) !== 0);
}

/** RFC 5011 §7: without the REVOKE bit. */
function unrevoked(rdata: Uint8Array): Uint8Array {
  const copy = rdata.slice();
  copy[1] = (copy[1] ?? 0) & 0x7f;
  return copy;
}

function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= TOLERANCE_SECONDS;
}

/** By number; 0 is a key that is not followed. */
const STATES = [undefined, "add-pending", "valid", "missing", "revoked", "removed"];
const TOLERANCE_SECONDS = 5;
