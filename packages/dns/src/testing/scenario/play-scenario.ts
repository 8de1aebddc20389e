/** Plays a scenario in virtual time: its servers on a simulated network, a resolver that is given to us before them. */
import type { DatagramSocket, Network, StreamListener } from "@sotto/dns/runtime";
import { encodeMessage, FrameReader, frameMessage, makeEdns, tryDecodeMessage } from "@sotto/dns/wire";
import type { SimWorld } from "../sim/sim-runtime.ts";
import { compareAnswer } from "./compare-answer.ts";
import type { Scenario, ScenarioEntry, ScenarioStep } from "./scenario.ts";
import { messageOf, replyTo, type Unmatched } from "./scenario-server.ts";

/** The resolver under test. */
export interface ScenarioSubject {
  /** Answers a client's message; undefined when it says nothing. */
  answer(query: Uint8Array): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}

/** One query that a server of the scenario got. */
export interface ScenarioQuery {
  readonly step: number;
  readonly server: string;
  readonly octets: Uint8Array;
  readonly isAnswered: boolean;
}

export interface ScenarioResult {
  /** Empty when the scenario passes; otherwise what was wrong at which step. */
  readonly problems: readonly string[];
  readonly queries: readonly ScenarioQuery[];
}

/** Plays all steps; ends at the first that fails. */
export async function playScenario(
  scenario: Scenario,
  world: SimWorld,
  makeSubject: () => Promise<ScenarioSubject>,
  unmatched: Unmatched = "silence",
): Promise<ScenarioResult> {
  const stage = new Stage(scenario, world, unmatched);
  await stage.open();
  const subject = await makeSubject();
  const pending: Promise<Uint8Array | undefined>[] = [];
  const problems: string[] = [];
  try {
    for (const step of scenario.steps) {
      stage.step = step.number;
      const problem = await playStep(step, subject, pending, world);
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

async function playStep(
  step: ScenarioStep,
  subject: ScenarioSubject,
  pending: Promise<Uint8Array | undefined>[],
  world: SimWorld,
): Promise<string[]> {
  const at = `step ${step.number} (line ${step.line})`;
  switch (step.kind) {
    case "QUERY":
      if (step.entry === undefined) return [`${at}: nothing to ask`];
      pending.push(subject.answer(queryOf(step.entry)));
      return [];
    case "CHECK_ANSWER": {
      const next = pending.shift();
      if (next === undefined || step.entry === undefined) return [`${at}: nothing to check`];
      const octets = await world.clock.runUntil(next, ANSWER_MS_MAX);
      if (octets === undefined) return [`${at}: no answer`];
      const message = tryDecodeMessage(octets);
      if (!message.ok) return [`${at}: ${message.problem}`];
      return compareAnswer(step.entry, message.value).map((text) => `${at}: ${text}`);
    }
    case "TIME_PASSES": {
      const seconds = Number(step.words.at(-1));
      if (step.words[0] !== "ELAPSE" || !Number.isFinite(seconds)) return [`${at}: cannot tell how long`];
      await world.clock.advance(seconds * 1000);
      return [];
    }
    case "TRAFFIC":
    case "NOTHING":
      await world.clock.advance(1000);
      return [];
    default:
      return [`${at}: ${step.kind} is not known here`];
  }
}

function queryOf(entry: ScenarioEntry): Uint8Array {
  const message = messageOf(entry, undefined);
  const edns = entry.reply.has("DO") ? makeEdns({ dnssecOk: true, udpPayloadOctets: 4096 }) : undefined;
  return encodeMessage({ ...message, isResponse: false, id: 0x1234, edns });
}

/** All servers of a scenario on one host. */
class Stage {
  step = 0;
  readonly queries: ScenarioQuery[] = [];
  readonly #scenario: Scenario;
  readonly #world: SimWorld;
  readonly #unmatched: Unmatched;
  readonly #sockets: DatagramSocket[] = [];
  readonly #listeners: StreamListener[] = [];

  constructor(scenario: Scenario, world: SimWorld, unmatched: Unmatched) {
    this.#scenario = scenario;
    this.#world = world;
    this.#unmatched = unmatched;
  }

  async open(): Promise<void> {
    const addresses = new Set(this.#scenario.ranges.flatMap((range) => range.addresses));
    const network = this.#world.network.host([...addresses]);
    for (const address of addresses) await this.#open(address, network);
  }

  async #open(address: string, network: Network): Promise<void> {
    const local = { address, port: 53 };
    const socket: DatagramSocket = await network.bindDatagram(
      { local, connectTo: undefined, reusePort: false },
      {
        onMessage: (octets, from) => {
          const reply = this.#reply(address, octets, "udp");
          if (reply !== undefined) socket.send(reply, from);
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
                  const reply = this.#reply(address, message, "tcp");
                  if (reply !== undefined) stream.write(frameMessage(reply));
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

  #reply(address: string, octets: Uint8Array, transport: "udp" | "tcp"): Uint8Array | undefined {
    const copy = octets.slice();
    const reply = replyTo(this.#scenario, this.step, address, copy, transport, this.#unmatched);
    this.queries.push({ step: this.step, server: address, octets: copy, isAnswered: reply !== undefined });
    return reply;
  }

  async close(): Promise<void> {
    await Promise.all([
      ...this.#sockets.map((socket) => socket.close()),
      ...this.#listeners.map((listener) => listener.close()),
    ]);
  }
}

/** Longer than any resolution takes. */
const ANSWER_MS_MAX = 60_000;
