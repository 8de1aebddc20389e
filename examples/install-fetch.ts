/**
 * One line, and everything in this process finds names over TLS: fetch, http, net, database clients. What fails tells why.
 * Run: node --conditions=source examples/install-fetch.ts "tls://dns.example?ip=192.0.2.53" https://www.example/
 */
import { install } from "@sotto/dns/node-dns";

const [upstream = "tls://dns.example?ip=192.0.2.53", url = "https://www.example/"] = process.argv.slice(2);
const installed = install({ upstreams: [upstream] });
try {
  const response = await fetch(url);
  console.log(response.status, (await response.text()).length);
} catch (error) {
  for (let at = error; at instanceof Error; at = at.cause) console.log(at.message);
}
// With `await using installed = install(…)` (Node 24) the process gets its own lookups back at the end of the block.
await installed.uninstall();
