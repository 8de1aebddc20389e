/** A simulated world with one recursive resolver, over UDP and TLS, and stubs that ask it. */

import type { Runtime } from "@sotto/dns/runtime";
import { type FakeIdentity, fakeCertificatePem, type SimWorld, simRuntime } from "@sotto/dns/testing";
import type { Message } from "@sotto/dns/wire";
import {
  CLIENT_ADDRESSES,
  type FakeStream,
  FakeStreamServer,
  FakeUdpServer,
  IDENTITY,
  replyTo,
  SERVER,
} from "../transport/client-fakes.test-support.ts";
import { StubResolver, type StubResolverOptions } from "./stub-resolver.ts";

export const ADDRESS = SERVER.address;

export class StubWorld {
  readonly world: SimWorld = simRuntime(1);
  /** What the resolver says; default: an address made from the name. */
  answer: (query: Message) => Uint8Array = replyTo;
  /** A name that it never answers for. */
  silentAbout = "";
  /** Queries that came in clear. */
  clear: FakeUdpServer | undefined;
  tls: FakeStreamServer | undefined;
  readonly #stubs: StubResolver[] = [];

  async serve({
    identity = IDENTITY,
    hasTls = true,
  }: {
    identity?: FakeIdentity;
    hasTls?: boolean;
  } = {}): Promise<void> {
    const network = this.world.network.host([ADDRESS]);
    this.clear = await FakeUdpServer.open(network, (query) =>
      this.#isSilent(query) ? [] : [this.answer(query)],
    );
    if (hasTls) await this.serveTls(identity);
  }

  /** Opens the port of TLS, anew when it was closed. */
  async serveTls(identity: FakeIdentity = IDENTITY): Promise<void> {
    const network = this.world.network.host([ADDRESS]);
    const reply = (query: Message, stream: FakeStream): void => {
      if (!this.#isSilent(query)) stream.reply(this.answer(query));
    };
    this.tls = await FakeStreamServer.open(network, reply, { certificatePem: fakeCertificatePem(identity) });
  }

  #isSilent({ questions }: Message): boolean {
    return questions[0]?.name.toString() === this.silentAbout;
  }

  stub(options: StubResolverOptions): StubResolver {
    const stub = new StubResolver({ hosts: "none", ...options }, this.runtime);
    this.#stubs.push(stub);
    return stub;
  }

  /** What a client has. */
  readonly runtime: Runtime = this.world.runtimeOf(CLIENT_ADDRESSES);

  /** Lets time pass until something has settled. */
  settled<T>(promise: Promise<T>): Promise<T> {
    return this.world.clock.runUntil(promise);
  }

  get clearQueries(): number {
    return this.clear?.queries.length ?? 0;
  }

  get tlsQueries(): number {
    return this.tls?.streams.reduce((sum, { queries }) => sum + queries.length, 0) ?? 0;
  }

  async close(): Promise<void> {
    for (const stub of this.#stubs) await this.settled(stub.close());
  }
}
