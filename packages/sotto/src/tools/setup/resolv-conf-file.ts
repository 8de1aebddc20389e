/** What /etc/resolv.conf says and who wrote it (resolv.conf(5)). */
import type { Machine } from "./machine.ts";
import type { StubPlace } from "./plan.ts";

export const RESOLV_CONF = "/etc/resolv.conf";

export interface ResolvConf {
  /** False: there is neither a file nor a link. */
  readonly exists: boolean;
  readonly servers: readonly string[];
  /** Of its last `search` or `domain` line. */
  readonly search: readonly string[];
  /** Where it leads; undefined for a file of its own. */
  readonly link: string | undefined;
  /** True when something is mounted over it, as in containers: it can be written, not replaced. */
  readonly isMount: boolean;
  /** Its comments, in which programs say that they wrote it. */
  readonly comments: string;
}

export function readResolvConf(machine: Machine): ResolvConf {
  const text = machine.read(RESOLV_CONF);
  const link = machine.link(RESOLV_CONF);
  const lines = (text ?? "").split("\n").map((line) => line.trim());
  const words = lines.filter((line) => !/^[#;]/.test(line)).map((line) => line.split(/\s+/));
  const search = words.filter(([key]) => key === "search" || key === "domain").at(-1) ?? [];
  return {
    exists: text !== undefined || link !== undefined,
    servers: words.flatMap(([key, server]) => (key === "nameserver" && server !== undefined ? [server] : [])),
    // Other text than names does not get into a file that we propose.
    search: search.slice(1).filter((name) => /^[\w.-]+$/.test(name)),
    link,
    isMount: (machine.read("/proc/self/mountinfo") ?? "")
      .split("\n")
      .some((line) => line.split(" ")[4] === RESOLV_CONF),
    comments: lines.filter((line) => /^[#;]/.test(line)).join("\n"),
  };
}

/** The file that makes programs ask the stub; search domains stay. */
export function resolvConfLines({ address, validates }: StubPlace, { search }: ResolvConf): string[] {
  return [
    "# sotto stub; see: sotto stub setup",
    `nameserver ${address}`,
    ...(search.length === 0 ? [] : [`search ${search.join(" ")}`]),
    // trust-ad: libraries believe the AD bit, which comes over loopback from a validator (resolv.conf(5)).
    `options edns0${validates ? " trust-ad" : ""}`,
  ];
}
