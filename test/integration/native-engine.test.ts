/** The native engine beside the portable one: what each tells of the same client is the same, and their tickets are good on both. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createSocket, type Socket as DatagramClient } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import type {
  ByteStream,
  ListenHandlers,
  ListenOptions,
  Network,
  StreamHandlers,
  StreamListener,
  TlsServerOptions,
} from "@sotto/dns/runtime";
import { nativeRuntime } from "@sotto/dns/runtime/native";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { makeAuthority } from "../../packages/sotto/src/operations/index.ts";

const native = nativeRuntime();
const skip = native.engineProblem ?? false;
const ENGINES: readonly (readonly [string, Network])[] = [
  ["node", nodeRuntime().network],
  ["native", native.network],
];
const authority = await makeAuthority("engine authority", Date.now());
const stranger = await makeAuthority("another authority", Date.now());
const serverPair = await authority.issue(["dns.example"], Date.now());
const TLS: TlsServerOptions = { ...serverPair, alpn: ["dot"], ticketKeys: new Uint8Array(48).fill(3) };
const nothing = (): undefined => undefined;

/** Ends when the peer does. */
function ending(stream: ByteStream): StreamHandlers {
  return { onData: nothing, onEnd: () => stream.end(), onDrain: nothing, onClose: nothing };
}

async function listen(
  context: TestContext,
  network: Network,
  options: Partial<ListenOptions>,
  handlers: Partial<ListenHandlers>,
): Promise<StreamListener> {
  const listener = await network.listen(
    {
      local: { address: "127.0.0.1", port: 0 },
      tls: undefined,
      handshakeTimeoutMs: 500,
      reusePort: false,
      ...options,
    },
    { onStream: nothing, onFailure: nothing, ...handlers },
  );
  context.after(() => listener.close());
  return listener;
}

function tlsClient(context: TestContext, port: number, options: ConnectionOptions = {}): TLSSocket {
  const host = options.socket === undefined ? { port, host: "127.0.0.1" } : {};
  const client = connectTls({ ...host, rejectUnauthorized: false, ...options });
  client.on("error", nothing);
  context.after(() => client.destroy());
  return client;
}

/** The session of a connection that is over. */
async function ticketOf(context: TestContext, port: number, options: ConnectionOptions): Promise<Buffer> {
  const client = tlsClient(context, port, options);
  const session = new Promise<Buffer>((resolve) => client.once("session", resolve));
  const ticket = await session;
  client.destroy();
  return ticket;
}

for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`a ticket of either engine resumes on the other, ${maxVersion}, until the keys change [7858-3.4-f]`, {
    skip,
  }, async (context) => {
    const listeners: StreamListener[] = [];
    for (const [, network] of ENGINES)
      listeners.push(
        await listen(
          context,
          network,
          { tls: TLS },
          { onStream: (stream) => stream.setHandlers(ending(stream)) },
        ),
      );
    const isResumed = async (to: number, session: Buffer): Promise<boolean> => {
      const client = tlsClient(context, listeners[to]?.local.port ?? 0, { maxVersion, session });
      await once(client, "secureConnect");
      const isReused = client.isSessionReused();
      client.destroy();
      return isReused;
    };
    for (const from of [0, 1]) {
      const ticket = await ticketOf(context, listeners[from]?.local.port ?? 0, { maxVersion });
      assert.equal(await isResumed(0, ticket), true, `from ${ENGINES[from]?.[0]} to node`);
      assert.equal(await isResumed(1, ticket), true, `from ${ENGINES[from]?.[0]} to native`);
    }
    const old = await ticketOf(context, listeners[1]?.local.port ?? 0, { maxVersion });
    listeners[1]?.setTicketKeys(new Uint8Array(48).fill(4));
    assert.equal(await isResumed(1, old), false);
  });
}

