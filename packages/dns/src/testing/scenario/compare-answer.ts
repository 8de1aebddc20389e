/** Compares what came with what a scenario expects, as far as its MATCH words say. */
import {
  type Message,
  type ResourceRecord,
  RRType,
  rcodeToText,
  recordToText,
  uint16At,
} from "@sotto/dns/wire";
import type { ScenarioEntry } from "./scenario.ts";
import { rcodeOf } from "./scenario-server.ts";

/** Differences, a line each; empty when everything that counts is equal. `isLoose`: TTLs and extended errors do not count. */
export function compareAnswer(expected: ScenarioEntry, actual: Message, isLoose = false): string[] {
  const { match } = expected;
  const isAll = match.has("all");
  const differences: string[] = [];
  const rcode = rcodeOf(expected);
  if ((isAll || match.has("rcode")) && rcode !== actual.rcode)
    differences.push(`rcode is ${rcodeToText(actual.rcode)}, expected ${rcodeToText(rcode)}`);
  if (isAll || match.has("flags")) differences.push(...compareFlags(expected, actual));
  const withTtl = match.has("ttl") && !isLoose;
  if (isAll || match.has("answer"))
    differences.push(...compareRecords("answer", expected.answers, actual.answers, withTtl));
  if (isAll || match.has("authority"))
    differences.push(
      ...compareRecords(
        "authority",
        expected.authorities.filter(isDenial),
        actual.authorities.filter(isDenial),
        withTtl,
      ),
    );
  if (isLoose) return differences;
  for (const word of match) {
    const code = /^ede=(\d+)$/.exec(word)?.[1];
    const codes =
      actual.edns?.options.filter(({ code }) => code === EDE_OPTION).map(({ data }) => uint16At(data, 0)) ??
      [];
    if (code !== undefined && !codes.includes(Number(code)))
      differences.push(`extended errors are ${codes.join(", ") || "none"}, expected ${code}`);
  }
  return differences;
}

function compareFlags(expected: ScenarioEntry, actual: Message): string[] {
  const flags: readonly (readonly [string, boolean])[] = [
    ["QR", actual.isResponse],
    ["AA", actual.isAuthoritative],
    ["TC", actual.isTruncated],
    ["RD", actual.recursionDesired],
    ["RA", actual.recursionAvailable],
    ["AD", actual.authenticData],
    ["CD", actual.checkingDisabled],
  ];
  return flags.flatMap(([name, isSet]) =>
    expected.reply.has(name) === isSet ? [] : [`${name} is ${isSet ? "set" : "not set"}`],
  );
}

/** SOA and the records that deny, with their signatures: other authority records are a matter of taste. */
function isDenial(record: ResourceRecord): boolean {
  const type = record.type === RRType.RRSIG ? uint16At(record.rdata, 0) : record.type;
  return type === RRType.SOA || type === RRType.NSEC || type === RRType.NSEC3;
}

function compareRecords(
  section: string,
  expected: readonly ResourceRecord[],
  actual: readonly ResourceRecord[],
  withTtl: boolean,
): string[] {
  const textOf = (record: ResourceRecord): string =>
    recordToText({
      ...record,
      owner: record.owner.toLowerCase(),
      ttl: withTtl ? record.ttl : 0,
    }).toLowerCase();
  const wanted = new Set(expected.map(textOf));
  const found = new Set(actual.map(textOf));
  return [
    ...[...wanted].filter((text) => !found.has(text)).map((text) => `${section} lacks ${text}`),
    ...[...found].filter((text) => !wanted.has(text)).map((text) => `${section} has ${text}`),
  ];
}

const EDE_OPTION = 15;
