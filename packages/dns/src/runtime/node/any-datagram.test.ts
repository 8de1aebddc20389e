import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { type TestContext, test } from "node:test";
import { DnsError } from "../dns-error.ts";
import type { DatagramHandlers, DatagramSocket } from "../network.ts";
import { openAnyDatagram } from "./any-datagram.ts";

/** Only Linux has all of 127.0.0.0/8 without configuration. */
const options = { skip: process.platform !== "linux", timeout: 10_000 };

const ALL = { local: { address: "0.0.0.0", port: 0 }, connectTo: undefined, reusePort: false };
/** Sends every datagram back by the socket that it came to. */
const ECHO: DatagramHandlers = {
  onMessage: (octets, from, via) => via.send(octets.slice(), from),
  onError: () => undefined,
};

async function listenOn(context: TestContext, addresses: readonly string[]): Promise<DatagramSocket> {
  const socket = await openAnyDatagram(ALL, ECHO, () => addresses);
  context.after(() => socket.close());
  return socket;
}

/** Who answers what is sent from 127.0.0.1 to this address. */
function answererOf(address: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const client = createSocket("udp4");
    client.on("message", (_octets, from) => {
      client.close();
      resolve(`${from.address} ${from.port}`);
    });
    client.bind({ address: "127.0.0.1", port: 0 }, () => client.send("?", port, address));
  });
}

test(
  "a listener on all addresses answers from the address that was asked [2181-4.1-a]",
  options,
  async (context) => {
    const { local } = await listenOn(context, ["127.0.0.1", "127.0.0.5", "127.0.0.6"]);
    assert.equal(local.address, "0.0.0.0");
    for (const address of ["127.0.0.5", "127.0.0.6", "127.0.0.1"])
      assert.equal(await answererOf(address, local.port), `${address} ${local.port}`);
    // An address that nobody knows of is answered too, from the one that the system prefers.
    assert.equal(await answererOf("127.0.0.7", local.port), `127.0.0.1 ${local.port}`);
  },
);

test("addresses come and go while it is open", options, async (context) => {
  const addresses = ["127.0.0.5"];
  const socket = await listenOn(context, addresses);
  const { port } = socket.local;
  // 192.0.2.77 cannot be had: the common socket stays for it.
  addresses.splice(0, 1, "127.0.0.8", "192.0.2.77");
  await socket.networkChanged?.();
  assert.equal(await answererOf("127.0.0.8", port), `127.0.0.8 ${port}`);
  assert.equal(await answererOf("127.0.0.5", port), `127.0.0.1 ${port}`);
});

test("a port that somebody else has is refused, not shared", options, async (context) => {
  const { local } = await listenOn(context, ["127.0.0.5"]);
  await assert.rejects(
    openAnyDatagram({ ...ALL, local }, ECHO, () => []),
    (error) => DnsError.is(error, "ERR_ADDRESS_IN_USE"),
  );
});
