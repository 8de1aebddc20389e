/**
 * Pins: the server must have one of these keys, whatever name and authority its certificate has. Always pin a second key too, which
 * the operator keeps for the day when the first one must go (RFC 7858 §4.2).
 * Run: node --conditions=source examples/pins.ts 192.0.2.53 853 PIN BACKUP-PIN www.example
 */
import { DnsError } from "@sotto/dns/runtime";
import { StubResolver } from "@sotto/dns/stub";

const [address = "192.0.2.53", port = "853", pin = "", backup = "", name = "www.example"] =
  process.argv.slice(2);
const stub = new StubResolver({ upstreams: [{ address, port: Number(port), pins: [pin, backup] }] });
try {
  const { records, protection, authenticatedBy } = await stub.query(name, "AAAA");
  console.log(`${records.length} addresses, ${protection} by ${authenticatedBy}`);
} catch (error) {
  if (!DnsError.is(error)) throw error;
  // Tells the pin that the server has.
  console.log(`${error.code} at stage ${error.stage}: ${error.message}`);
}
await stub.close();
