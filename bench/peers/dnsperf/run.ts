/**
 * Debian's dnsperf as the load. It says nothing while it runs, so the accounts are read right before it starts and right after it has
 * ended: they hold its connecting and its last answers too, and so do its totals.
 */
import { childrenNs, type Snapshot, takeSnapshot } from "../accounting.ts";
import type { LoadOutcome, PipelineOrder } from "../generator/orders.ts";
import { PinnedProcess } from "../processes.ts";
import { type DnsperfRun, dnsperfCommand, TIMEOUT_SECONDS } from "./arguments.ts";
import { readTotals } from "./output.ts";

export interface DnsperfPlace extends DnsperfRun {
  /** For its output. */
  readonly folder: string;
  /** The load's. */
  readonly cores: string;
  /** The server first, then the others whose use of the cores is known. */
  readonly watched: readonly number[];
}

/** The outcome, and which process the load was. */
export interface LoadExchange {
  readonly outcome: LoadOutcome;
  readonly pid: number;
}

/** Rejects when it does not come to its end, with what it printed. No other child of ours may end meanwhile. */
export async function runDnsperf(order: PipelineOrder, place: DnsperfPlace): Promise<LoadExchange> {
  const command = dnsperfCommand(order, place);
  const { folder, cores, watched } = place;
  const before = takeSnapshot(watched);
  const childrenBeforeNs = childrenNs();
  const started = PinnedProcess.start({ name: "dnsperf", command, cores, folder });
  const isInTime = await started.ended(place.windowMs + TIMEOUT_SECONDS * 1000 + LATE_MS);
  const after = withLoad(takeSnapshot(watched), started.pid, childrenNs() - childrenBeforeNs);
  if (!isInTime) await started.stop();
  const totals = isInTime ? readTotals(started.output()) : undefined;
  if (totals === undefined || started.child.exitCode !== 0) {
    const how = isInTime ? `ended with ${started.child.exitCode ?? started.child.signalCode}` : "hangs";
    const { address, port, transport } = order.target;
    throw new Error(
      `dnsperf ${how}, with ${address} port ${port} over ${transport}: ${started.output().slice(-OUTPUT_TOLD)}`,
    );
  }
  const { answers, wrong, lost, runMs } = totals;
  return {
    outcome: { answers, wrong, lost, runMs, resumed: 0, coldUsed: 0, before, after },
    pid: started.pid,
  };
}

/** Its threads are gone when it has ended; the kernel has added their time to that of our children that ended. */
function withLoad(after: Snapshot, pid: number, ns: number): Snapshot {
  return { ...after, cpuNs: { ...after.cpuNs, [pid]: ns } };
}

/** Beyond what it was asked to take: reading its file, connecting, and a loaded machine. */
const LATE_MS = 20_000;
const OUTPUT_TOLD = 2000;