test("both engines tell the same of the same client", { skip }, async (context) => {
  const good = await authority.issue(["client.example"], Date.now());
  const unknown = await stranger.issue(["client.example"], Date.now());
  const old = await authority.issue(["client.example"], Date.now() - 4000 * 86_400_000);
  const certificates: Readonly<Record<string, ConnectionOptions>> = {
    none: {},
    good: { cert: good.certificatePem, key: good.keyPem },
    "with its chain": { cert: good.certificatePem + authority.certificatePem, key: good.keyPem },
    unknown: { cert: unknown.certificatePem, key: unknown.keyPem },
    expired: { cert: old.certificatePem, key: old.keyPem },
  };
  for (const asks of [true, false]) {
    const tls = asks ? { ...TLS, clientAuthoritiesPem: [authority.certificatePem] } : TLS;
    for (const [which, certificate] of Object.entries(certificates))
      for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const)
        for (const named of [{ servername: "dns.example", ALPNProtocols: ["dot"] }, {}]) {
          const told: unknown[] = [];
          for (const [, network] of ENGINES) {
            const arrived = Promise.withResolvers<void>();
            const securities: ByteStream["security"][] = [];
            const listener = await listen(
              context,
              network,
              { tls },
              {
                onStream: (stream) => {
                  securities.push(stream.security);
                  stream.setHandlers(ending(stream));
                  if (securities.length === 2) arrived.resolve();
                },
              },
            );
            const options = { ...certificate, ...named, maxVersion };
            const session = await ticketOf(context, listener.local.port, options);
            tlsClient(context, listener.local.port, { ...options, session });
            await arrived.promise;
            told.push(securities);
          }
          assert.deepEqual(told[1], told[0], `${which} ${maxVersion} ${asks} ${JSON.stringify(named)}`);
        }
  }
});

/** What a client does that does not become a stream. */
const FAILURES: Readonly<Record<string, (context: TestContext, port: number) => Promise<unknown> | unknown>> =
  {
    "no TLS at all": (_context, port) =>
      connect(port, "127.0.0.1").on("error", nothing).write("GET / HTTP/1.1\r\n\r\n"),
    "gone before the handshake": (_context, port) => connect(port, "127.0.0.1").on("error", nothing).end(),
    "gone in the middle": (_context, port) =>
      connect(port, "127.0.0.1")
        .on("error", nothing)
        .end(Buffer.of(22, 3, 1, 2)),
    "reset in the middle": async (_context, port) => {
      const socket = connect(port, "127.0.0.1").on("error", nothing);
      await once(socket, "connect");
      socket.write(Buffer.of(22, 3, 1, 2), () => setImmediate(() => socket.resetAndDestroy()));
    },
    "another protocol": (context, port) => tlsClient(context, port, { ALPNProtocols: ["h2"] }),
    "an old version": (context, port) =>
      tlsClient(context, port, {
        minVersion: "TLSv1.1",
        maxVersion: "TLSv1.1",
        ciphers: "DEFAULT@SECLEVEL=0",
      }),
    "a client that does not trust": (context, port) => tlsClient(context, port, { rejectUnauthorized: true }),
    silence: (context, port) => {
      const socket = connect(port, "127.0.0.1").on("error", nothing);
      context.after(() => socket.destroy());
    },
  };

for (const [what, act] of Object.entries(FAILURES)) {
  test(`both engines fail alike: ${what}`, { skip }, async (context) => {
    const told: unknown[] = [];
    for (const [, network] of ENGINES) {
      const failed = Promise.withResolvers<unknown>();
      const listener = await listen(
        context,
        network,
        { tls: TLS },
        {
          // TLS 1.3 clients learn of the server's certificate when the server is done with them.
          onStream: (stream) => {
            stream.setHandlers({ ...ending(stream), onClose: () => failed.resolve("a stream that ended") });
          },
          onFailure: (remote, stage, problem) =>
            failed.resolve([remote?.address, stage, problem.message, Reflect.get(problem, "code")]),
        },
      );
      await act(context, listener.local.port);
      told.push(await failed.promise);
    }
    assert.deepEqual(told[1], told[0]);
  });
}

/** Collects what a stream brings. */
function receiver(stream: ByteStream): { text: () => string; until: (text: string) => Promise<void> } {
  let received = "";
  let wake: () => void = nothing;
  stream.setHandlers({
    ...ending(stream),
    onData: (octets) => {
      received += Buffer.from(octets).toString("latin1");
      wake();
    },
  });
  return {
    text: () => received,
    until: async (text) => {
      while (received !== text)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    },
  };
}

const HEADER = "PROXY TCP4 192.0.2.9 198.51.100.1 40000 853\r\n";

for (const [place, pieces] of [
  ["before tls", "whole"],
  ["before tls", "octets"],
  ["inside tls", "whole"],
  ["inside tls", "octets"],
] as const) {
  test(`a PROXY header ${place}, in ${pieces}, leaves what follows it`, { skip }, async (context) => {
    const arrived = Promise.withResolvers<ByteStream>();
    const proxy = { isTrusted: () => true, place };
    const options = { tls: TLS, proxy, handshakeTimeoutMs: 5000 };
    const listener = await listen(context, native.network, options, {
      onStream: arrived.resolve,
      onFailure: (_remote, stage, problem) => assert.fail(`${stage}: ${problem.message}`),
    });
    const below = connect({ port: listener.local.port, host: "127.0.0.1", noDelay: true });
    await once(below, "connect");
    const send = async (socket: Socket, text: string): Promise<void> => {
      for (const piece of pieces === "whole" ? [text] : text)
        await new Promise<void>((resolve) => socket.write(piece, () => setImmediate(resolve)));
    };
    if (place === "before tls") await send(below, HEADER);
    const client = tlsClient(context, 0, { socket: below });
    await once(client, "secureConnect");
    await send(client, place === "inside tls" ? `${HEADER}question` : "question");
    const stream = await arrived.promise;
    assert.deepEqual(stream.remote, { address: "192.0.2.9", port: 40_000 });
    await receiver(stream).until("question");
  });
}

