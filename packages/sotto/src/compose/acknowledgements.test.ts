import assert from "node:assert/strict";
import { test } from "node:test";
import type { Network } from "@sotto/dns/runtime";
import { fakeCertificatePem, simRuntime } from "@sotto/dns/testing";
import { Exchanger } from "@sotto/dns/transport";
import {
  FakeStreamServer,
  IDENTITY,
  replyTo,
  requestOf,
  SERVER,
} from "../../../dns/src/transport/client-fakes.test-support.ts";
import { loadConfig } from "../config/index.ts";
import { startRecursor } from "./recursor-daemon.ts";

const OWN = "192.0.2.1";

/** What a program asks of its connections to whoever it forwards to. */
async function acknowledgesOf(program: "stub" | "serve", settings: string, isTls: boolean): Promise<unknown> {
  const text = `listen: [{ transport: udp, address: ${OWN} }]
access: { allow: [192.0.2.0/24] }
dnssec: { validation: false }
${settings}
`;
  const loaded = loadConfig(text, `${program}.yaml`, program);
  assert.ok(loaded.ok, JSON.stringify(loaded));
  const world = simRuntime(1);
  await FakeStreamServer.open(
    world.network.host([SERVER.address]),
    (query, stream) => stream.reply(replyTo(query)),
    isTls ? { certificatePem: fakeCertificatePem(IDENTITY) } : undefined,
  );
  const real = world.runtimeOf([OWN]);
  const asked: unknown[] = [];
  const network: Network = {
    connect: (options) => {
      asked.push(options.acknowledges);
      return real.network.connect(options);
    },
    listen: real.network.listen.bind(real.network),
    bindDatagram: real.network.bindDatagram.bind(real.network),
  };
  const daemon = await startRecursor(loaded.config, { ...real, network });
  const client = new Exchanger({}, world.runtimeOf(["192.0.2.7"]));
  await world.clock.runUntil(
    client.exchange(
      requestOf(world, {
        server: { address: OWN, port: 53 },
        deadlineMs: world.clock.nowMs() + 20_000,
      }),
    ),
  );
  await world.clock.runUntil(Promise.all([client.close(), daemon.close()]));
  return asked;
}

// A and AAAA of one name leave in one write; Unbound and BIND keep the second answer until the first one is acknowledged.
test("what upstreams over TCP and TLS have sent is acknowledged at once", async () => {
  const stub = `stub: { upstreams: ["tls://dns.example?ip=${SERVER.address}"], profile: strict }`;
  const forward = `forward-zones: [{ name: ".", upstreams: ["tcp://${SERVER.address}"] }]`;
  assert.deepEqual(await acknowledgesOf("stub", stub, true), [true]);
  assert.deepEqual(await acknowledgesOf("serve", forward, false), [true]);
});
