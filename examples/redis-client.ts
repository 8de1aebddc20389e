/**
 * A Redis client that finds its server over TLS: clients that call `net.connect(host)` need nothing but the line at the top.
 * Run: node --conditions=source examples/redis-client.ts "tls://dns.example?ip=192.0.2.53" redis://cache.example:6379
 */
import { createClient } from "@redis/client";
import { install } from "@sotto/dns/node-dns";

const [upstream = "tls://dns.example?ip=192.0.2.53", url = "redis://cache.example:6379"] =
  process.argv.slice(2);
const installed = install({ upstreams: [upstream] });
const client = createClient({ url, socket: { reconnectStrategy: false } });
client.on("error", ({ message, cause }) => console.log(message, cause ?? ""));
await client.connect().then(
  async () => {
    console.log(await client.ping());
    await client.close();
  },
  () => undefined,
);
await installed.uninstall();
