/**
 * A port where SYN gets no answer, without privileges: a listener with a short queue that is full and that nobody ever
 * accepts from. The kernel then drops what comes, as a packet filter would. It needs a thread, because Node accepts at once.
 */
import { connect, type Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { type Clock, DnsError, type Timer } from "@sotto/dns/runtime";

export interface UnacceptedPort {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Opens it and fills its queue; port 0 for a free one. Rejects with ERR_ADDRESS_IN_USE or ERR_SYSTEM, within
 * {@link OPEN_LIMIT_MS}. `listener` is what its thread runs; tests have others.
 */
export async function openUnacceptedPort(
  address: string,
  port: number,
  clock: Clock,
  listener = LISTENER,
): Promise<UnacceptedPort> {
  const worker = new Worker(listener, { eval: true, workerData: { address, port } });
  const fillers: Socket[] = [];
  const close = async (): Promise<void> => {
    for (const socket of fillers) socket.destroy();
    await worker.terminate();
  };
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = clock.startTimer("testserver-unaccepted", OPEN_LIMIT_MS, () =>
      reject(cannotListen(address, port, `not ready within ${OPEN_LIMIT_MS / 1000} s`)),
    );
  });
  try {
    const open = async (): Promise<number> => {
      const opened = await listeningPort(worker, address, port);
      await fillQueue(address, opened, fillers);
      return opened;
    };
    return { port: await Promise.race([open(), late]), close };
  } catch (error) {
    // Also what is still under way ends with it.
    await close();
    throw error;
  } finally {
    timer?.cancel();
  }
}

/** What the thread says, or why it says nothing. */
async function listeningPort(worker: Worker, address: string, port: number): Promise<number> {
  const answer = await new Promise<unknown>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", (cause) =>
      reject(cannotListen(address, port, cause instanceof Error ? cause.message : String(cause))),
    );
    worker.once("exit", () => reject(cannotListen(address, port, "its thread ended")));
  });
  if (typeof answer === "number") return answer;
  throw cannotListen(address, port, String(answer));
}

/** Those beyond the queue hang, and are left hanging. */
async function fillQueue(address: string, port: number, fillers: Socket[]): Promise<void> {
  for (let i = 0; i < FILLERS; i++) {
    const socket = connect({ host: address, port });
    fillers.push(socket);
    let problem = "closed";
    socket.on("error", (error: NodeJS.ErrnoException) => {
      problem = error.code ?? error.message;
    });
    if (i >= QUEUE_FULL) continue;
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("close", () =>
        reject(new DnsError("ERR_SYSTEM", `cannot fill the queue of ${address} port ${port}: ${problem}`)),
      );
    });
  }
}

function cannotListen(address: string, port: number, why: string): DnsError {
  return new DnsError(
    why === "EADDRINUSE" ? "ERR_ADDRESS_IN_USE" : "ERR_SYSTEM",
    `cannot listen on ${address} port ${port}: ${why}; another range: --port-base PORT`,
  );
}

/** For a thread to start on a busy machine, and for two connections on the same one. */
const OPEN_LIMIT_MS = 10_000;
/** Linux takes one more than the backlog of 1 into the queue. */
const QUEUE_FULL = 2;
const FILLERS = 3;

/** Listens, says where, and sleeps for ever before the first connection could be accepted. */
const LISTENER = `
const { createServer } = require("node:net");
const { parentPort, workerData } = require("node:worker_threads");
const server = createServer();
server.on("error", (error) => parentPort.postMessage(error.code));
server.listen({ host: workerData.address, port: workerData.port, backlog: 1 }, () => {
  parentPort.postMessage(server.address().port);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
`;
