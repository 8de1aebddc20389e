/** Asks a DNS over TLS server that must prove its key by a pin, and prints what it said and what protected it. */
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { Exchanger } from "@sotto/dns/transport";
import { makeEdns, parseName, RRClass, RRType, recordToText } from "@sotto/dns/wire";

const [address = "192.0.2.53", port = "853", pin = "", question = "www.example."] = process.argv.slice(2);
const runtime = nodeRuntime();
const exchanger = new Exchanger({}, runtime);
const { message, facts } = await exchanger.exchange({
  question: { name: parseName(question), type: RRType.A, class: RRClass.IN },
  server: { address, port: Number(port) },
  transport: "tls",
  tls: {
    serverName: undefined,
    authName: undefined,
    pins: [pin],
    trustAnchorsPem: undefined,
    authenticate: "required",
  },
  edns: makeEdns(),
  recursionDesired: true,
  checkingDisabled: false,
  authenticData: false,
  deadlineMs: runtime.clock.nowMs() + 5000,
});
console.log(message.answers.map(recordToText).join("\n"));
console.log(facts.protection, facts.authenticatedBy);
await exchanger.close();
