import assert from "node:assert/strict";
import { test } from "node:test";
import type { ByteStream, Network, StreamListener } from "@sotto/dns/runtime";
import { type FakeIdentity, fakeCertificatePem, type SimWorld, simRuntime } from "@sotto/dns/testing";
import { FrameReader, frameMessage } from "@sotto/dns/wire";
import { type TlsPolicy, UNAUTHENTICATED_TLS } from "./authentication.ts";
import {
  CLIENT_ADDRESSES,
  decode,
  IDENTITY,
  replyTo,
  requestOf,
  SERVER,
  TLS_SERVER,
} from "./client-fakes.test-support.ts";
import { Exchanger } from "./exchanger.ts";

const HOUR_MS = 3_600_000;
const BY_NAME: TlsPolicy = { ...UNAUTHENTICATED_TLS, authName: "dns.example", authenticate: "required" };

/** A server whose certificate changes while its ticket keys stay, as after the reload of many a server. */
class TicketWorld {
  readonly world: SimWorld = simRuntime(1);
  readonly exchanger: Exchanger;
  #listener: StreamListener | undefined;

  constructor() {
    const runtime = this.world.runtimeOf(CLIENT_ADDRESSES);
    const network: Network = {
      listen: (options, handlers) => runtime.network.listen(options, handlers),
      bindDatagram: (options, handlers) => runtime.network.bindDatagram(options, handlers),
      connect: async (options) => withTicket(await runtime.network.connect(options)),
    };
    this.exchanger = new Exchanger({ connection: { idleTimeoutMs: 1000 } }, { ...runtime, network });
  }

  async serve(identity: FakeIdentity): Promise<void> {
    const tls = {
      certificatePem: fakeCertificatePem(identity),
      keyPem: "",
      alpn: ["dot"],
      ticketKeys: undefined,
    };
    this.#listener?.change?.({ tls, handshakeTimeoutMs: 1000 });
    this.#listener ??= await this.world.network
      .host([SERVER.address])
      .listen(
        { local: TLS_SERVER, tls, handshakeTimeoutMs: 1000, reusePort: false },
        { onStream: answer, onFailure: () => undefined },
      );
  }

  /** How the next connection was authenticated, or why not. */
  async ask(tls: TlsPolicy = BY_NAME): Promise<string> {
    const request = requestOf(this.world, { transport: "tls", tls, isLastHope: true });
    try {
      const { facts } = await this.world.clock.runUntil(this.exchanger.exchange(request));
      return `${facts.authenticatedBy}${facts.sessionResumed ? ", resumed" : ""}`;
    } catch (error) {
      return String(error);
    } finally {
      await this.world.clock.advance(10_000);
    }
  }
}

function answer(stream: ByteStream): void {
  const reader = new FrameReader();
  stream.setHandlers({
    onData: (octets) =>
      reader.push(octets, (message) => {
        stream.write(frameMessage(replyTo(decode(message.slice()))));
        return true;
      }),
    onEnd: () => stream.end(),
    onClose: () => undefined,
    onDrain: () => undefined,
  });
}

/** As real streams do: a ticket that came with the end of the handshake is there before anything else. */
async function withTicket(stream: ByteStream): Promise<ByteStream> {
  const quiet = { onData: () => undefined, onEnd: () => undefined, onDrain: () => undefined };
  const ticket = await new Promise<Uint8Array>((onSession) => {
    stream.setHandlers({ ...quiet, onSession, onClose: () => undefined });
  });
  return {
    local: stream.local,
    remote: stream.remote,
    security: stream.security,
    bufferedOctets: 0,
    setHandlers: (handlers) => {
      stream.setHandlers(handlers);
      handlers.onSession?.(ticket);
    },
    write: (octets) => stream.write(octets),
    end: () => stream.end(),
    reset: () => stream.reset(),
    pause: () => stream.pause(),
    resume: () => stream.resume(),
  };
}

test("a server that could not prove itself is asked to anew, also when it would resume [8310-6.6-d]", async () => {
  for (const authenticate of ["required", "if possible"] as const) {
    const world = new TicketWorld();
    await world.serve({ ...IDENTITY, subjectAltNames: ["DNS:other.example"] });
    const policy = { ...BY_NAME, authenticate };
    assert.notEqual(await world.ask(policy), "name dns.example");
    // Its certificate is the right one now, and its tickets are still good.
    await world.serve(IDENTITY);
    assert.equal(await world.ask(policy), "name dns.example");
    assert.equal(await world.ask(policy), "name dns.example, resumed");
    await world.world.clock.runUntil(world.exchanger.close());
  }
});

test("tickets prove nothing beyond the end of the certificate that was seen", async () => {
  const world = new TicketWorld();
  await world.serve({ ...IDENTITY, notAfterMs: world.world.clock.wallMs() + HOUR_MS });
  assert.equal(await world.ask(), "name dns.example");
  assert.equal(await world.ask(), "name dns.example, resumed");
  await world.world.clock.advance(HOUR_MS);
  assert.match(await world.ask(), /certificate has expired/);
  await world.world.clock.runUntil(world.exchanger.close());
});

test("resumption after resumption, a server shows its certificate once a day", async () => {
  const world = new TicketWorld();
  await world.serve(IDENTITY);
  assert.equal(await world.ask(), "name dns.example");
  for (let hour = 1; hour < 24; hour++) {
    await world.world.clock.advance(HOUR_MS);
    assert.equal(await world.ask(), "name dns.example, resumed");
  }
  // A key that was withdrawn: whoever has it and the ticket keys does not stay for ever.
  await world.serve({ ...IDENTITY, subjectAltNames: ["DNS:other.example"] });
  await world.world.clock.advance(HOUR_MS);
  assert.match(await world.ask(), /not for dns\.example/);
  await world.world.clock.runUntil(world.exchanger.close());
});
