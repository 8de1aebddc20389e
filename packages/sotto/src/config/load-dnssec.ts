/** The `dnssec` section: texts and files of trust anchors become keys and digests. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  type PublishedAnchors,
  rootAnchors,
  type TrustAnchor,
  tryParseAnchor,
  tryReadAnchorsXml,
} from "@sotto/dns/dnssec";
import { parseName } from "@sotto/dns/wire";
import type { DnssecConfig } from "./config.ts";
import { known } from "./load-listeners.ts";
import type { Settings } from "./settings.ts";
import { tryParseDuration, tryParseMoment } from "./units.ts";

/** `report` is told what is wrong with a setting of the section. */
export function toDnssec(
  { dnssec }: Settings,
  folder: string,
  report: (key: string, message: string) => void,
): DnssecConfig {
  const inline = dnssec["trust-anchors"]?.map((text) => known(tryParseAnchor(text)));
  const files = dnssec["trust-anchor-files"];
  const fromFiles = files.map((file) =>
    readAnchors(resolve(folder, file), (message) => report("trust-anchor-files", message)),
  );
  const isDefault = inline === undefined && files.length === 0;
  // A time that stands still is exact.
  const isExact = dnssec.now !== undefined;
  const skewOf = (text: string | undefined, seconds: number): number =>
    text === undefined ? (isExact ? 0 : seconds) : known(tryParseDuration(text)) / 1000;
  const skew = {
    minSeconds: skewOf(dnssec["clock-skew-min"], 3600),
    maxSeconds: skewOf(dnssec["clock-skew-max"], 86_400),
  };
  if (skew.minSeconds > skew.maxSeconds) report("clock-skew-min", "is longer than clock-skew-max");
  return {
    validation: dnssec.validation,
    anchors: isDefault ? rootAnchors() : [...(inline ?? []), ...fromFiles.flatMap(({ anchors }) => anchors)],
    published: fromFiles.flatMap(({ published }) => published),
    anchorStateFile: dnssec["anchor-state"] && resolve(folder, dnssec["anchor-state"]),
    signalsAnchors: dnssec["signal-anchors"],
    negativeAnchors: dnssec["negative-trust-anchors"].map((name) => parseName(name)),
    fixedNowSeconds: typeof dnssec.now === "string" ? known(tryParseMoment(dnssec.now)) : dnssec.now,
    skew,
    sha1: dnssec.sha1,
    wantsEveryAlgorithm: dnssec["harden-algorithm-downgrade"],
    takesStripped: !dnssec["harden-stripped"],
    dsa: dnssec.dsa ?? dnssec.now !== undefined,
    nsec3IterationsMax: dnssec["nsec3-iterations"],
  };
}

interface AnchorFile {
  readonly anchors: readonly TrustAnchor[];
  readonly published: readonly PublishedAnchors[];
}

const NO_ANCHORS: AnchorFile = { anchors: [], published: [] };

/** IANA's XML, or one record a line with comments after `;`. */
function readAnchors(file: string, report: (message: string) => void): AnchorFile {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    report(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    return NO_ANCHORS;
  }
  if (text.trimStart().startsWith("<")) {
    const published = tryReadAnchorsXml(text);
    if (published.ok) return { anchors: [], published: [published.value] };
    report(`${file}: ${published.problem}`);
    return NO_ANCHORS;
  }
  const anchors: TrustAnchor[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    const content = line.replace(/;.*/, "").trim();
    if (content === "") continue;
    const anchor = tryParseAnchor(content);
    if (anchor.ok) anchors.push(anchor.value);
    else report(`${file} line ${i + 1}: ${anchor.problem}`);
  }
  if (anchors.length === 0) report(`${file} has no trust anchor`);
  return { anchors, published: [] };
}
