/**
 * A port where SYN gets no answer, without privileges: a listener with a short queue that is full and that nobody ever
 * accepts from. The kernel then drops what comes, as a packet filter would. It needs a thread, because Node accepts at once.
 */
import { connect, type Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { DnsError } from "@sotto/dns/runtime";

export interface UnacceptedPort {
  readonly port: number;
  close(): Promise<void>;
}

/** Opens it and fills its queue; port 0 for a free one. Rejects with ERR_ADDRESS_IN_USE or ERR_SYSTEM. */
export async function openUnacceptedPort(address: string, port: number): Promise<UnacceptedPort> {
  const worker = new Worker(LISTENER, { eval: true, workerData: { address, port } });
  const fillers: Socket[] = [];
  const close = async (): Promise<void> => {
    for (const socket of fillers) socket.destroy();
    await worker.terminate();
  };
  try {
    const answer = await new Promise<number | string>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    if (typeof answer === "string")
      throw new DnsError(
        answer === "EADDRINUSE" ? "ERR_ADDRESS_IN_USE" : "ERR_SYSTEM",
        `cannot listen on ${address} port ${port}: ${answer}; another range: --port-base PORT`,
      );
    // Those beyond the queue hang, and are left hanging.
    for (let i = 0; i < FILLERS; i++) {
      const socket = connect({ host: address, port: answer });
      socket.on("error", () => undefined);
      fillers.push(socket);
      if (i < QUEUE_FULL) await new Promise((resolve) => socket.once("connect", resolve));
    }
    return { port: answer, close };
  } catch (error) {
    await close();
    throw error;
  }
}

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