for (const isTls of [false, true]) {
  const kind = isTls ? "TLS" : "TCP";

  test(`more than the system takes waits, is told and arrives in order, ${kind}`, {
    skip,
  }, async (context) => {
    const done = Promise.withResolvers<void>();
    const octets = Buffer.alloc(8_000_000, "0123456789");
    let waited = 0;
    const listener = await listen(context, native.network, isTls ? { tls: TLS } : {}, {
      onStream: (stream) => {
        let at = 0;
        const writeOn = (): void => {
          while (at < octets.length) {
            const piece = octets.subarray(at, at + 50_001);
            at += piece.length;
            if (!stream.write(piece)) {
              waited++;
              assert.ok(stream.bufferedOctets > 0);
              return;
            }
          }
          stream.end();
        };
        stream.setHandlers({ ...ending(stream), onDrain: writeOn, onClose: () => done.resolve() });
        writeOn();
      },
    });
    const { port } = listener.local;
    const client = isTls ? tlsClient(context, port) : connect(port, "127.0.0.1");
    const received: Buffer[] = [];
    client.on("data", (chunk: Buffer) => received.push(chunk));
    await once(client, "end");
    client.end();
    await done.promise;
    assert.ok(waited > 0);
    assert.ok(Buffer.concat(received).equals(octets));
  });

  test(`who pauses in the middle of what has come gets the rest when it resumes, ${kind}`, {
    skip,
  }, async (context) => {
    const all = Promise.withResolvers<void>();
    const listener = await listen(context, native.network, isTls ? { tls: TLS } : {}, {
      onStream: (stream) => {
        let octets = 0;
        stream.setHandlers({
          ...ending(stream),
          onData: (chunk) => {
            octets += chunk.length;
            stream.pause();
            setImmediate(() => stream.resume());
            if (octets === 3000) all.resolve();
          },
        });
      },
    });
    const { port } = listener.local;
    const client = isTls ? tlsClient(context, port) : connect(port, "127.0.0.1");
    context.after(() => client.destroy());
    await once(client, isTls ? "secureConnect" : "connect");
    for (let i = 0; i < 3; i++) client.write(Buffer.alloc(1000));
    await all.promise;
  });
}

test("connections that cannot write do not touch what others write", { skip }, async (context) => {
  const streams: ByteStream[] = [];
  const two = Promise.withResolvers<void>();
  const listener = await listen(
    context,
    native.network,
    { tls: TLS },
    {
      onStream: (stream) => {
        streams.push(stream);
        stream.setHandlers({ ...ending(stream), onData: (octets) => void stream.write(octets.slice()) });
        if (streams.length === 2) two.resolve();
      },
    },
  );
  const stalled = tlsClient(context, listener.local.port);
  await once(stalled, "secureConnect");
  stalled.pause();
  const lively = tlsClient(context, listener.local.port);
  await two.promise;
  const much = Buffer.alloc(12_000_000, "abc");
  for (let at = 0; at < much.length; at += 100_000) streams[0]?.write(much.subarray(at, at + 100_000));
  for (let i = 0; i < 20; i++) {
    lively.write(`question ${i}`);
    const [answer]: unknown[] = await once(lively, "data");
    assert.equal(String(answer), `question ${i}`);
  }
  const received: Buffer[] = [];
  let octets = 0;
  await new Promise<void>((resolve) => {
    stalled.on("data", (chunk: Buffer) => {
      received.push(chunk);
      octets += chunk.length;
      if (octets === much.length) resolve();
    });
    stalled.resume();
  });
  assert.ok(Buffer.concat(received).equals(much));
});

test("who is turned away gets a reset", { skip }, async (context) => {
  const listener = await listen(context, native.network, {}, { onConnection: () => undefined });
  const client = connect(listener.local.port, "127.0.0.1");
  const [problem]: unknown[] = await once(client, "error");
  assert.equal(Reflect.get(Object(problem), "code"), "ECONNRESET");
});

/** A client that counts and remembers. */
async function datagramClient(context: TestContext, type: "udp4" | "udp6"): Promise<DatagramClient> {
  const socket = createSocket({ type, recvBufferSize: 1_000_000 });
  context.after(() => socket.close());
  socket.bind(0);
  await once(socket, "listening");
  return socket;
}

