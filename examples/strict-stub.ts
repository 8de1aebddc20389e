/**
 * A strict stub: nothing is asked but of a server that proves its name, and records come as typed fields.
 * Run: node --conditions=source examples/strict-stub.ts "tls://dns.example?ip=192.0.2.53" example.com
 */
import { StubResolver } from "@sotto/dns/stub";
import { addressToText } from "@sotto/dns/wire";

const [upstream = "tls://dns.example?ip=192.0.2.53", name = "example.com"] = process.argv.slice(2);
const stub = new StubResolver({ upstreams: [upstream] });

const { values, protection, authenticatedBy } = await stub.resolve(name, "A");
for (const { address } of values) console.log(addressToText(address));
console.log(`${stub.profile}: ${protection} by ${authenticatedBy}`);

const mail = await stub.resolve(name, "MX");
for (const { preference, exchange } of mail.values) console.log(preference, exchange.toString());
await stub.close();
