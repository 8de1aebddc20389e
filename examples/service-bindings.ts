/**
 * HTTPS and SVCB records (RFC 9460): what a server speaks, on which port, where, before the first connection.
 * Run: node --conditions=source examples/service-bindings.ts "tls://dns.example?ip=192.0.2.53" www.example _dns.resolver.example
 */
import { createDns } from "@sotto/dns/node-dns";

const [upstream = "tls://dns.example?ip=192.0.2.53", web = "www.example", service = "_dns.resolver.example"] =
  process.argv.slice(2);
const { promises, close } = createDns({ upstreams: [upstream] });

for (const { priority, target, alpn, port, ipv4hint, ipv6hint } of await promises.resolveHttps(web))
  console.log(priority, target || web, alpn?.join(), port ?? 443, ipv4hint, ipv6hint);
for (const binding of await promises.resolveSvcb(service)) console.log(binding);
await close();
