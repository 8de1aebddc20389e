/** Who has the port that the stub wants, as far as `/proc` says. */
import { PROC_SOCKET_TABLES, type ProcSocket, parseProcSockets } from "../../operations/index.ts";
import type { Machine } from "./machine.ts";
import type { StubPlace } from "./plan.ts";

export interface PortOwner {
  readonly layer: "udp" | "tcp";
  readonly address: string;
  /** Name and number of the process; undefined when it cannot be seen (it is somebody else's). */
  readonly process: { readonly name: string; readonly pid: number; readonly isOurs: boolean } | undefined;
}

/** The sockets with this port that are in the stub's way, or are the stub itself. */
export function portOwners(machine: Machine, place: StubPlace): PortOwner[] {
  const sockets = PROC_SOCKET_TABLES.flatMap((table) =>
    parseProcSockets(table, machine.read(`/proc/net/${table}`) ?? ""),
  ).filter((socket) => isInTheWay(socket, place));
  return sockets.map(({ layer, local, inode }) => ({
    layer,
    address: local.address,
    process: processWith(machine, inode),
  }));
}

function isInTheWay({ local }: ProcSocket, { address, port, isEverywhere }: StubPlace): boolean {
  const isAll = local.address === "0.0.0.0" || local.address === "::";
  return local.port === port && (isEverywhere || isAll || local.address === address);
}

function processWith(machine: Machine, inode: string): PortOwner["process"] {
  const processes = (machine.list("/proc") ?? []).filter((name) => /^\d+$/.test(name));
  for (const pid of processes.slice(0, PROCESSES_MAX)) {
    const descriptors = machine.list(`/proc/${pid}/fd`) ?? [];
    if (!descriptors.some((fd) => machine.link(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`)) continue;
    const words = (machine.read(`/proc/${pid}/cmdline`) ?? "").split("\0");
    const name = machine.read(`/proc/${pid}/comm`)?.trim() ?? words[0] ?? "?";
    const isOurs = words.some((word) => /(?:^|\/)sotto(?:\.[jt]s)?$/.test(word));
    return { name: isOurs ? "sotto" : name, pid: Number(pid), isOurs };
  }
  return undefined;
}

/** Traps of the port, a sentence each; what is ours is no trap. */
export function portTraps(owners: readonly PortOwner[], port: number): string[] {
  const traps = owners.flatMap(({ layer, address, process }) => {
    if (process?.isOurs === true) return [];
    const place = `${layer} ${address} port ${port}`;
    if (process === undefined)
      return [
        `${place} is taken by a program that only root can see: run this command as root to learn which`,
      ];
    if (process.pid === 1)
      return [
        `${place} is held by process 1 (${process.name}) for a socket unit: systemctl list-sockets tells which`,
      ];
    return [
      `${place} is taken by ${process.name} (process ${process.pid}): stop it, or give the stub another address`,
    ];
  });
  return [...new Set(traps)];
}

/** Far more than a machine that people use has. */
const PROCESSES_MAX = 4096;
