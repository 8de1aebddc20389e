/**
 * DANE: TLSA records, validated here, say which key the server must have (RFC 8310 §8.2). `prefer`: where there are some; `only`:
 * nobody is believed without.
 * Run: node --conditions=source examples/dane.ts "tls://dns.example?ip=192.0.2.53" prefer www.example [ANCHOR]
 */
import { rootAnchors, tryParseAnchor } from "@sotto/dns/dnssec";
import { DnsError } from "@sotto/dns/runtime";
import { StubResolver } from "@sotto/dns/stub";

const [upstream = "tls://dns.example?ip=192.0.2.53", mode = "only", name = "www.example", anchor = ""] =
  process.argv.slice(2);
const own = tryParseAnchor(anchor);
const stub = new StubResolver({
  upstreams: [`${upstream}&dane=${mode}`],
  trustAnchors: own.ok ? [own.value] : rootAnchors(),
});
try {
  const { protection, authenticatedBy } = await stub.query(name, "A");
  console.log(`${protection} by ${authenticatedBy}`);
} catch (error) {
  if (!DnsError.is(error)) throw error;
  console.log(`${error.code} at stage ${error.stage}: ${error.message}`);
}
await stub.close();
