/** Our server names itself to clients that know its address only, and our stub goes on over TLS (RFC 9462). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { StubResolver } from "@sotto/dns";
import { AUTH_NAME, DOMAIN, LOCAL_DATA, startServerFrom, writeIdentity } from "../interop/our-server.ts";
import { freePort, temporaryFolder } from "../interop/peers.ts";

test("a stub that knows an address finds TLS there, by the certificate for that address [rfc9462#4]", async (context) => {
  const folder = temporaryFolder(context);
  await writeIdentity(folder);
  const [port, tlsPort] = [await freePort(), await freePort()];
  await startServerFrom(
    context,
    folder,
    `listen:
  - { transport: udp, address: 127.0.0.1, port: ${port} }
  - { transport: tcp, address: 127.0.0.1, port: ${port} }
  - { transport: tls, address: 127.0.0.1, port: ${tlsPort}, certificate: server.pem, key: server.key }
ddr: { name: ${AUTH_NAME} }
${LOCAL_DATA}
`,
  );
  const address = { address: "127.0.0.1", port };
  const trustAnchorsPem = [readFileSync(join(folder, "ca.pem"), "utf8")];
  await using stub = new StubResolver({ upstreams: [{ ...address, trustAnchorsPem }] });
  const answer = await stub.query(`n1.${DOMAIN}`, "A");
  assert.equal(answer.authenticatedBy, "name 127.0.0.1");
  assert.equal(answer.exchange?.upstream.port, tlsPort);
});
