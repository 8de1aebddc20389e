/** `sotto serve` as a process: answers, reloads, refuses broken configurations, and ends without losing a query. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { Exchanger } from "@sotto/dns/transport";
import { Rcode } from "@sotto/dns/wire";
import { addressOf, askServer, LISTENERS, ServeProcess } from "./serve-process.test-support.ts";

function configText(record: string, allow = "127.0.0.0/8"): string {
  return `${LISTENERS}access: { allow: [${allow}] }
local-zones: { data: ["${record}"] }
log: { format: json }
`;
}

async function withServer(
  context: TestContext,
  text: string,
  run: (server: ServeProcess, file: string) => Promise<void>,
  flags?: readonly string[],
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "sotto-serve-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "sotto.yaml");
  writeFileSync(file, text);
  const server = new ServeProcess(file, flags);
  try {
    await server.line("ready");
    await run(server, file);
  } finally {
    await server.end();
  }
}

test("serves UDP, TCP and TLS; the certificate it made itself is authenticated by the pin it printed [7766-5-a 9210-3-a 8310-4-a 8310-4-b]", (context) =>
  withServer(context, configText("www.corp.example. 300 IN A 192.0.2.1"), async (server) => {
    const exchanger = new Exchanger({}, nodeRuntime());
    assert.equal(addressOf(await askServer(exchanger, server, "udp")), "192.0.2.1");
    assert.equal(addressOf(await askServer(exchanger, server, "tcp")), "192.0.2.1");
    const secure = await askServer(exchanger, server, "tls", server.pin);
    assert.equal(addressOf(secure), "192.0.2.1");
    assert.equal(secure.facts.protection, "authenticated");
    await assert.rejects(askServer(exchanger, server, "tls", `${"A".repeat(43)}=`), {
      code: "ERR_TLS_NOT_AUTHENTICATED",
    });
    await exchanger.close();
  }));

test("SIGHUP takes over a new configuration and keeps listeners and their connections", (context) =>
  withServer(context, configText("www.corp.example. 300 IN A 192.0.2.1"), async (server, file) => {
    const exchanger = new Exchanger({}, nodeRuntime());
    const port = server.port("tcp");
    assert.equal(addressOf(await askServer(exchanger, server, "tcp")), "192.0.2.1");
    writeFileSync(file, configText("www.corp.example. 300 IN A 192.0.2.2"));
    const from = server.lines.length;
    server.process.kill("SIGHUP");
    await server.line("reloaded", from);
    const after = await askServer(exchanger, server, "tcp");
    assert.equal(server.port("tcp"), port);
    assert.equal(addressOf(after), "192.0.2.2");
    assert.equal(after.facts.connectionReused, true);
    await exchanger.close();
  }));

test("a broken configuration is refused at reload and the old one stays", (context) =>
  withServer(context, configText("www.corp.example. 300 IN A 192.0.2.1"), async (server, file) => {
    const exchanger = new Exchanger({}, nodeRuntime());
    writeFileSync(file, "lisen: []\n");
    server.process.kill("SIGHUP");
    const refused = await server.line("reload refused");
    assert.match(String(refused["msg"]), /sotto\.yaml:1: lisen: unknown key, did you mean "listen"\?/);
    assert.equal(addressOf(await askServer(exchanger, server, "udp")), "192.0.2.1");
    await exchanger.close();
  }));

test("a reload that is refused because of a state file has opened and closed no listener", (context) =>
  withServer(context, configText("www.corp.example. 300 IN A 192.0.2.1"), async (server, file) => {
    const exchanger = new Exchanger({}, nodeRuntime());
    const tcp = server.port("tcp");
    writeFileSync(`${file}.anchors`, "no anchors\n");
    const text = `listen: [{ transport: tcp, address: 127.0.0.2, port: ${tcp} }]\ndnssec: { anchor-state: sotto.yaml.anchors }\n`;
    writeFileSync(file, text);
    server.process.kill("SIGHUP");
    const refused = await server.line("reload refused");
    assert.match(String(refused["error"]), /sotto\.yaml\.anchors: .*; repair or remove it/);
    for (const transport of ["udp", "tcp"] as const)
      assert.equal(addressOf(await askServer(exchanger, server, transport)), "192.0.2.1", transport);
    const elsewhere = connect({ host: "127.0.0.2", port: tcp });
    await assert.rejects(once(elsewhere, "connect"), { code: "ECONNREFUSED" });
    await exchanger.close();
  }));

test("a client outside the access list is refused on every transport, after a reload too [7766-10-b 9210-4.1-c]", (context) =>
  withServer(context, configText("www.corp.example. 300 IN A 192.0.2.1", "192.0.2.0/24"), async (server) => {
    const exchanger = new Exchanger({}, nodeRuntime());
    for (const transport of ["udp", "tcp"] as const)
      assert.equal((await askServer(exchanger, server, transport)).message.rcode, Rcode.Refused, transport);
    await exchanger.close();
  }));

test("SIGTERM ends the process with exit code 0 although a client is connected", (context) =>
  withServer(context, configText("www.corp.example. 300 IN A 192.0.2.1"), async (server) => {
    const exchanger = new Exchanger({}, nodeRuntime());
    await askServer(exchanger, server, "tcp");
    server.process.kill("SIGTERM");
    assert.equal(await server.ended, 0);
    assert.equal(server.lines.at(-1)?.["msg"], "ended");
    await exchanger.close();
  }));

test("a wrong configuration stops the start with every problem and exit code 2", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-serve-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "sotto.yaml");
  writeFileSync(file, "cache: { sise: 1MiB }\nlog: { level: loud }\n");
  const server = new ServeProcess(file);
  assert.equal(await server.ended, 2);
  assert.equal(server.lines.length, 2);
});

for (const [title, flags, engine] of [
  ["the native engine serves on all transports", [], "native"],
  [
    "without permission for foreign functions Node's own sockets serve, and the log says so",
    ["--permission", "--allow-fs-read=*", "--allow-fs-write=*", "--allow-net"],
    "node",
  ],
] as const) {
  test(title, { skip: process.platform === "linux" ? false : "Linux only" }, async (context) => {
    const text = `engine: native\n${configText("www.corp.example. 300 IN A 192.0.2.80")}`;
    const told = engine === "native" ? "listeners are on the native engine" : "runtime.engine-unavailable";
    const run = async (server: ServeProcess): Promise<void> => {
      assert.equal((await server.line(told))["engine"], engine);
      const exchanger = new Exchanger({}, nodeRuntime());
      for (const transport of ["udp", "tcp", "tls"] as const) {
        const { message } = await askServer(exchanger, server, transport);
        assert.equal(message.rcode, Rcode.NoError, transport);
      }
      await exchanger.close();
    };
    await withServer(context, text, run, flags);
  });
}
