/** Asks a daemon under test over UDP, as the programs of a machine would. */
import type { Clock, DatagramSocket, Endpoint, Runtime } from "@sotto/dns/runtime";
import {
  encodeMessage,
  MessageView,
  makeEdns,
  makeMessage,
  parseName,
  Rcode,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import type { ClientProcess } from "./child-process.ts";

/** One question to a daemon. */
interface DaemonQuestion {
  readonly name: string;
  /** From the start of asking, milliseconds. */
  readonly atMs: number;
}

/** A port that is free for UDP at this moment. Rejects with what the network rejects with. */
export async function freeUdpPort(address: string, runtime: Runtime): Promise<number> {
  const socket = await runtime.network.bindDatagram(
    { local: { address, port: 0 }, connectTo: undefined, reusePort: false },
    { onMessage: () => undefined, onError: () => undefined },
  );
  const { port } = socket.local;
  await socket.close();
  return port;
}

/** Waits until something listens there; false when the process is gone or {@link READY_LIMIT_MS} have passed. */
export async function waitForDaemon(
  to: Endpoint,
  process: ClientProcess,
  runtime: Runtime,
): Promise<boolean> {
  const { clock } = runtime;
  const limitMs = clock.nowMs() + READY_LIMIT_MS;
  while (!process.isGone && clock.nowMs() < limitMs) {
    if (await hasListener(to, runtime)) return true;
    await pause(clock, READY_POLL_MS);
  }
  return false;
}

/** One octet is no message that anybody would pass on; where nobody listens the system says so at once. */
async function hasListener(to: Endpoint, runtime: Runtime): Promise<boolean> {
  let isRefused = false;
  const socket = await connected(to, runtime, {
    onMessage: () => undefined,
    onError: () => {
      isRefused = true;
    },
  });
  socket.send(Uint8Array.of(0), to);
  await pause(runtime.clock, READY_POLL_MS);
  await socket.close();
  return !isRefused;
}

/** Asks all, each at its time, and tells how many got an answer with records within {@link ANSWER_LIMIT_MS}. */
export async function askDaemon(
  to: Endpoint,
  questions: readonly DaemonQuestion[],
  runtime: Runtime,
): Promise<number> {
  const answers = await Promise.all(questions.map((question, i) => askOne(to, question, i + 1, runtime)));
  return answers.filter((isAnswered) => isAnswered).length;
}

async function askOne(
  to: Endpoint,
  { name, atMs }: DaemonQuestion,
  id: number,
  runtime: Runtime,
): Promise<boolean> {
  await pause(runtime.clock, atMs);
  const query = encodeMessage(
    makeMessage({
      id,
      recursionDesired: true,
      questions: [{ name: parseName(name), type: RRType.A, class: RRClass.IN }],
      edns: makeEdns({}),
    }),
  );
  let heard: (isAnswered: boolean) => void = () => undefined;
  const answer = new Promise<boolean>((resolve) => {
    heard = resolve;
  });
  const socket = await connected(to, runtime, {
    onMessage: (octets) => {
      const view = new MessageView();
      const isRight = view.reset(octets.slice()) === undefined && view.isResponse && view.id === id;
      if (isRight) heard(view.rcode === Rcode.NoError && view.answerCount > 0);
    },
    onError: () => heard(false),
  });
  const timer = runtime.clock.startTimer("probe-client-answer", ANSWER_LIMIT_MS, () => heard(false));
  socket.send(query, to);
  const isAnswered = await answer;
  timer.cancel();
  await socket.close();
  return isAnswered;
}

async function connected(
  to: Endpoint,
  { network }: Runtime,
  handlers: Parameters<Runtime["network"]["bindDatagram"]>[1],
): Promise<DatagramSocket> {
  const local = { address: to.address, port: 0 };
  return await network.bindDatagram({ local, connectTo: to, reusePort: false }, handlers);
}

/** Lets time pass. */
export function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => void clock.startTimer("probe-client-pause", delayMs, resolve));
}

/** A program that starts slowly on a busy machine. */
const READY_LIMIT_MS = 10_000;
const READY_POLL_MS = 30;
/** Longer than most stubs try. */
const ANSWER_LIMIT_MS = 6000;
