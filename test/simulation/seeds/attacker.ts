/** The attacker's own server: it answers whatever it is asked, with authority, and leads to itself. */
import type { DatagramSocket, Network } from "@sotto/dns/runtime";
import {
  encodeMessage,
  MessageView,
  makeEdns,
  makeMessage,
  parseName,
  type ResourceRecord,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import { POISON } from "./lies.ts";

/** Opens it; gives what it says to each query, too. */
export async function openAttacker(
  network: Network,
  onSaid: (octets: Uint8Array) => void,
): Promise<() => Promise<void>> {
  const socket: DatagramSocket = await network.bindDatagram(
    { local: { address: POISON, port: 53 }, connectTo: undefined, reusePort: false },
    {
      onMessage: (octets, from) => {
        const reply = answerTo(octets);
        if (reply === undefined) return;
        onSaid(reply);
        socket.send(reply, from);
      },
      onError: () => undefined,
    },
  );
  return () => socket.close();
}

function answerTo(query: Uint8Array): Uint8Array | undefined {
  const view = new MessageView();
  if (view.reset(query) !== undefined || view.isResponse || view.questionCount !== 1) return undefined;
  const { id, question, hasEdns } = view;
  const record = (type: RRType, rdata: Uint8Array): ResourceRecord => ({
    owner: question.name,
    type,
    class: RRClass.IN,
    ttl: 86_400,
    rdata,
  });
  const here = record(RRType.A, Uint8Array.of(...POISON.split(".").map(Number)));
  const answers =
    question.type === RRType.A
      ? [here]
      : question.type === RRType.NS
        ? [record(RRType.NS, parseName("ns.attacker.invalid.").wire)]
        : [];
  return encodeMessage(
    makeMessage({
      id,
      isResponse: true,
      isAuthoritative: true,
      questions: [question],
      answers,
      edns: hasEdns ? makeEdns() : undefined,
    }),
  );
}
