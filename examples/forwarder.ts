/**
 * A forwarder of library pieces: a UDP listener before a strict stub. Programs of the machine ask it in clear, and it asks over TLS.
 * (`sotto stub` is the one with limits, profiles and status.)
 * Run: node --conditions=source examples/forwarder.ts "tls://dns.example?ip=192.0.2.53" 5353
 */
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { StubResolver } from "@sotto/dns/stub";
import { UdpListener } from "@sotto/dns/transport";
import { encodeMessage, makeMessage, Rcode, tryDecodeMessage } from "@sotto/dns/wire";

const [upstream = "tls://dns.example?ip=192.0.2.53", port = "5353"] = process.argv.slice(2);
const stub = new StubResolver({ upstreams: [upstream] });
const failed = makeMessage({ rcode: Rcode.ServFail });

async function answer(octets: Uint8Array): Promise<Uint8Array | undefined> {
  const query = tryDecodeMessage(octets.slice());
  const question = query.ok ? query.value.questions[0] : undefined;
  if (!query.ok || question === undefined || query.value.isResponse) return undefined;
  const { id, questions, recursionDesired } = query.value;
  const asked = stub.query(question.name, question.type).then(({ message }) => message);
  const { rcode, answers, authorities } = await asked.catch(() => failed);
  const base = { id, questions, rcode, isResponse: true, recursionDesired, recursionAvailable: true };
  const reply = encodeMessage(makeMessage({ ...base, answers, authorities }));
  return reply.length <= 512 ? reply : encodeMessage(makeMessage({ ...base, isTruncated: true }));
}
const local = { address: "127.0.0.1", port: Number(port) };
const listener = await UdpListener.open({ local }, { answer }, nodeRuntime());
console.log("listening on", listener.local);
