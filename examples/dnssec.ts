/**
 * Validates answers itself and says why one is not believed (RFC 4035, RFC 8914). The server is trusted with nothing but transport.
 * Run: node --conditions=source examples/dnssec.ts "tls://dns.example?ip=192.0.2.53" NAME… [ANCHOR]
 */
import { rootAnchors, tryParseAnchor } from "@sotto/dns/dnssec";
import { StubResolver } from "@sotto/dns/stub";

const [upstream = "tls://dns.example?ip=192.0.2.53", ...names] = process.argv.slice(2);
const own = tryParseAnchor(names.at(-1) ?? "");
const validate = own.ok ? [own.value] : rootAnchors();
const stub = new StubResolver({ upstreams: [upstream], validate });
for (const name of own.ok ? names.slice(0, -1) : names) {
  const { security, records, extendedErrors } = await stub.query(name, "A");
  console.log(
    name,
    security,
    records.length,
    ...extendedErrors.map(({ code, text }) => `EDE ${code}: ${JSON.stringify(text)}`),
  );
}
await stub.close();
