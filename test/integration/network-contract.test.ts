/**
 * What every `Network` promises, asked of the real one, with either engine, and of the simulated one: tests may trust the latter.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ByteStream,
  type ConnectOptions,
  type DatagramSocket,
  DnsError,
  type DnsErrorCode,
  type Endpoint,
  type ListenHandlers,
  type Network,
  type Runtime,
  type StreamListener,
  type TlsServerOptions,
} from "@sotto/dns/runtime";
import { nativeRuntime } from "@sotto/dns/runtime/native";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { fakeAnchorPem, fakeCertificatePem, simRuntime } from "@sotto/dns/testing";
import { makeAuthority } from "../../packages/sotto/src/operations/index.ts";

/** A network under test: how long one waits for it is its own affair. */
interface Subject {
  readonly network: Network;
  readonly address: string;
  readonly tls: TlsServerOptions;
  readonly anchorPem: string;
  until<T>(promise: Promise<T>): Promise<T>;
  close(): Promise<void>;
}

async function realSubject({ network, clock }: Runtime = nodeRuntime()): Promise<Subject> {
  const authority = await makeAuthority("contract authority", clock.wallMs());
  const pair = await authority.issue(["dns.example"], clock.wallMs());
  return {
    network,
    address: "127.0.0.1",
    tls: { ...pair, alpn: ["dot"], ticketKeys: undefined },
    anchorPem: authority.certificatePem,
    until: (promise) => promise,
    close: () => Promise.resolve(),
  };
}

function simulatedSubject(): Promise<Subject> {
  const world = simRuntime(1);
  const identity = { subjectAltNames: ["DNS:dns.example"], issuer: "contract authority" };
  return Promise.resolve({
    network: world.network.host(["127.0.0.1"]),
    address: "127.0.0.1",
    tls: { certificatePem: fakeCertificatePem(identity), keyPem: "", alpn: ["dot"], ticketKeys: undefined },
    anchorPem: fakeAnchorPem("contract authority"),
    until: (promise) => world.clock.runUntil(promise),
    close: async () => {
      await world.clock.advance(10_000);
      assert.deepEqual(world.clock.pendingTimers, []);
      assert.deepEqual(world.network.use, { streams: 0, datagramSockets: 0, listeners: 0 });
    },
  });
}

const native = nativeRuntime();
/** Each engine with the other one as its peer. */
const portable = nodeRuntime().network;
const nativeServer = { ...native, network: { ...native.network, connect: portable.connect } };
const nativeClient = { ...native, network: { ...native.network, listen: portable.listen } };

function contract(title: string, run: (subject: Subject) => Promise<void>): void {
  for (const [name, make, skip] of [
    ["real", realSubject, false],
    ["native", () => realSubject(native), native.engineProblem ?? false],
    ["native server's", () => realSubject(nativeServer), native.engineProblem ?? false],
    ["native client's", () => realSubject(nativeClient), native.engineProblem ?? false],
    ["simulated", simulatedSubject, false],
  ] as const) {
    test(`${name} network: ${title}`, { skip }, async () => {
      const subject = await make();
      await run(subject);
      await subject.close();
    });
  }
}

/** One end of a stream with all that happened to it; promises for what tests wait for. */
class End {
  readonly stream: ByteStream;
  readonly log: string[] = [];
  readonly #received: number[] = [];
  readonly ended = Promise.withResolvers<void>();
  readonly closed = Promise.withResolvers<Error | undefined>();
  readonly session = Promise.withResolvers<Uint8Array>();
  #wanted: { octets: number; resolve: () => void } | undefined = undefined;

  constructor(stream: ByteStream) {
    this.stream = stream;
    stream.setHandlers({
      onData: (octets) => {
        this.#note("data");
        this.#received.push(...octets);
        if (this.#wanted !== undefined && this.#received.length >= this.#wanted.octets)
          this.#wanted.resolve();
      },
      onEnd: () => {
        this.#note("end");
        this.ended.resolve();
      },
      onClose: (problem) => {
        this.#note("close");
        this.closed.resolve(problem);
      },
      onDrain: () => undefined,
      onSession: (session) => this.session.resolve(session.slice()),
    });
  }

  #note(what: string): void {
    assert.ok(this.log.at(-1) !== "close", `${what} after close`);
    if (this.log.at(-1) !== what) this.log.push(what);
  }

