/** The library in a process of its own: answers UDP queries on a port of 127.0.0.1 with what a `StubResolver` says. */
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { StubResolver } from "@sotto/dns/stub";
import { encodeMessage, type Message, makeMessage, Rcode, tryDecodeMessage } from "@sotto/dns/wire";

interface Options {
  readonly port: number;
  readonly addresses: readonly string[];
  readonly authorityFile: string;
  readonly pins: readonly string[];
  readonly name: string;
}

// Written so by recovery-programs.ts.
const { port, addresses, authorityFile, pins, name } = JSON.parse(process.argv[2] ?? "") as Options;
const trustAnchorsPem = [readFileSync(authorityFile, "utf8")];
const stub = new StubResolver({
  upstreams: addresses.map((address) => ({ address, name, pins, trustAnchorsPem })),
  profile: "strict",
});
const socket = createSocket("udp4");
socket.on("message", (octets, from) => {
  const query = tryDecodeMessage(octets);
  const [question] = query.ok ? query.value.questions : [];
  if (!query.ok || question === undefined) return;
  const { id } = query.value;
  const send = (rcode: Rcode, answers: Message["answers"] = []): void => {
    const message = makeMessage({ id, isResponse: true, rcode, questions: [question], answers });
    socket.send(encodeMessage(message), from.port, from.address);
  };
  stub.query(question.name, question.type).then(
    ({ message }) => send(message.rcode, message.answers),
    () => send(Rcode.ServFail),
  );
});
socket.bind(port, "127.0.0.1");
