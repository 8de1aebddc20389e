/**
 * A program as it was written for `node:dns`; only the import is another one. Servers with a name are asked over TLS only.
 * Run: node --conditions=source examples/node-dns-program.ts "tls://dns.example?ip=192.0.2.53" example.com
 */
import dns from "@sotto/dns/node-dns";

const [server = "tls://dns.example?ip=192.0.2.53", name = "example.com"] = process.argv.slice(2);
dns.setServers([server]);

dns.resolveMx(name, (error, exchangers) => {
  if (error) return console.log(error.message);
  for (const { priority, exchange } of exchangers) console.log(priority, exchange);
});
dns.resolve4(name, { ttl: true }, (error, addresses) => {
  if (error) return console.log(error.message);
  for (const { address, ttl } of addresses) console.log(address, ttl);
});
dns.lookup(`absent.${name}`, (error) => console.log(error?.message));
