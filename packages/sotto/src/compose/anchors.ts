/** Trust anchors of a running resolver: which are valid now, and how they are kept up to date (RFC 5011). */
import { anchorAt, type TrustAnchor, type TrustPoint, tryReadAnchorState } from "@sotto/dns/dnssec";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import type { DnssecConfig } from "../config/index.ts";
import { StateFile } from "../operations/index.ts";
import { AnchorKeeper, type Recursor } from "../recursor/index.ts";

/** The configured anchors that are valid at this moment. */
export function anchorsOf(config: DnssecConfig, runtime: Runtime): TrustAnchor[] {
  const nowSeconds = config.fixedNowSeconds ?? Math.floor(runtime.clock.wallMs() / 1000);
  return [...config.anchors, ...config.published.map((published) => anchorAt(published, nowSeconds))];
}

/**
 * Starts to follow the anchors' keys; undefined without a state file. Throws ERR_CONFIG when that cannot be read. Of several
 * workers each follows, and one of them writes and tells the anchors' zones.
 */
export function keepAnchors(
  config: DnssecConfig,
  recursor: Recursor,
  runtime: Runtime,
  writesState = true,
): AnchorKeeper | undefined {
  if (config.anchorStateFile === undefined || !config.validation) return undefined;
  const file = new StateFile(config.anchorStateFile, !writesState);
  const keeper = new AnchorKeeper(
    {
      anchors: anchorsOf(config, runtime),
      known: readPoints(file),
      policy: { sha1: config.sha1, dsa: config.dsa },
      skew: config.skew,
      fetchKeys: (zone) => recursor.fetchKeys(zone),
      replace: (zone, anchor) => recursor.replaceAnchor(zone, anchor),
      save: (text) => file.replace(text),
      ...(config.signalsAnchors && writesState ? { signal: (question) => recursor.tell(question) } : {}),
    },
    runtime,
  );
  keeper.start();
  return keeper;
}

function readPoints(file: StateFile): TrustPoint[] {
  const text = file.read();
  if (text === undefined) return [];
  const points = tryReadAnchorState(text);
  if (points.ok) return points.value;
  // What was learnt must not be overwritten by what was once configured.
  throw new DnsError("ERR_CONFIG", `${file.path}: ${points.problem}; repair or remove it`);
}
