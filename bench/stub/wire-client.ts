/** DNS over TLS as programs write it when a package does not do it: a connection for each question, closed after its reply. */
import { connect } from "node:tls";
import { decode, encode } from "dns-packet";

/** Rejects when the connection ends without a reply. */
export function askOnce(name: string, port: number, servername: string): Promise<readonly unknown[]> {
  const question = { type: "query", id: 0, flags: 0x0100, questions: [{ type: "A", name }], answers: [] };
  const message = encode(question);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, servername, ALPNProtocols: ["dot"] }).setNoDelay();
    let received = Buffer.alloc(0);
    socket.on("error", reject).on("close", () => reject(new Error("closed without a reply")));
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE()) return;
      resolve(decode(received.subarray(2)).answers);
      socket.end();
    });
    socket.write(Buffer.concat([Buffer.of(message.length >> 8, message.length & 0xff), message]));
  });
}
