/** What decides on this machine which resolver programs ask, by the traces that it leaves in files. */
import type { Machine } from "./machine.ts";
import type { SystemName } from "./plan.ts";
import { RESOLV_CONF, readResolvConf } from "./resolv-conf-file.ts";

export interface Detected {
  /** Undefined: none that is known. */
  readonly system: SystemName | undefined;
  readonly findings: readonly string[];
}

/** Whoever programs ask counts, not what is installed; two that work together (NetworkManager with resolved) are the latter. */
export function detectSystem(machine: Machine): Detected {
  if (machine.platform === "darwin") return { system: "macos", findings: ["this is macOS"] };
  if (machine.platform === "win32")
    return { system: undefined, findings: ["this is Windows, which is not known"] };
  const { link, servers, comments } = readResolvConf(machine);
  const findings: string[] = [];
  const asksResolved = link?.includes("/systemd/resolve/") === true || servers.includes(RESOLVED_ADDRESS);
  if (link !== undefined) findings.push(`${RESOLV_CONF} is a link to ${link}`);
  if (servers.length > 0) findings.push(`${RESOLV_CONF} names ${servers.join(", ")}`);
  const isResolvedThere = machine.list("/run/systemd/resolve") !== undefined;
  if (isResolvedThere) findings.push("/run/systemd/resolve is there: systemd-resolved runs");
  const isManagerThere = machine.list("/run/NetworkManager") !== undefined;
  if (isManagerThere) findings.push("/run/NetworkManager is there: NetworkManager runs");
  if (/NetworkManager/.test(comments)) findings.push(`${RESOLV_CONF} says that NetworkManager wrote it`);
  if (asksResolved && isResolvedThere) return { system: "systemd-resolved", findings };
  if (asksResolved) findings.push("but systemd-resolved does not run, so that nobody answers there");
  const isManagers = link?.includes("/NetworkManager/") === true || /NetworkManager/.test(comments);
  if (isManagerThere && isManagers) return { system: "networkmanager", findings };
  if (servers.length === 0 && link === undefined) findings.push(`${RESOLV_CONF} names no server`);
  return { system: "resolv.conf", findings };
}

/** What resolved's own DNS listener has. */
const RESOLVED_ADDRESS = "127.0.0.53";
