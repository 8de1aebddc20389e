/** A simulated world in which upstreams have names, and a bootstrap server tells where they are. */
import assert from "node:assert/strict";
import { DnsError } from "@sotto/dns/runtime";
import { type FakeIdentity, fakeCertificatePem } from "@sotto/dns/testing";
import { encodeMessage, type Message, makeMessage, parseRecord, RRType } from "@sotto/dns/wire";
import { FakeStreamServer, FakeUdpServer, IDENTITY } from "../transport/client-fakes.test-support.ts";
import type { StubResolver } from "./stub-resolver.ts";
import { StubWorld } from "./stub-world.test-support.ts";

export const NAME = "tls://dns.example";
export const BOOTSTRAP = "203.0.113.53";
export const BY_BOOTSTRAP = { upstreams: [NAME], bootstrap: [`udp://${BOOTSTRAP}`] } as const;
export const TTL_MS = 300_000;

export class NameWorld extends StubWorld {
  /** What the bootstrap server knows of the name: lines such as `A 192.0.2.1`. */
  addresses: string[] = [];
  /** False: it is silent. */
  tellsAddresses = true;
  /** It is silent about this type. */
  silentType: number | undefined;
  bootstrapAnswer: (query: Message) => Uint8Array = (query) => addressReply(query, this.addresses);
  /** Queries that bootstrap servers got. */
  #bootstrap: FakeUdpServer | undefined;

  async serveBootstrap(address = BOOTSTRAP): Promise<void> {
    this.#bootstrap = await FakeUdpServer.open(
      this.world.network.host([address]),
      (query) => {
        const isSilent = !this.tellsAddresses || query.questions[0]?.type === this.silentType;
        return isSilent ? [] : [this.bootstrapAnswer(query)];
      },
      { address, port: 53 },
    );
  }

  /** Another server with TLS; by default another site of the one that is meant. */
  serveAt(address: string, identity: FakeIdentity = IDENTITY): Promise<FakeStreamServer> {
    return FakeStreamServer.open(
      this.world.network.host([address]),
      (query, stream) => stream.reply(this.answer(query)),
      { certificatePem: fakeCertificatePem(identity) },
      { address, port: 853 },
    );
  }

  /** Names and types that bootstrap servers were asked for. */
  get bootstrapQuestions(): string[] {
    return (this.#bootstrap?.queries ?? []).flatMap(({ questions }) =>
      questions.map(
        ({ name, type }) => `${name} ${type === RRType.A ? "A" : type === RRType.AAAA ? "AAAA" : type}`,
      ),
    );
  }

  /** The outcome of one question in a line; nothing comes from the cache. */
  async told(stub: StubResolver, name = "www.example"): Promise<string> {
    stub.flush();
    try {
      const answer = await this.settled(stub.query(name, "A"));
      return `${answer.protection} at ${answer.exchange?.upstream.address}`;
    } catch (error) {
      assert.ok(DnsError.is(error));
      return `${error.code} ${error.stage}: ${error.message}`;
    }
  }
}

/** A reply with those of the records that have the type asked for. */
export function addressReply(query: Message, lines: readonly string[]): Uint8Array {
  const [question] = query.questions;
  const answers = lines
    .map((line) => parseRecord(`${question?.name} ${TTL_MS / 1000} IN ${line}`))
    .filter(({ type }) => type === question?.type);
  return encodeMessage(makeMessage({ id: query.id, isResponse: true, questions: query.questions, answers }));
}
