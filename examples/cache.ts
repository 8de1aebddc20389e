/**
 * Answers are kept by their TTL in a budget of bytes; names can be forgotten, and the cache can be left out.
 * Run: node --conditions=source examples/cache.ts "tls://dns.example?ip=192.0.2.53" www.example
 */
import { StubResolver } from "@sotto/dns/stub";

const [upstream = "tls://dns.example?ip=192.0.2.53", name = "www.example"] = process.argv.slice(2);
const cached = new StubResolver({ upstreams: [upstream], cacheBytesMax: 1024 * 1024 });
const uncached = new StubResolver({ upstreams: [upstream], cacheBytesMax: 0 });
const ask = async (stub: StubResolver): Promise<void> => {
  const { isFromCache, ttlSeconds } = await stub.query(name, "A");
  console.log(isFromCache ? "from the cache" : "asked", ttlSeconds > 0);
};

await ask(cached);
await ask(cached);
cached.flush(name);
await ask(cached);
await ask(uncached);
await ask(uncached);
await Promise.all([cached.close(), uncached.close()]);
