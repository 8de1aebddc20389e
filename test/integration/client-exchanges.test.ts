/** The client side over real sockets on loopback: UDP, TCP and TLS against our own listeners. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import {
  type ExchangeRequest,
  Exchanger,
  type MessageHandler,
  type QueryOrigin,
  StreamService,
  type TlsPolicy,
  UdpListener,
} from "@sotto/dns/transport";
import {
  encodeMessage,
  makeEdns,
  makeMessage,
  parseName,
  RRClass,
  RRType,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import { makeAuthority, spkiPin } from "../../packages/sotto/src/operations/index.ts";

const LOOPBACK = { address: "127.0.0.1", port: 0 };

interface Place {
  readonly runtime: Runtime;
  readonly exchanger: Exchanger;
  readonly ports: { readonly udp: number; readonly tcp: number; readonly tls: number };
  readonly anchorPem: string;
  readonly pin: string;
  /** Queries by transport, in order of arrival. */
  readonly seen: { transport: string; octets: number; resumed: boolean | undefined }[];
}

/** Opens listeners that answer `big.example.` truncated over UDP, and `slow.example.` last. */
async function withServers(run: (place: Place) => Promise<void>): Promise<void> {
  const runtime = nodeRuntime();
  const seen: Place["seen"] = [];
  const handler: MessageHandler = {
    answer: (octets, channel) => {
      const { transport, security } = channel.origin;
      seen.push({ transport, octets: octets.length, resumed: security?.resumed });
      const reply = replyTo(octets, channel.origin);
      return reply.name === "slow.example."
        ? new Promise((resolve) => runtime.clock.startTimer("slow answer", 50, () => resolve(reply.octets)))
        : reply.octets;
    },
  };
  const authority = await makeAuthority("test authority", runtime.clock.wallMs());
  const pair = await authority.issue(["dns.example", "127.0.0.1"], runtime.clock.wallMs());
  const udp = await UdpListener.open({ local: LOOPBACK }, handler, runtime);
  const tcp = await StreamService.open({ local: { ...LOOPBACK, port: udp.local.port } }, handler, runtime);
  const tls = await StreamService.open(
    { local: LOOPBACK, tls: { ...pair, alpn: ["dot"], ticketKeys: undefined } },
    handler,
    runtime,
  );
  const exchanger = new Exchanger({}, runtime);
  try {
    await run({
      runtime,
      exchanger,
      ports: { udp: udp.local.port, tcp: tcp.local.port, tls: tls.local.port },
      anchorPem: authority.certificatePem,
      pin: spkiPin(pair.certificatePem),
      seen,
    });
  } finally {
    await exchanger.close();
    assert.equal(exchanger.connectionCount, 0);
    await Promise.all([udp.close(), tcp.close(), tls.close()]);
  }
}

function replyTo(octets: Uint8Array, origin: QueryOrigin): { name: string; octets: Uint8Array } {
  const query = tryDecodeMessage(octets);
  if (!query.ok) throw new RangeError(query.problem);
  const { id, questions, edns } = query.value;
  const name = questions[0]?.name ?? parseName(".");
  const isTruncated = origin.transport === "udp" && name.toString() === "big.example.";
  const record = {
    owner: name,
    type: RRType.A,
    class: RRClass.IN,
    ttl: 60,
    rdata: Uint8Array.of(192, 0, 2, 1),
  };
  const answers = isTruncated ? [] : [record];
  const message = makeMessage({
    id,
    isResponse: true,
    isTruncated,
    questions,
    answers,
    edns: edns && makeEdns(),
  });
  return { name: name.toString(), octets: encodeMessage(message) };
}

function requestOf(
  place: Place,
  transport: "udp" | "tcp" | "tls",
  name = "www.example.",
  tls?: TlsPolicy,
): ExchangeRequest {
  return {
    question: { name: parseName(name), type: RRType.A, class: RRClass.IN },
    server: { address: "127.0.0.1", port: place.ports[transport] },
    transport,
    recursionDesired: true,
    checkingDisabled: false,
    authenticData: false,
    edns: makeEdns(),
    deadlineMs: place.runtime.clock.nowMs() + 5000,
    tls,
  };
}

function policyOf(place: Place, parts: Partial<TlsPolicy> = {}): TlsPolicy {
  return {
    serverName: "dns.example",
    authName: "dns.example",
    pins: [place.pin],
    trustAnchorsPem: [place.anchorPem],
    authenticate: "required",
    ...parts,
  };
}

test("the same question is answered over UDP, TCP and TLS on real sockets [7766-5-a]", () =>
  withServers(async (place) => {
    for (const transport of ["udp", "tcp", "tls"] as const) {
      const { message, facts } = await place.exchanger.exchange(
        requestOf(place, transport, "www.example.", policyOf(place)),
      );
      assert.equal(message.answers.length, 1);
      assert.equal(facts.transport, transport);
      assert.equal(facts.protection, transport === "tls" ? "authenticated" : "clear");
    }
    assert.deepEqual(
      place.seen.map(({ transport }) => transport),
      ["udp", "tcp", "tls"],
    );
    // Padded to a block over TLS only (RFC 8467 §4.1).
    assert.deepEqual(
      place.seen.map(({ octets }) => octets % 128 === 0),
      [false, false, true],
    );
  }));

