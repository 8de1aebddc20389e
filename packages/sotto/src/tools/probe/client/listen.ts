/** Without a command: the servers on known ports, for whoever comes, until somebody ends it. */
import type { Runtime } from "@sotto/dns/runtime";
import { AUTH_NAME, type ConnectionRecord, TestServer } from "../../../testserver/index.ts";
import type { ClientPlan } from "./client-plan.ts";
import type { ProbeContext } from "./row-probe.ts";
import type { Exercise, Run } from "./run.ts";

/** How servers for whoever comes are started. */
export interface ListenOptions {
  readonly fixtures: readonly string[];
  readonly portBase: number;
  /** Absent: it never ends. */
  readonly signal: AbortSignal | undefined;
  readonly onPlaces: ((lines: readonly string[]) => void) | undefined;
}

/** Serves until the signal ends it, and gives what the rows are judged by. Rejects with what `TestServer.start` rejects with. */
export async function listenForClients(
  { fixtures, portBase, signal, onPlaces }: ListenOptions,
  runtime: Runtime,
): Promise<{ readonly context: ProbeContext; close(): Promise<void> }> {
  const startedAtMs = runtime.clock.wallMs();
  const tests = await TestServer.start({ address: ADDRESS, portBase, only: fixtures }, runtime);
  onPlaces?.(placeLines(tests));
  await new Promise<void>((resolve) => {
    if (signal?.aborted === true) resolve();
    else signal?.addEventListener("abort", () => resolve(), { once: true });
  });
  const records = tests.observations.connections();
  const run = (exercise: Exercise): Promise<Run> =>
    Promise.resolve({ ...visitsOf(exercise, records), startedAtMs });
  const fastOpen = tests.fixture("fast-open")?.fastOpen ?? "the system does not tell";
  const context = { runner: { run }, plan: ANYBODY, fastOpen, isThorough: true };
  return { context, close: () => tests.close() };
}

function placeLines(tests: TestServer): readonly string[] {
  const good = tests.fixture("good")?.fixture.behaviour.tls?.certificate ?? "good";
  return [
    `name ${AUTH_NAME}, authority ${tests.files.authority}, pin ${tests.credentials.pinOf(good)}`,
    ...tests.fixtures.map(({ fixture, places }) => {
      const where = places.map(({ transport, address, port }) => `${transport} ${address}@${port}`);
      return `${fixture.name}: ${where.join(", ")}: ${fixture.about}`;
    }),
  ];
}

/** Everybody's connections to one server, as if they were one client's; all such runs began when listening did. */
function visitsOf(exercise: Exercise, all: readonly ConnectionRecord[]): Omit<Run, "startedAtMs"> {
  const records = all.filter(({ fixture, transport }) => {
    const isMeant =
      exercise.use === "udp" ? transport === "udp" || exercise.fixture === "truncated" : transport !== "udp";
    return fixture === exercise.fixture && isMeant;
  });
  const names = new Set(records.flatMap(({ queries }) => queries.map(({ qname }) => qname.toLowerCase())));
  return {
    exercise,
    command: "whoever came",
    names: [...names],
    records,
    answered: undefined,
    end: { kind: "ended" },
  };
}

/** A client of which nothing is known. */
const ANYBODY: ClientPlan = {
  title: "whoever came",
  isDaemon: true,
  isComplete: false,
  uses: {
    udp: { full: { argv: [] } },
    tls: { full: { argv: [] } },
    strict: { full: { argv: [] } },
    pinned: { full: { argv: [] } },
  },
};

const ADDRESS = "127.0.0.1";