for (const [family, wildcard, asked] of [
  ["udp4", "0.0.0.0", ["127.0.0.1", "127.0.0.3", "127.1.2.3"]],
  ["udp6", "::", ["::1"]],
] as const) {
  test(`a socket on ${wildcard} answers from the address that was asked, now and later [2181-4.1-a]`, {
    skip,
  }, async (context) => {
    const local = { address: wildcard, port: 0 };
    const server = await native.network.bindDatagram(
      { local, connectTo: undefined, reusePort: false },
      {
        onMessage: (octets, from, via) => {
          via.send(Buffer.from(`now ${via.local.address}`), from);
          const copy = octets.slice();
          setImmediate(() => via.send(copy, from));
        },
        onError: (problem) => assert.fail(problem),
      },
    );
    context.after(() => server.close());
    const client = await datagramClient(context, family);
    for (const address of asked) {
      const answers = new Promise<[string, string][]>((resolve) => {
        const got: [string, string][] = [];
        client.on("message", (octets, from) => {
          got.push([octets.toString(), from.address]);
          if (got.length < 2) return;
          client.removeAllListeners("message");
          resolve(got);
        });
      });
      client.send("later", server.local.port, address);
      assert.deepEqual(await answers, [
        [`now ${address}`, address],
        ["later", address],
      ]);
    }
  });
}

test("datagrams of all sizes, and many at once, are answered each", { skip }, async (context) => {
  const sizes: number[] = [];
  const server = await native.network.bindDatagram(
    { local: { address: "127.0.0.1", port: 0 }, connectTo: undefined, reusePort: false },
    {
      onMessage: (octets, from, via) => {
        sizes.push(octets.length);
        // As long as the first two octets say.
        via.send(Buffer.alloc(((octets[0] ?? 0) << 8) | (octets[1] ?? 0), octets[2]), from);
      },
      onError: (problem) => assert.fail(problem),
    },
  );
  context.after(() => server.close());
  const client = await datagramClient(context, "udp4");
  const lengths = [1, 4096, 4097, 20_000, 65_507, 3, 512];
  for (const length of lengths) {
    const answer = once(client, "message");
    client.send(Buffer.of(length >> 8, length & 0xff, 7), server.local.port, "127.0.0.1");
    const [octets]: unknown[] = await answer;
    assert.ok(octets instanceof Buffer && octets.equals(Buffer.alloc(length, 7)), String(length));
  }
  // All of these are there before the server looks; two of each three are short answers, one is not.
  const wanted = 300;
  let got = 0;
  const all = new Promise<void>((resolve) => {
    client.on("message", (octets, from) => {
      assert.equal(from.port, server.local.port);
      assert.ok([40, 5000].includes(octets.length), String(octets.length));
      if (++got === wanted) resolve();
    });
  });
  for (let i = 0; i < wanted; i++)
    client.send(i % 3 === 0 ? Buffer.of(19, 136) : Buffer.of(0, 40), server.local.port, "127.0.0.1");
  await all;
  client.removeAllListeners("message");
  const long = once(client, "message");
  client.send(Buffer.alloc(9000), server.local.port, "127.0.0.1");
  await long;
  // What no query is, is cut.
  assert.equal(sizes.at(-1), 8192);
});

test("a stream in the background, and nothing else, lets the process end", { skip }, () => {
  const code = `
    import { connect } from "node:net";
    import { nativeRuntime } from "@sotto/dns/runtime/native";
    const { network } = nativeRuntime();
    const local = { address: "127.0.0.1", port: 0 };
    const nothing = () => undefined;
    const udp = await network.bindDatagram(
      { local, connectTo: undefined, reusePort: false, isBackground: true },
      { onMessage: nothing, onError: nothing },
    );
    const listener = await network.listen(
      { local, tls: undefined, handshakeTimeoutMs: 1000, reusePort: false },
      {
        onFailure: nothing,
        onStream: (stream) => {
          stream.setHandlers({ onData: nothing, onEnd: nothing, onDrain: nothing, onClose: nothing });
          stream.setBackground(true);
          void listener.close();
          console.log("in the background", udp.local.port > 0);
        },
      },
    );
    connect(listener.local.port, "127.0.0.1").unref();
  `;
  const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning", "--input-type=module"];
  const run = spawnSync(process.execPath, [...flags, "-e", code], {
    cwd: import.meta.dirname,
    timeout: 20_000,
  });
  assert.equal(run.status, 0, run.stderr.toString());
  assert.equal(run.stdout.toString().trim(), "in the background true");
});
