/**
 * Names of addresses, over TLS; the hosts file is asked first, as by `node:dns`.
 * Run: node --conditions=source examples/reverse.ts "tls://dns.example?ip=192.0.2.53" 192.0.2.1 2001:db8::1
 */
import { createDns } from "@sotto/dns/node-dns";

const [upstream = "tls://dns.example?ip=192.0.2.53", ...addresses] = process.argv.slice(2);
const { promises, close } = createDns({ upstreams: [upstream] });
for (const address of addresses)
  try {
    console.log(address, await promises.reverse(address));
  } catch (error) {
    console.log(error instanceof Error ? error.message : error);
  }
await close();
