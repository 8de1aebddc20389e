/**
 * One deadline for everything that a question takes, connections and retries too; and an AbortSignal that gives it up at once.
 * Run: node --conditions=source examples/deadlines.ts "tls://dns.example?ip=192.0.2.53" silent.example
 */
import { DnsError } from "@sotto/dns/runtime";
import { StubResolver } from "@sotto/dns/stub";

const [upstream = "tls://dns.example?ip=192.0.2.53", name = "www.example"] = process.argv.slice(2);
const stub = new StubResolver({ upstreams: [upstream], timeoutMs: 3000 });
const told = (error: unknown): void => {
  if (!DnsError.is(error)) throw error;
  console.log(`${error.code}: ${error.message}`);
};

await stub.query(name, "A", { timeoutMs: 1000 }).catch(told);

const giveUp = new AbortController();
const answer = stub.query(name, "AAAA", { signal: giveUp.signal }).catch(told);
giveUp.abort();
await answer;
await stub.close();