  /** Resolves with everything received once there are that many octets. */
  received(octets: number): Promise<number[]> {
    return new Promise((resolve) => {
      this.#wanted = { octets, resolve: () => resolve(this.#received) };
      if (this.#received.length >= octets) this.#wanted.resolve();
    });
  }
}

interface Pair {
  readonly client: End;
  readonly server: End;
  readonly listener: StreamListener;
}

async function listen(
  { network, address, tls }: Subject,
  isTls: boolean,
  handlers: Partial<ListenHandlers>,
): Promise<StreamListener> {
  return network.listen(
    { local: { address, port: 0 }, tls: isTls ? tls : undefined, handshakeTimeoutMs: 2000, reusePort: false },
    { onStream: () => undefined, onFailure: () => undefined, ...handlers },
  );
}

function connectOptions(
  subject: Subject,
  remote: Endpoint,
  isTls: boolean,
  parts: Partial<ConnectOptions> = {},
) {
  const tls = {
    serverName: "dns.example",
    alpn: ["dot"],
    trustAnchorsPem: [subject.anchorPem],
    session: undefined,
  };
  return {
    remote,
    localAddress: undefined,
    tls: isTls ? tls : undefined,
    connectTimeoutMs: 2000,
    handshakeTimeoutMs: 2000,
    signal: undefined,
    ...parts,
  };
}

async function openPair(subject: Subject, isTls: boolean): Promise<Pair> {
  const accepted = Promise.withResolvers<End>();
  const listener = await listen(subject, isTls, { onStream: (stream) => accepted.resolve(new End(stream)) });
  const opening = subject.network
    .connect(connectOptions(subject, listener.local, isTls))
    .then((stream) => new End(stream));
  const [client, server] = await subject.until(Promise.all([opening, accepted.promise]));
  return { client, server, listener };
}

for (const isTls of [false, true]) {
  const kind = isTls ? "TLS" : "TCP";

  contract(`octets arrive whole and in order over ${kind}, and each end may close first`, async (subject) => {
    const { client, server, listener } = await openPair(subject, isTls);
    assert.deepEqual(server.stream.remote, client.stream.local);
    assert.deepEqual(client.stream.remote, listener.local);
    for (let i = 0; i < 5; i++) client.stream.write(Uint8Array.of(i, i));
    assert.deepEqual(await subject.until(server.received(10)), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    client.stream.end();
    await subject.until(server.ended.promise);
    // Half-closed: the other direction still works.
    server.stream.write(Uint8Array.of(7, 8));
    assert.deepEqual(await subject.until(client.received(2)), [7, 8]);
    server.stream.end();
    assert.equal(await subject.until(client.closed.promise), undefined);
    assert.equal(await subject.until(server.closed.promise), undefined);
    await listener.close();
  });

  contract(`a reset over ${kind} ends both ends, the own one without a problem`, async (subject) => {
    const { client, server, listener } = await openPair(subject, isTls);
    server.stream.reset();
    assert.equal(await subject.until(server.closed.promise), undefined);
    // Over TLS Node cannot send RST, so that the client may see the end of the octets instead.
    const outcome = await subject.until(Promise.race([client.closed.promise, client.ended.promise]));
    if (outcome !== undefined) assert.ok(DnsError.is(outcome, "ERR_CONNECTION_LOST"));
    else assert.ok(isTls);
    client.stream.end();
    await subject.until(client.closed.promise);
    await listener.close();
  });

  contract(`a paused end gets nothing over ${kind} until it resumes`, async (subject) => {
    const { client, server, listener } = await openPair(subject, isTls);
    server.stream.pause();
    client.stream.write(Uint8Array.of(1));
    server.stream.write(Uint8Array.of(2));
    await subject.until(client.received(1));
    assert.deepEqual(server.log, []);
    server.stream.resume();
    assert.deepEqual(await subject.until(server.received(1)), [1]);
    client.stream.end();
    server.stream.end();
    await subject.until(Promise.all([client.closed.promise, server.closed.promise]));
    await listener.close();
  });
}

contract(
  "TLS tells what it established, and a ticket resumes the session [dot-alpn-a 8310-9-c]",
  async (subject) => {
    const { client, server, listener } = await openPair(subject, true);
    const { security } = client.stream;
    assert.equal(security?.protocol, "TLSv1.3");
    assert.equal(security.alpn, "dot");
    assert.equal(security.chainProblem, undefined);
    assert.deepEqual(security.peerChain[0]?.subjectAltNames, ["DNS:dns.example"]);
    assert.equal(server.stream.security?.serverName, "dns.example");
    const session = await subject.until(client.session.promise);
    const options = connectOptions(subject, listener.local, true);
    const stages: string[] = [];
    const opening = subject.network.connect({
      ...options,
      tls: options.tls && { ...options.tls, session },
      onConnected: () => stages.push("connected"),
    });
    const resumed = new End(await subject.until(opening));
    assert.equal(resumed.stream.security?.resumed, true);
    assert.deepEqual(resumed.stream.security?.peerChain, []);
    assert.deepEqual(stages, ["connected"]);
    for (const end of [client, resumed, server]) end.stream.reset();
    await subject.until(Promise.all([client.closed.promise, resumed.closed.promise, server.closed.promise]));
    await listener.close();
  },
);

contract(
  "each write of a TLS client is a record of its own, however many wait [7858-3.3-b]",
  async (subject) => {
    // A record is delivered in one piece, and two records never in one.
    const sizes: number[] = [];
    const all = Promise.withResolvers<void>();
    const listener = await listen(subject, true, {
      onStream: (stream) => {
        stream.setHandlers({
          onData: (octets) => {
            sizes.push(octets.length);
            if (sizes.length === 6) all.resolve();
          },
          onEnd: () => stream.end(),
          onClose: () => undefined,
          onDrain: () => undefined,
        });
      },
    });
    const writer = new End(
      await subject.until(subject.network.connect(connectOptions(subject, listener.local, true))),
    );
    for (let i = 1; i <= 6; i++) writer.stream.write(new Uint8Array(100 + i));
    await subject.until(all.promise);
    assert.deepEqual(sizes, [101, 102, 103, 104, 105, 106]);
    writer.stream.end();
    await subject.until(writer.closed.promise);
    await listener.close();
  },
);

contract("a chain to an unknown authority is reported and left to the caller", async (subject) => {
  const listener = await listen(subject, true, { onStream: (stream) => void new End(stream) });
  const options = connectOptions(subject, listener.local, true);
  const opening = subject.network.connect({
    ...options,
    tls: options.tls && { ...options.tls, trustAnchorsPem: undefined },
  });
  const client = new End(await subject.until(opening));
  assert.equal(typeof client.stream.security?.chainProblem, "string");
  client.stream.reset();
  await subject.until(client.closed.promise);
  await listener.close();
});

contract("connecting fails with a code and a stage", async (subject) => {
  const gone = await listen(subject, false, {});
  await gone.close();
  const clear = await listen(subject, true, {});
  const aborted = new AbortController();
  aborted.abort();
  const toTls = connectOptions(subject, clear.local, true);
  const cases: [string, ConnectOptions, DnsErrorCode, string | undefined][] = [
    ["closed port", connectOptions(subject, gone.local, false), "ERR_CONNECT_REFUSED", "connect"],
    ["closed port, TLS", connectOptions(subject, gone.local, true), "ERR_CONNECT_REFUSED", "connect"],
    [
      "no common ALPN",
      { ...toTls, tls: toTls.tls && { ...toTls.tls, alpn: ["h2"] } },
      "ERR_TLS_HANDSHAKE",
      "handshake",
    ],
    ["aborted", { ...toTls, signal: aborted.signal }, "ERR_ABORTED", undefined],
  ];
  for (const [name, options, code, stage] of cases) {
    await assert.rejects(subject.until(subject.network.connect(options)), (error) => {
      assert.ok(DnsError.is(error, code), `${name}: ${error}`);
      if (stage !== undefined) assert.equal(error.stage, stage, name);
      return true;
    });
  }
  await clear.close();
});

contract("a port is used once", async (subject) => {
  const listener = await listen(subject, false, {});
  await assert.rejects(
    subject.network.listen(
      { local: listener.local, tls: undefined, handshakeTimeoutMs: 1000, reusePort: false },
      { onStream: () => undefined, onFailure: () => undefined },
    ),
    (error) => DnsError.is(error, "ERR_ADDRESS_IN_USE"),
  );
  await listener.close();
});

contract("datagrams go there and back, and a connected socket hears of a closed port", async (subject) => {
  const { network, address } = subject;
  const echo: DatagramSocket = await network.bindDatagram(
    { local: { address, port: 0 }, connectTo: undefined, reusePort: false },
    { onMessage: (octets, from) => echo.send(octets.slice(), from), onError: () => undefined },
  );
  const received = Promise.withResolvers<{ octets: number[]; from: Endpoint }>();
  const failed = Promise.withResolvers<Error>();
  const client = await network.bindDatagram(
    { local: { address: "0.0.0.0", port: 0 }, connectTo: echo.local, reusePort: false },
    {
      onMessage: (octets, from) => received.resolve({ octets: [...octets], from }),
      onError: (problem) => failed.resolve(problem),
    },
  );
  client.send(Uint8Array.of(1, 2, 3), echo.local);
  const { octets, from } = await subject.until(received.promise);
  assert.deepEqual(octets, [1, 2, 3]);
  assert.deepEqual(from, echo.local);
  await echo.close();
  client.send(Uint8Array.of(4), echo.local);
  assert.ok(DnsError.is(await subject.until(failed.promise), "ERR_CONNECT_REFUSED"));
  await client.close();
});

contract("a connected socket hears its peer only, all of it, and large datagrams whole", async (subject) => {
  const { network, address } = subject;
  const local = { address, port: 0 };
  const octetsOf = (i: number): number => (i === 7 ? 20_000 : 10);
  const echo: DatagramSocket = await network.bindDatagram(
    { local, connectTo: undefined, reusePort: false },
    {
      onMessage: ([i = 0], from) => echo.send(new Uint8Array(octetsOf(i)).fill(i), from),
      onError: () => undefined,
    },
  );
  const heard: number[][] = [];
  const all = Promise.withResolvers<void>();
  const client = await network.bindDatagram(
    { local, connectTo: echo.local, reusePort: false, isBackground: true },
    {
      onMessage: (octets) => {
        heard.push([octets[0] ?? 0, octets.length]);
        if (heard.length === 40) all.resolve();
      },
      onError: () => undefined,
    },
  );
  const stranger = await network.bindDatagram(
    { local, connectTo: undefined, reusePort: false },
    { onMessage: () => undefined, onError: () => undefined },
  );
  stranger.send(Uint8Array.of(255), client.local);
  for (let i = 0; i < 40; i++) client.send(Uint8Array.of(i), echo.local);
  await subject.until(all.promise);
  await Promise.all([client.close(), client.close(), echo.close(), stranger.close()]);
  assert.deepEqual(
    heard,
    Array.from({ length: 40 }, (_, i) => [i, octetsOf(i)]),
  );
});

contract("a datagram that was sent before its socket is closed still leaves", async (subject) => {
  // Answers that wait for a drain are the last thing that a listener sends before it closes.
  const { network, address } = subject;
  const received = Promise.withResolvers<number[]>();
  const quiet = { onMessage: () => undefined, onError: () => undefined };
  const options = { local: { address, port: 0 }, connectTo: undefined, reusePort: false };
  const receiver = await network.bindDatagram(options, {
    ...quiet,
    onMessage: (octets) => received.resolve([...octets]),
  });
  const sender = await network.bindDatagram(options, quiet);
  sender.send(Uint8Array.of(1, 2, 3), receiver.local);
  await sender.close();
  assert.deepEqual(await subject.until(received.promise), [1, 2, 3]);
  await receiver.close();
});

/** What these count are Node's own sockets. */
const skipHandles = process.env["SOTTO_ENGINE"] === "native" ? "not Node's own sockets" : false;

test("real network: a stream that was ended and is then reset leaves no handle behind", {
  skip: skipHandles,
}, async () => {
  const { network } = nodeRuntime();
  const handles = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
  const before = handles();
  const quiet = { onData: () => undefined, onEnd: () => undefined, onDrain: () => undefined };
  let serverClosed: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => {
    serverClosed = resolve;
  });
  const listener = await network.listen(
    { local: { address: "127.0.0.1", port: 0 }, tls: undefined, handshakeTimeoutMs: 1000, reusePort: false },
    {
      onStream: (stream) => {
        stream.setHandlers({ ...quiet, onClose: () => serverClosed() });
        stream.end();
        // The shutdown has begun: libuv refuses a reset now, and Node would keep the handle for ever.
        stream.reset();
      },
      onFailure: () => undefined,
    },
  );
  const client = await network.connect({
    remote: listener.local,
    localAddress: undefined,
    tls: undefined,
    connectTimeoutMs: 1000,
    handshakeTimeoutMs: 1000,
    signal: undefined,
  });
  await new Promise<void>((resolve) => {
    client.setHandlers({ ...quiet, onEnd: () => client.end(), onClose: () => resolve() });
  });
  await closed;
  await listener.close();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(handles(), before);
});

test("real network: a socket in the background does not keep the process, another one does", {
  skip: skipHandles,
}, async () => {
  const { network } = nodeRuntime();
  const held = (): number => process.getActiveResourcesInfo().filter((name) => name.startsWith("UDP")).length;
  const local = { address: "127.0.0.1", port: 0 };
  const quiet = { onMessage: () => undefined, onError: () => undefined };
  const before = held();
  const echo = await network.bindDatagram({ local, connectTo: undefined, reusePort: false }, quiet);
  assert.equal(held(), before + 1);
  const options = { local, connectTo: echo.local, reusePort: false, isBackground: true };
  const idle = await network.bindDatagram(options, quiet);
  assert.equal(held(), before + 1);
  await idle.close();
  await echo.close();
});
