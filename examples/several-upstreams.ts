/**
 * Several upstreams, the fastest first; those that fail are left alone for a while, and all of them tell how they are.
 * Run: node --conditions=source examples/several-upstreams.ts NAME UPSTREAM UPSTREAM…
 */
import { StubResolver } from "@sotto/dns/stub";

const [name = "www.example", ...upstreams] = process.argv.slice(2);
// Also: "ordered", the default, and "round-robin".
const stub = new StubResolver({ upstreams, choice: "fastest", cacheBytesMax: 0 });
for (let i = 0; i < 3; i++) {
  const { exchange, protection } = await stub.query(name, "A");
  console.log(
    `${exchange?.upstream.address}: ${protection}, connection reused: ${exchange?.connectionReused}`,
  );
}
for (const { upstream, state, replies, failures, lastFailure } of stub.upstreams)
  console.log(`${upstream.endpoint?.port} ${state} ${replies}/${failures} ${lastFailure?.problem ?? ""}`);
await stub.close();
