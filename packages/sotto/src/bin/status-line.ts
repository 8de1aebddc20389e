/** How a daemon does, in one line, for service managers (`systemctl status`). */
import type { ForwardZoneStatus, OpenListener, RunningServer, UpstreamStatus } from "../compose/index.ts";

/** As much of a server as the line tells of. */
interface ToldServer {
  readonly listeners: readonly Pick<OpenListener, "transport" | "local">[];
  upstreams(): readonly ToldZone[];
  /** Absent: it is one server. */
  readonly workers?: readonly { readonly state: string }[];
  readonly stubStatus?: Pick<RunningServer["stubStatus"], "portal">;
}

interface ToldZone extends Pick<ForwardZoneStatus, "zone"> {
  readonly upstreams: readonly Pick<UpstreamStatus, "address" | "port" | "state">[];
}

/** Where it listens and how its upstreams do; before that, that a captive portal is open. */
export function statusLine(server: ToldServer): string {
  const places = new Map<string, string[]>();
  for (const { transport, local } of server.listeners) {
    const place = `${local.address} port ${local.port}`;
    places.set(place, [...(places.get(place) ?? []), transport]);
  }
  const serving = [...places].map(([place, transports]) => `${place} (${transports.join(", ")})`);
  const opening = server.stubStatus?.portal?.opening;
  // RFC 8310 §6.6: wherever somebody looks.
  const alert =
    opening === undefined ? [] : [`DNS IS NOT PRIVATE for ${opening.names.join(" ")}: a portal is open`];
  return [
    ...alert,
    `serving on ${serving.join(", ")}${workersText(server.workers)}`,
    ...server.upstreams().map(zoneText),
  ].join("; ");
}

/** The same of a front end. */
export function frontStatusLine({ listeners, status }: ToldFront): string {
  const pools = status.pools.map(({ name, backends }) => {
    const up = backends.filter(({ state }) => state === "up" || state === "starting").length;
    return `${name}: ${up} of ${backends.length} backends up`;
  });
  return `serving on ${listeners.length} listeners${workersText(status.workers)}; ${pools.join(", ")}`;
}

/** As much of a front end as the line tells of. */
interface ToldFront {
  readonly listeners: readonly unknown[];
  readonly status: {
    readonly pools: readonly {
      readonly name: string;
      readonly backends: readonly { readonly state: string }[];
    }[];
    readonly workers?: ToldServer["workers"] | undefined;
  };
}

function workersText(workers: ToldServer["workers"] = []): string {
  if (workers.length === 0) return "";
  const running = workers.filter(({ state }) => state === "serving").length;
  return ` by ${running === workers.length ? "" : `${running} of `}${workers.length} workers`;
}

/** A server that is reached in several ways is one server, as good as its best way. */
function zoneText({ zone, upstreams }: ToldZone): string {
  const best = new Map<string, { readonly rank: number; readonly text: string }>();
  for (const { address, port, state } of upstreams) {
    const server = `${address} port ${port}`;
    const rank = STATES.indexOf(state);
    if (rank >= (best.get(server)?.rank ?? -1)) best.set(server, { rank, text: state });
  }
  const texts = [...best.values()].map(({ text }) => text);
  const counts = STATES.toReversed().flatMap((state) => {
    const count = texts.filter((text) => text === state).length;
    return count === 0 ? [] : [`${count} ${state}`];
  });
  return `upstreams of ${zone}: ${counts.length === 0 ? "none" : counts.join(", ")}`;
}

/** Worst first. */
const STATES: readonly string[] = ["untried", "failing", "clear", "encrypted", "authenticated"];
