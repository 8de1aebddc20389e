/** `sotto query` against Debian's servers: right answers over UDP, TCP and TLS, authenticated by name and by pin. */
import assert from "node:assert/strict";
import { ask } from "./ask-json.ts";
import { peerTest, temporaryFolder } from "./peers.ts";
import { FOREIGN_SERVERS, type ForeignServer, startForeignServer } from "./servers.ts";

const PROGRAMS = {
  unbound: "unbound",
  named: "named",
  nsd: "nsd",
  kresd: "kresd",
  dnsdist: "dnsdist",
} as const;
/** These forward; NSD answers behind them. */
const NEEDS_BACKEND: ReadonlySet<string> = new Set(["kresd", "dnsdist"]);

async function checkClear(server: ForeignServer): Promise<void> {
  const udp = await ask(server.port, ["www.interop.example", "A"]);
  assert.equal(udp.code, 0, udp.stderr);
  assert.equal(udp.replies[0]?.message.answerRRs?.length, 2);
  assert.equal(udp.replies[0]?.exchange.protection, "clear");
  const big = await ask(server.port, ["big.interop.example", "TXT"]);
  assert.equal(big.replies[0]?.exchange.retriedOverTcp, true, "a truncated reply is fetched over TCP");
  assert.equal(big.replies[0]?.message.answerRRs?.length, 1);
  const tcp = await ask(server.port, [
    "+tcp",
    "+keepopen",
    "www.interop.example",
    "A",
    "alias.interop.example",
    "A",
  ]);
  assert.equal(tcp.replies.length, 2);
  assert.equal(tcp.replies[1]?.message.answerRRs?.length, 3);
  const missing = await ask(server.port, ["missing.interop.example", "A"]);
  assert.equal(missing.code, 0);
  assert.equal(missing.replies[0]?.message.RCODE, 3);
}

async function checkTls(server: ForeignServer): Promise<void> {
  const byName = ["+tls", `+tls-ca=${server.caFile}`, `+tls-hostname=${server.authName}`];
  const named = await ask(server.tlsPort, [
    ...byName,
    "+keepopen",
    "www.interop.example",
    "A",
    "mail.interop.example",
    "MX",
  ]);
  assert.equal(named.code, 0, named.stderr);
  assert.equal(named.replies[0]?.exchange.protection, "authenticated");
  assert.match(named.replies[0]?.exchange.authenticatedBy ?? "", /server\.example/);
  assert.equal(named.replies[1]?.message.answerRRs?.length, 1);
  const pinned = await ask(server.tlsPort, [`+tls-pin=${server.pin}`, "www.interop.example"]);
  assert.equal(pinned.code, 0, pinned.stderr);
  assert.equal(pinned.replies[0]?.exchange.protection, "authenticated");
  const pipelined = await ask(server.tlsPort, [
    ...byName,
    "+pipeline",
    "www.interop.example",
    "mail.interop.example",
    "MX",
    "alias.interop.example",
    "big.interop.example",
    "TXT",
  ]);
  assert.equal(pipelined.code, 0, pipelined.stderr);
  assert.equal(pipelined.replies.length, 4);
  const wrongName = await ask(server.tlsPort, [
    "+tls",
    `+tls-ca=${server.caFile}`,
    "+tls-hostname=other.example",
    "www.interop.example",
  ]);
  assert.equal(wrongName.code, 20, "a server with another name is not asked");
  const wrongPin = await ask(server.tlsPort, [`+tls-pin=${"A".repeat(43)}=`, "www.interop.example"]);
  assert.equal(wrongPin.code, 20, "a server with another key is not asked");
}

for (const name of Object.keys(FOREIGN_SERVERS)) {
  if (!isForeign(name)) throw new Error(name);
  const programs = NEEDS_BACKEND.has(name) ? [PROGRAMS[name], "nsd"] : [PROGRAMS[name]];
  peerTest(`sotto query gets right answers from ${name} over UDP, TCP and TLS`, programs, async (context) => {
    const folder = temporaryFolder(context);
    const backend = NEEDS_BACKEND.has(name) ? await startForeignServer("nsd", folder) : undefined;
    try {
      const server = await startForeignServer(name, folder, backend?.port);
      try {
        await checkClear(server);
        await checkTls(server);
      } finally {
        await server.peer.stop();
      }
    } finally {
      await backend?.peer.stop();
    }
  });
}

function isForeign(name: string): name is keyof typeof FOREIGN_SERVERS {
  return Object.hasOwn(FOREIGN_SERVERS, name);
}
