/** Servers of the catalogue on loopback and a client that is run against them, one run after the other. */
import type { Runtime } from "@sotto/dns/runtime";
import { AUTH_NAME, type ConnectionRecord, TestServer, type Transport } from "../../../testserver/index.ts";
import { askDaemon, freeUdpPort, pause, waitForDaemon } from "./ask-daemon.ts";
import { ClientProcess, type ProcessEnd, RunFolder } from "./child-process.ts";
import type { ClientPlan } from "./client-plan.ts";
import { type CommandTemplate, type FilledCommand, fillTemplate } from "./command-template.ts";
import type { Exercise, Run, Runner } from "./run.ts";

/** How a harness is started. */
export interface HarnessOptions {
  readonly plan: ClientPlan;
  /** Servers that runs will want. */
  readonly fixtures: readonly string[];
  /** Longest run, milliseconds; then the client's process is ended. */
  readonly runLimitMs: number;
  readonly signal: AbortSignal | undefined;
}

export class Harness implements Runner {
  readonly #options: HarnessOptions;
  readonly #tests: TestServer;
  readonly #runtime: Runtime;
  readonly #folder = new RunFolder();
  readonly #runs = new Map<string, Run>();
  /** The client does not print the address that it was told, but ends well when it was. */
  #tellsByExitCode = false;
  #startProblem: string | undefined;

  private constructor(options: HarnessOptions, tests: TestServer, runtime: Runtime) {
    this.#options = options;
    this.#tests = tests;
    this.#runtime = runtime;
  }

  /** Rejects with what `TestServer.start` rejects with. */
  static async start(options: HarnessOptions, runtime: Runtime): Promise<Harness> {
    const server = { address: ADDRESS, portBase: 0, only: options.fixtures };
    return new Harness(options, await TestServer.start(server, runtime), runtime);
  }

  /** What became of the wish for Fast Open on the server for it: `on`, or why it cannot be had. */
  get fastOpen(): string {
    return this.#tests.fixture("fast-open")?.fastOpen ?? "the system does not tell";
  }

  /** Why the client's process could not be started the last time; undefined: it could. */
  get startProblem(): string | undefined {
    return this.#startProblem;
  }

  /** Never rejects because of the client; a use that it does not have is an error of ours. */
  async run(exercise: Exercise): Promise<Run> {
    const key = JSON.stringify(exercise);
    const known = this.#runs.get(key);
    if (known !== undefined) return known;
    const run = await this.#runAnew(exercise);
    this.#runs.set(key, run);
    return run;
  }

