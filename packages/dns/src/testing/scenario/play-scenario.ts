/** Plays a scenario in virtual time: its servers on a simulated network, a resolver that is given to us before them. */
import type { TrustPoint } from "@sotto/dns/dnssec";
import type { DatagramSocket, Network, StreamListener } from "@sotto/dns/runtime";
import {
  addressToText,
  encodeMessage,
  FrameReader,
  frameMessage,
  makeEdns,
  RRType,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import type { SimWorld } from "../sim/sim-runtime.ts";
import { compareAnchors } from "./anchor-file.ts";
import { compareAnswer } from "./compare-answer.ts";
import type { Scenario, ScenarioEntry, ScenarioStep } from "./scenario.ts";
import { matches, messageOf, replyTo, type Unmatched } from "./scenario-server.ts";
import { StepVariables } from "./step-variables.ts";

/** The resolver under test. */
export interface ScenarioSubject {
  /** Answers the message of a client at that address; undefined when it says nothing. */
  answer(query: Uint8Array, clientAddress: string): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
  /** Trust points that it follows (RFC 5011); absent: none. */
  readonly anchorPoints?: () => readonly TrustPoint[];
}

/** One query that a server of the scenario got. */
export interface ScenarioQuery {
  readonly step: number;
  readonly server: string;
  readonly octets: Uint8Array;
  readonly transport: "udp" | "tcp";
  readonly isAnswered: boolean;
}

export interface ScenarioResult {
  /** Empty when the scenario passes; otherwise what was wrong at which step. */
  readonly problems: readonly string[];
  readonly queries: readonly ScenarioQuery[];
}

export interface PlayOptions {
  /** Default: silence. */
  readonly unmatched?: Unmatched;
  /** Addresses that have servers although no range names them, for ranges of any address. */
  readonly moreAddresses?: readonly string[];
  /** TTLs and extended errors do not count. Default false. */
  readonly isLoose?: boolean;
}

/** Plays all steps; ends at the first that fails. */
export async function playScenario(
  scenario: Scenario,
  world: SimWorld,
  makeSubject: () => Promise<ScenarioSubject>,
  options: PlayOptions = {},
): Promise<ScenarioResult> {
  const stage = new Stage(scenario, world, options.unmatched ?? "silence");
  await stage.open(options.moreAddresses ?? []);
  const subject = await makeSubject();
  const pending: Promise<Uint8Array | undefined>[] = [];
  const points = (): readonly TrustPoint[] => subject.anchorPoints?.() ?? [];
  const variables = variablesOf(world, points);
  const isSleepy = scenario.anchorFiles.length > 0;
  const problems: string[] = [];
  try {
    for (const [i, step] of scenario.steps.entries()) {
      const before = scenario.steps[i - 1];
      stage.step = step.number;
      if (step.kind === "QUERY") stage.beginQuery(step.number);
      // What became due while time passed belongs to the step after it.
      if (isSleepy && before?.kind === "TIME_PASSES") await world.clock.advance(WAIT_STEP_MS);
      const problem = await playStep(step, {
        subject,
        pending,
        stage,
        world,
        variables,
        points,
        isLoose: options.isLoose ?? false,
        isSleepy,
      });
      problems.push(...problem);
      if (problems.length > 0) break;
    }
  } finally {
    const closing = subject.close();
    await world.clock.runUntil(closing);
    await stage.close();
  }
  return { problems, queries: stage.queries };
}

/** What steps work on. */
interface Play {
  readonly subject: ScenarioSubject;
  readonly pending: Promise<Uint8Array | undefined>[];
  readonly stage: Stage;
  readonly world: SimWorld;
  readonly variables: StepVariables;
  readonly points: () => readonly TrustPoint[];
  readonly isLoose: boolean;
  /** Time passes as on a machine that sleeps: what is due meanwhile happens afterwards, once. */
  readonly isSleepy: boolean;
}

function variablesOf({ clock }: SimWorld, points: () => readonly TrustPoint[]): StepVariables {
  const time = (): number => Math.floor(clock.wallMs() / 1000);
  // Zero: nothing is going to happen any more.
  const timeout = (): number =>
    Math.min(
      ...points().map(({ times }) => (times.nextSeconds === undefined ? 0 : times.nextSeconds - time())),
    );
  return new StepVariables(
    new Map([
      ["time", time],
      ["timeout", timeout],
    ]),
  );
}

async function playStep(step: ScenarioStep, play: Play): Promise<string[]> {
  const { subject, pending, stage, world, variables, isLoose } = play;
  const at = `step ${step.number} (line ${step.line})`;
  switch (step.kind) {
    case "QUERY":
      if (step.entry === undefined) return [`${at}: nothing to ask`];
      pending.push(subject.answer(queryOf(step.entry), clientOf(step)));
      return [];
    case "CHECK_ANSWER": {
      const next = pending.shift();
      if (next === undefined || step.entry === undefined) return [`${at}: nothing to check`];
      const octets = await world.clock.runUntil(next, ANSWER_MS_MAX);
      if (octets === undefined) return [`${at}: no answer`];
      const message = tryDecodeMessage(octets);
      if (!message.ok) return [`${at}: ${message.problem}`];
      return compareAnswer(step.entry, message.value, isLoose).map((text) => `${at}: ${text}`);
    }
    case "TIME_PASSES":
      return passTime(step, play).then((problems) => problems.map((text) => `${at}: ${text}`));
    case "ASSIGN": {
      const wrong = variables.assign(step.words.join(" "));
      return wrong === undefined ? [] : [`${at}: ${wrong}`];
    }
    case "CHECK_AUTOTRUST":
      return checkAnchors(step, play).map((text) => `${at}: ${text}`);
    case "TRAFFIC":
    case "NOTHING":
      await world.clock.advance(1000);
      return [];
    case "CHECK_OUT_QUERY":
      if (step.entry === undefined) return [`${at}: nothing to look for`];
      return (await stage.waitForQuery(step.entry)) ? [] : [`${at}: no such query`];
    case "REPLY":
      if (step.entry === undefined) return [`${at}: nothing to reply`];
      await stage.waitForAnyQuery();
      return stage.reply(step.entry) ? [] : [`${at}: no query to reply to`];
    case "TIMEOUT":
      await stage.waitForAnyQuery();
      stage.dropQuery();
      await world.clock.advance(TIMEOUT_STEP_MS);
      return [];
    case "CHECK_QUERIES":
      return stage.checkQueries(step).map((text) => `${at}: ${text}`);
    default:
      return [`${at}: ${step.kind} is not known here`];
  }
}

async function passTime({ words }: ScenarioStep, { variables, world, isSleepy }: Play): Promise<string[]> {
  const [kind = "", ...rest] = words;
  if (kind !== "ELAPSE" && kind !== "EVAL") return ["cannot tell how long"];
  const seconds = variables.numberOf(rest.join(" "));
  if (!seconds.ok) return [seconds.problem];
  if (isSleepy) world.clock.sleep(seconds.value * 1000);
  else await world.clock.advance(seconds.value * 1000);
  return [];
}

function checkAnchors({ text }: ScenarioStep, { variables, points }: Play): string[] {
  const expected = variables.expand(text.replace(/^FILE_BEGIN\n/, ""));
  return expected.ok ? compareAnchors(expected.value, points()) : [expected.problem];
}

function clientOf({ words }: ScenarioStep): string {
  return words[0] === "ADDRESS" ? (words[1] ?? LOOPBACK) : LOOPBACK;
}

export function queryOf(entry: ScenarioEntry): Uint8Array {
  const message = messageOf(entry, undefined);
  const { options } = entry;
  const dnssecOk = entry.reply.has("DO");
  const hasEdns = dnssecOk || options.length > 0;
  const edns = hasEdns ? makeEdns({ dnssecOk, udpPayloadOctets: 4096, options }) : undefined;
  return encodeMessage({ ...message, isResponse: false, id: 0x1234, edns });
}

interface OpenQuery {
  readonly octets: Uint8Array;
  readonly transport: "udp" | "tcp";
  readonly send: (reply: Uint8Array) => void;
}

/** Addresses that a step tells the resolver: servers of later steps may be there. */
function addressesIn({ kind, entry }: ScenarioStep): string[] {
  if (kind !== "REPLY" || entry === undefined) return [];
  return [...entry.answers, ...entry.additionals]
    .filter(({ type }) => type === RRType.A || type === RRType.AAAA)
    .map(({ rdata }) => addressToText(rdata));
}

/** All servers of a scenario on one host. */
class Stage {
  step = 0;
  /** Deckard's ranges hold during the step that asks, testbound's during the one that waits. */
  queryStep = 0;
  readonly queries: ScenarioQuery[] = [];
  #counted = 0;
  readonly #scenario: Scenario;
  readonly #world: SimWorld;
  readonly #unmatched: Unmatched;
  /** Queries that nobody answered yet, oldest first. */
  readonly #open: OpenQuery[] = [];
  #found: OpenQuery | undefined = undefined;
  readonly #sockets: DatagramSocket[] = [];
  readonly #listeners: StreamListener[] = [];

  constructor(scenario: Scenario, world: SimWorld, unmatched: Unmatched) {
    this.#scenario = scenario;
    this.#world = world;
    this.#unmatched = unmatched;
  }

  async open(moreAddresses: readonly string[]): Promise<void> {
    const addresses = new Set([
      ...this.#scenario.ranges.flatMap((range) => range.addresses),
      ...this.#scenario.steps.flatMap(addressesIn),
      ...moreAddresses,
    ]);
    const network = this.#world.network.host([...addresses]);
    for (const address of addresses) await this.#listen(address, network);
  }

  beginQuery(step: number): void {
    this.queryStep = step;
    this.#counted = this.queries.length;
  }

  /** Counts queries since a client asked last: those to one server, and those that match the entry, if these are there (our extension). */
  checkQueries({ words: [least = "", most = least, only], entry }: ScenarioStep): string[] {
    const counted = this.queries.slice(this.#counted).filter(({ octets, transport, server }) => {
      if (only !== undefined && only !== server) return false;
      const query = tryDecodeMessage(octets);
      return entry === undefined || (query.ok && matches(entry, query.value, transport));
    });
    const isRight = counted.length >= Number(least) && counted.length <= Number(most);
    return isRight ? [] : [`servers got ${counted.length} queries, expected ${least} to ${most}`];
  }

  /** Lets time pass until a query came that the scenario looks for. */
  async waitForQuery(entry: ScenarioEntry): Promise<boolean> {
    for (let waitedMs = 0; waitedMs <= ANSWER_MS_MAX; waitedMs += WAIT_STEP_MS) {
      this.#found = this.#open.find(({ octets, transport }) => {
        const query = tryDecodeMessage(octets);
        return query.ok && matches(entry, query.value, transport);
      });
      if (this.#found !== undefined) return true;
      await this.#world.clock.advance(WAIT_STEP_MS);
    }
    return false;
  }

  /** Lets time pass until there is a query that nobody answered, though not for long. */
  async waitForAnyQuery(): Promise<void> {
    for (let waitedMs = 0; waitedMs < ANY_QUERY_MS_MAX; waitedMs += WAIT_STEP_MS) {
      if (this.#found !== undefined || this.#open.length > 0) return;
      await this.#world.clock.advance(WAIT_STEP_MS);
    }
  }

  /** Answers the query that was found, or the oldest. */
  reply(entry: ScenarioEntry): boolean {
    const open = this.#found ?? this.#open[0];
    const query = open && tryDecodeMessage(open.octets);
    this.dropQuery();
    if (open === undefined || query?.ok !== true) return false;
    open.send(entry.raw ?? encodeMessage(messageOf(entry, query.value)));
    return true;
  }

  /** Nobody will answer it. */
  dropQuery(): void {
    const open = this.#found ?? this.#open[0];
    this.#found = undefined;
    if (open !== undefined) this.#open.splice(this.#open.indexOf(open), 1);
  }

  async #listen(address: string, network: Network): Promise<void> {
    const local = { address, port: 53 };
    const socket: DatagramSocket = await network.bindDatagram(
      { local, connectTo: undefined, reusePort: false },
      {
        onMessage: (octets, from) => {
          this.#take(address, octets, "udp", (reply) => socket.send(reply, from));
        },
        onError: () => undefined,
      },
    );
    this.#sockets.push(socket);
    this.#listeners.push(
      await network.listen(
        { local, tls: undefined, handshakeTimeoutMs: 5000, reusePort: false },
        {
          onStream: (stream) => {
            const frames = new FrameReader();
            stream.setHandlers({
              onData: (octets) => {
                frames.push(octets, (message) => {
                  this.#take(address, message, "tcp", (reply) => stream.write(frameMessage(reply)));
                  return true;
                });
              },
              onEnd: () => stream.end(),
              onClose: () => undefined,
              onDrain: () => undefined,
            });
          },
          onFailure: () => undefined,
        },
      ),
    );
  }

  #take(
    address: string,
    octets: Uint8Array,
    transport: "udp" | "tcp",
    send: (reply: Uint8Array) => void,
  ): void {
    const copy = octets.slice();
    const reply = replyTo(
      this.#scenario,
      [this.step, this.queryStep],
      address,
      copy,
      transport,
      this.#unmatched,
    );
    this.queries.push({
      step: this.step,
      server: address,
      octets: copy,
      transport,
      isAnswered: reply !== undefined,
    });
    if (reply === undefined) this.#open.push({ octets: copy, transport, send });
    else if (reply.delayMs === 0) send(reply.octets);
    else this.#world.clock.startTimer("slow scenario server", reply.delayMs, () => send(reply.octets));
  }

  async close(): Promise<void> {
    await Promise.all([
      ...this.#sockets.map((socket) => socket.close()),
      ...this.#listeners.map((listener) => listener.close()),
    ]);
  }
}

const LOOPBACK = "127.0.0.1";
/** Longer than any resolution takes. */
const ANSWER_MS_MAX = 60_000;
const ANY_QUERY_MS_MAX = 2000;
const WAIT_STEP_MS = 50;
/** Longer than the patience with one server. */
const TIMEOUT_STEP_MS = 2000;
