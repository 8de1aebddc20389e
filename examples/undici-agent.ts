/**
 * An undici dispatcher that finds names over TLS: by `connect.lookup`, or by undici's own DNS cache, which keeps them by their TTL.
 * Run: node --conditions=source examples/undici-agent.ts "tls://dns.example?ip=192.0.2.53" http://www.example/
 */
import { createDns } from "@sotto/dns/node-dns";
import { Agent, interceptors, request } from "undici";

const [upstream = "tls://dns.example?ip=192.0.2.53", url = "http://www.example/"] = process.argv.slice(2);
const { lookup, lookupOrigin, close } = createDns({ upstreams: [upstream] });

const direct = new Agent({ connect: { lookup } });
const caching = new Agent().compose(interceptors.dns({ lookup: lookupOrigin }));
for (const dispatcher of [direct, caching]) {
  const { statusCode, body } = await request(url, { dispatcher });
  console.log(statusCode, await body.text());
  await dispatcher.close();
}
await close();
