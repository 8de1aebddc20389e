import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeCertificatePem, simRuntime } from "@sotto/dns/testing";
import { Exchanger } from "@sotto/dns/transport";
import { type Message, parseRecord, recordToText } from "@sotto/dns/wire";
import {
  FakeStreamServer,
  FakeUdpServer,
  IDENTITY,
  replyTo,
  requestOf,
  SERVER,
} from "../../../dns/src/transport/client-fakes.test-support.ts";
import { loadConfig } from "../config/index.ts";
import { startRecursor } from "./recursor-daemon.ts";

const STUB = "192.0.2.1";

/** The addresses that a stub gives for a name before and after the machine moved, and what its upstream would give. */
async function answersOver(profile: "strict" | "opportunistic", hasTls: boolean): Promise<string[]> {
  const loaded = loadConfig(
    `listen: [{ transport: udp, address: ${STUB} }]
access: { allow: [192.0.2.0/24] }
stub: { upstreams: ["tls://dns.example?ip=${SERVER.address}"], profile: ${profile} }
dnssec: { validation: false }
`,
    "stub.yaml",
    "stub",
  );
  assert.ok(loaded.ok);
  const world = simRuntime(1);
  let network = "first";
  let address = "203.0.113.66";
  const answer = (query: Message): Uint8Array =>
    replyTo(query, { answers: [parseRecord(`www.example. 86400 IN A ${address}`)] });
  const upstream = world.network.host([SERVER.address]);
  await FakeUdpServer.open(upstream, (query) => [answer(query)]);
  if (hasTls)
    await FakeStreamServer.open(upstream, (query, stream) => stream.reply(answer(query)), {
      certificatePem: fakeCertificatePem(IDENTITY),
    });
  const stub = await startRecursor(loaded.config, world.runtimeOf([STUB]), { lookAtNetwork: () => network });
  const client = new Exchanger({}, world.runtimeOf(["192.0.2.7"]));
  const ask = async (): Promise<string> => {
    const { message } = await world.clock.runUntil(
      client.exchange(
        requestOf(world, {
          server: { address: STUB, port: 53 },
          deadlineMs: world.clock.nowMs() + 20_000,
        }),
      ),
    );
    return message.answers.map((record) => recordToText(record).split("\t").at(-1)).join();
  };
  const told = [await ask()];
  address = "192.0.2.80";
  await world.clock.advance(60_000);
  told.push(await ask());
  network = "second";
  await world.clock.advance(60_000);
  told.push(await ask());
  await world.clock.runUntil(Promise.all([client.close(), stub.close()]));
  return told;
}

test("a stub that may take answers from anybody gives those of one network on no other", async () => {
  const moved = ["203.0.113.66", "203.0.113.66", "192.0.2.80"];
  assert.deepEqual(await answersOver("opportunistic", false), moved);
  assert.deepEqual(await answersOver("opportunistic", true), moved);
});

test("what a strict stub was told by its upstreams is as good everywhere", async () => {
  assert.deepEqual(await answersOver("strict", true), ["203.0.113.66", "203.0.113.66", "203.0.113.66"]);
});