  async #runAnew(exercise: Exercise): Promise<Run> {
    const { clock } = this.#runtime;
    this.#tests.reset();
    const filled = await this.#fill(exercise);
    const startedAtMs = clock.wallMs();
    if (this.#options.signal?.aborted === true) return unstarted(exercise, startedAtMs);
    const launch = { argv: filled.argv, environment: filled.environment, folder: filled.folder };
    const process = new ClientProcess(launch, clock);
    const limit = clock.startTimer(
      "probe-client-run",
      this.#options.runLimitMs,
      () => void process.end("limit"),
    );
    const abort = (): void => void process.end("ended");
    this.#options.signal?.addEventListener("abort", abort);
    let answered: number | undefined;
    try {
      if (this.#options.plan.isDaemon) answered = await this.#useDaemon(exercise, filled, process);
      else await process.ended;
    } catch (error) {
      await process.end("ended");
      throw error;
    } finally {
      limit.cancel();
      this.#options.signal?.removeEventListener("abort", abort);
    }
    const end = await process.ended;
    this.#startProblem = end.kind === "failed" ? end.problem : undefined;
    await this.#settle();
    answered ??= this.#answeredBy(process.output, end, exercise, filled.names.length);
    return {
      exercise,
      command: filled.argv.join(" "),
      names: filled.names,
      startedAtMs,
      records: this.#records(),
      answered,
      end,
    };
  }

  async #useDaemon(
    exercise: Exercise,
    { listenPort, names }: FilledRun,
    process: ClientProcess,
  ): Promise<number> {
    const to = { address: ADDRESS, port: listenPort };
    let answered = 0;
    if (await waitForDaemon(to, process, this.#runtime)) {
      const asked = names.map((name, i) => ({ name, atMs: exercise.questions[i]?.atMs ?? 0 }));
      answered = await askDaemon(to, asked, this.#runtime);
      await pause(this.#runtime.clock, exercise.holdMs ?? 0);
    }
    await process.end("ended");
    return answered;
  }

  async #fill(exercise: Exercise): Promise<FilledRun> {
    const template = this.#template(exercise);
    const listenPort = this.#options.plan.isDaemon ? await freeUdpPort(ADDRESS, this.#runtime) : 0;
    const run = this.#runs.size + 1;
    const names = exercise.questions.map(
      ({ word }, i) => `${word === undefined ? "" : `${word}-`}run${run}q${i + 1}.test.`,
    );
    const certificate = this.#tests.fixture(exercise.fixture)?.fixture.behaviour.tls?.certificate;
    const values = {
      address: ADDRESS,
      port: this.#port(exercise.fixture, exercise.use === "udp" ? ["udp", "tcp"] : ["tcp", "udp"]),
      tlsPort: this.#port(exercise.fixture, ["tls"]),
      name: AUTH_NAME,
      caFile: this.#tests.files.authority,
      pin: this.#tests.credentials.pinOf(certificate ?? "good"),
      listenPort,
      names,
    };
    let filled: FilledCommand | undefined;
    const folder = this.#folder.make(`run${run}`, (configFolder) => {
      filled = fillTemplate(template, { ...values, configFolder });
      return filled.files;
    });
    if (filled === undefined) throw new Error("a folder was made without its files");
    // A daemon is not told what it will be asked.
    return { ...filled, names: this.#options.plan.isDaemon ? names : filled.names, listenPort, folder };
  }

  #template({ use, isPlain, isFastOpen }: Exercise): CommandTemplate {
    const { uses, fastOpen } = this.#options.plan;
    const templates = uses[use];
    if (templates === undefined) throw new Error(`the client has no use ${use}`);
    if (isFastOpen === true && fastOpen !== undefined) return fastOpen;
    return isPlain === true ? (templates.plain ?? templates.full) : templates.full;
  }

  /** Of the server, or of the good one, where what should not have come will be seen. */
  #port(fixture: string, transports: readonly Transport[]): number {
    for (const name of [fixture, GOOD])
      for (const transport of transports) {
        const place = this.#tests.fixture(name)?.places.find((one) => one.transport === transport);
        if (place !== undefined) return place.port;
      }
    throw new Error(`${fixture} is nowhere`);
  }

  #records(): readonly ConnectionRecord[] {
    return this.#tests.observations.connections();
  }

  /** The client is gone; its FIN may still be on the way. */
  async #settle(): Promise<void> {
    const { clock } = this.#runtime;
    const limitMs = clock.nowMs() + SETTLE_LIMIT_MS;
    const isOpen = ({ transport, endedBy }: ConnectionRecord): boolean =>
      transport !== "udp" && endedBy === undefined;
    do await pause(clock, SETTLE_POLL_MS);
    while (this.#records().some(isOpen) && clock.nowMs() < limitMs);
  }

  #answeredBy(output: string, end: ProcessEnd, { fixture }: Exercise, names: number): number {
    const seen = output.split(ANSWER).length - 1;
    const isWell = end.kind === "exit" && end.code === 0;
    const wasAnswered = this.#records().some(({ answers }) => answers > 0);
    if (fixture === GOOD && wasAnswered && seen === 0 && isWell) this.#tellsByExitCode = true;
    if (this.#tellsByExitCode) return isWell ? names : 0;
    return Math.min(seen, names);
  }

  async close(): Promise<void> {
    await this.#tests.close();
    this.#folder.close();
  }
}

/** After the end of the probe, for the rest of a row that nobody will be told. */
function unstarted(exercise: Exercise, startedAtMs: number): Run {
  return {
    exercise,
    command: "",
    names: [],
    startedAtMs,
    records: [],
    answered: undefined,
    end: { kind: "ended" },
  };
}

interface FilledRun extends FilledCommand {
  readonly listenPort: number;
  readonly folder: string;
}

const ADDRESS = "127.0.0.1";
const GOOD = "good";
/** What names under test. resolve to (RFC 5737). */
const ANSWER = "192.0.2.53";
const SETTLE_POLL_MS = 10;
const SETTLE_LIMIT_MS = 300;
