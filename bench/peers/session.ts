/** A benchmark from start to end: starts everything, takes all steps of the plan, ends everything. */
import { Field } from "./field.ts";
import { figureOf } from "./judge.ts";
import { type Measurement, type MeasureOptions, Meter } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { needsPeak, planOf, type Step } from "./plan.ts";
import type { Server } from "./servers.ts";
import { type BenchTest, loadOf, PEAK_TEST, TESTS, takesPart } from "./tests.ts";

/** Measurements by the key of their test. */
export type Measured = ReadonlyMap<string, readonly Measurement[]>;

/** Told once per test, and for each measurement. */
export type Progress = (text: string) => void;

/** The machine was too loaded to begin. */
export class LoadedMachineError extends Error {}

/** Rejects when a server cannot be measured, or the machine is loaded and nobody forces it. */
export async function runSession(
  servers: readonly Server[],
  options: BenchOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<Measured> {
  const field = new Field(options.cores);
  try {
    await field.open();
    if (!options.isForced && !(await field.quiet(START_TRIES)))
      throw new LoadedMachineError(
        `others use the cores ${options.cores.server} and ${options.cores.load}: wait, or --force`,
      );
    return await takeAll(field, servers, options, progress, signal);
  } finally {
    await field.close();
  }
}

async function takeAll(
  field: Field,
  servers: readonly Server[],
  options: BenchOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<Measured> {
  const { tests, rounds, secs, load, isForced } = options;
  const common = { secs, load, isRepeating: !isForced };
  const steps = planOf(tests, servers, rounds);
  const loaded = servers.filter((server) =>
    steps.some((step) => step.server === server && !isOfMemory(step.test)),
  );
  for (const server of loaded) await field.start(server);
  const meter = new Meter(field);
  const measured = new Map<string, Measurement[]>();
  let peakPerSecond = needsPeak(tests) ? await findPeak(meter, loaded, common, signal) : 0;
  let isMemory = false;
  for (const step of steps) {
    signal.throwIfAborted();
    if (isOfMemory(step.test) && !isMemory) {
      isMemory = true;
      for (const server of loaded) await field.stop(server);
    }
    const taken = measured.get(step.test.key) ?? [];
    if (taken.length === 0) {
      const by = loadOf(step.test, load) === "dnsperf" ? " (dnsperf)" : "";
      progress(`\n${step.test.key.padEnd(KEY_WIDTH)} ${step.test.title}${by}\n`);
      const first = steps.filter(({ test, round }) => test === step.test && round === 0);
      await warmUp(meter, first, { ...common, isRepeating: false, setting: { peakPerSecond } }, signal);
    }
    const one = await meter.measure(step, { ...common, setting: { peakPerSecond } });
    progress(`${lineOf(step, one)}\n`);
    measured.set(step.test.key, [...taken, one]);
    if (step.test.key === PEAK_TEST) peakPerSecond = peakOf(measured.get(PEAK_TEST) ?? [], servers);
  }
  return measured;
}

/** One round that does not count: caches fill, and compilers see what is asked of them, as in a server that has run for a while. */
async function warmUp(
  meter: Meter,
  steps: readonly Step[],
  options: MeasureOptions,
  signal: AbortSignal,
): Promise<void> {
  for (const step of steps) {
    signal.throwIfAborted();
    // Memory is measured from the start of the server.
    if (!isOfMemory(step.test)) await meter.measure(step, options);
  }
}

function isOfMemory(test: BenchTest): boolean {
  return test.order === undefined;
}

/** One short look at each peer, when the test that tells the peak is not asked for. */
async function findPeak(
  meter: Meter,
  servers: readonly Server[],
  common: Omit<MeasureOptions, "setting">,
  signal: AbortSignal,
): Promise<number> {
  const test = TESTS.find(({ key }) => key === PEAK_TEST);
  if (test === undefined) return 0;
  const taken: Measurement[] = [];
  for (const server of servers.filter((one) => takesPart(one, test))) {
    signal.throwIfAborted();
    taken.push(await meter.measure({ test, server, round: 0 }, { ...common, setting: { peakPerSecond: 0 } }));
  }
  return peakOf(taken, servers);
}

/** The best rate of a peer, or of ours where there are no peers. */
function peakOf(taken: readonly Measurement[], servers: readonly Server[]): number {
  const isPeer = ({ server }: Measurement): boolean =>
    servers.some((one) => !one.isOurs && one.name === server);
  const peers = taken.filter(isPeer);
  return Math.max(0, ...(peers.length > 0 ? peers : taken).map(({ perSecond }) => perSecond));
}

function lineOf({ test, server, round }: Step, one: Measurement): string {
  const figure = figureOf(one, test.figure).toFixed(test.figure.endsWith("Ms") ? 3 : 2);
  const rate = `${Math.round(one.perSecond)}/s`.padStart(9);
  const share = (value: number): string => `${Math.round(value * 100)} %`.padStart(5);
  const unit = test.figure.endsWith("Ms") ? "ms" : test.figure === "memoryKib" ? "KiB" : "µs";
  const more = [
    ...(one.wrong > 0 ? [`${one.wrong} wrong`] : []),
    ...(one.lost > 0 ? [`${one.lost} lost`] : []),
    ...(one.disturbed === undefined ? [] : [`disturbed: ${one.disturbed}`]),
  ];
  return `  ${round + 1}  ${server.name.padEnd(NAME_WIDTH)} ${figure.padStart(9)} ${unit.padEnd(3)} ${rate}  server ${share(one.serverShare)}  load ${share(one.loadShare)}${more.length > 0 ? `  ${more.join(", ")}` : ""}`;
}

const KEY_WIDTH = 12;
const NAME_WIDTH = 16;
const START_TRIES = 15;
