/** Sockets that somebody else has bound, and datagrams to Unix sockets, within one process. Linux only. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { silentEvents } from "@sotto/dns/runtime";
import { nodeRuntime, sendUnixDatagram } from "@sotto/dns/runtime/node";
import { dualStackSocket, openNotifySocket } from "./foreign-sockets.test-support.ts";

const skip = process.platform === "linux" ? false : "sockets of Linux";

test("an inherited socket of both families answers over IPv4, too, and outlives its listener", {
  skip,
}, async (context) => {
  const inherited = dualStackSocket();
  context.after(() => inherited.close());
  const { network } = nodeRuntime(silentEvents);
  const client = createSocket("udp4");
  context.after(() => client.close());
  for (const round of ["first", "second"]) {
    const socket = await network.bindDatagram(
      {
        local: { address: "::", port: inherited.port },
        connectTo: undefined,
        reusePort: false,
        inheritedFd: inherited.fd,
      },
      {
        onMessage: (octets, from, via) =>
          via.send(Buffer.from(`${from.address} ${Buffer.from(octets).toString()}`), from),
        onError: (problem) => assert.fail(problem),
      },
    );
    assert.equal(socket.local.port, inherited.port);
    const answer = new Promise<string>((resolve) =>
      client.once("message", (octets) => resolve(octets.toString())),
    );
    client.send(round, inherited.port, "127.0.0.1");
    assert.equal(await answer, `127.0.0.1 ${round}`);
    await socket.close();
  }
});

test("what is no address of a Unix socket, or has no reader, is told", { skip }, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-unix-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const octets = Buffer.from("READY=1");
  for (const address of ["", "notify", "@", "vsock:2:1234", `/${"n".repeat(107)}`, "/run/a\0b"])
    assert.match((await sendUnixDatagram(address, octets)) ?? "", /is no address of a Unix socket$/, address);
  const path = join(folder, "notify");
  assert.match((await sendUnixDatagram(path, octets)) ?? "", /^the system did not send to /);
  const reader = openNotifySocket(path);
  context.after(() => reader.close());
  assert.equal(await sendUnixDatagram(path, octets), undefined);
  assert.equal(await reader.until(/READY/), "READY=1");
});
