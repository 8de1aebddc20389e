/**
 * An opportunistic stub takes the best way there is, and tells on `diagnostics_channel` what it finds and what becomes worse.
 * Run: node --conditions=source examples/opportunistic-events.ts 192.0.2.53 www.example
 */
import { subscribe } from "node:diagnostics_channel";
import { StubResolver } from "@sotto/dns/stub";

const [upstream = "192.0.2.53", name = "www.example"] = process.argv.slice(2);
for (const event of ["opened", "failed", "closed"])
  subscribe(`sotto:transport.connection.${event}`, (told) => console.log(event, told));
// A server that had proved its name and no longer does.
subscribe("sotto:transport.upstream.attack-suspected", (told) => console.log("attack?", told));

const stub = new StubResolver({ upstreams: [upstream], profile: "opportunistic" });
const { message, protection } = await stub.query(name, "A");
console.log(`rcode ${message.rcode}, ${protection}`);
await stub.close();