test("a truncated reply is fetched over TCP", () =>
  withServers(async (place) => {
    const { facts, message } = await place.exchanger.exchange(requestOf(place, "udp", "big.example."));
    assert.equal(facts.retriedOverTcp, true);
    assert.equal(message.answers.length, 1);
  }));

test("a slow answer does not hold up those behind it on the same TLS connection [7766-6.2.1.1-a 7858-3.3-c 7858-3.3-d]", () =>
  withServers(async (place) => {
    const order: string[] = [];
    const ask = async (name: string): Promise<boolean> => {
      const { facts } = await place.exchanger.exchange(requestOf(place, "tls", name, policyOf(place)));
      order.push(name);
      return facts.connectionReused;
    };
    await ask("first.example.");
    const reused = await Promise.all(["slow.example.", "a.example.", "b.example."].map(ask));
    assert.deepEqual(order, ["first.example.", "a.example.", "b.example.", "slow.example."]);
    assert.deepEqual(reused, [true, true, true]);
    assert.equal(place.exchanger.connectionCount, 1);
  }));

test("a second connection resumes the session and is authenticated as the first [7858-3.4-g]", () =>
  withServers(async (place) => {
    const events: string[] = [];
    const exchanger = new Exchanger(
      { connection: { idleTimeoutMs: 20 } },
      { ...place.runtime, events: { wants: () => true, publish: (name) => events.push(name) } },
    );
    const ask = (name: string) => exchanger.exchange(requestOf(place, "tls", name, policyOf(place)));
    const first = await ask("www.example.");
    assert.equal(first.facts.sessionResumed, false);
    assert.ok(first.facts.handshakeMs > 0 && first.facts.connectMs > 0);
    // The slow answer is the clock here: by then the first connection has been idle for too long.
    await place.exchanger.exchange(requestOf(place, "udp", "slow.example."));
    await place.exchanger.exchange(requestOf(place, "udp", "slow.example."));
    const second = await ask("again.example.");
    assert.equal(second.facts.connectionReused, false);
    assert.equal(second.facts.sessionResumed, true);
    assert.equal(second.facts.authenticatedBy, `name dns.example and pin sha256:${place.pin}`);
    assert.equal(place.seen.at(-1)?.resumed, true);
    await exchanger.close();
    assert.equal(events.filter((name) => name === "transport.connection.opened").length, 2);
  }));

test("name, address, pin and anchor each decide over real certificates [8310-8.1-a 8310-8.1-b 8310-6.4-a 7858-4.2-b]", () =>
  withServers(async (place) => {
    const otherPin = `${"A".repeat(43)}=`;
    const cases: [string, Partial<TlsPolicy>, string | undefined][] = [
      ["name and pin", {}, `name dns.example and pin sha256:${place.pin}`],
      ["name", { pins: [] }, "name dns.example"],
      ["address", { pins: [], authName: "127.0.0.1" }, "name 127.0.0.1"],
      [
        "pin only, unknown authority",
        { authName: undefined, trustAnchorsPem: undefined },
        `pin sha256:${place.pin}`,
      ],
      ["wrong name", { authName: "other.example" }, undefined],
      ["wrong pin", { pins: [otherPin] }, undefined],
      ["unknown authority", { trustAnchorsPem: undefined }, undefined],
    ];
    for (const [name, parts, expected] of cases) {
      const asking = place.exchanger.exchange(
        requestOf(place, "tls", "www.example.", policyOf(place, parts)),
      );
      if (expected === undefined)
        await assert.rejects(asking, (error) => DnsError.is(error, "ERR_TLS_NOT_AUTHENTICATED"), name);
      else assert.equal((await asking).facts.authenticatedBy, expected, name);
    }
    assert.equal(place.seen.length, 4);
  }));

test("failures on real sockets tell the stage", () =>
  withServers(async (place) => {
    const closed = { address: "127.0.0.1", port: 1 };
    for (const transport of ["udp", "tcp", "tls"] as const)
      await assert.rejects(
        place.exchanger.exchange({ ...requestOf(place, transport), server: closed }),
        (error) =>
          DnsError.is(error, "ERR_CONNECT_REFUSED") &&
          error.stage === (transport === "udp" ? "query" : "connect"),
        transport,
      );
    const clearPort = { address: "127.0.0.1", port: place.ports.tcp };
    await assert.rejects(
      place.exchanger.exchange({
        ...requestOf(place, "tls"),
        server: clearPort,
        deadlineMs: place.runtime.clock.nowMs() + 200,
      }),
      (error) => DnsError.is(error),
    );
    assert.equal(place.seen.length, 0);
  }));
