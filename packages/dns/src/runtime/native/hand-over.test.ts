/** Connections that a listener gives away and one takes: in one thread, as if there were two. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { makeAuthority } from "../../../../sotto/src/operations/index.ts";
import type { ByteStream, Endpoint, ListenHandlers, ListenOptions, StreamListener } from "../network.ts";
import { AcceptedConnections } from "../node/index.ts";
import { type AcceptedDescriptor, closeDescriptor, nativeRuntime } from "./index.ts";

const skip = nativeRuntime().engineProblem ?? false;
const nothing = (): undefined => undefined;
const HEADER = "PROXY TCP4 192.0.2.9 198.51.100.1 40000 853\r\n";

interface Stand {
  readonly listener: StreamListener;
  readonly accepted: AcceptedConnections<AcceptedDescriptor>;
  /** Settles with what has been given away first, and where. */
  readonly given: Promise<readonly [AcceptedDescriptor, string]>;
  readonly closed: AcceptedDescriptor[];
}

/** A listener that gives its first connections away, one unless it says otherwise. */
async function openStand(
  context: TestContext,
  options: Partial<ListenOptions>,
  handlers: Partial<ListenHandlers>,
): Promise<Stand> {
  const given = Promise.withResolvers<readonly [AcceptedDescriptor, string]>();
  const closed: AcceptedDescriptor[] = [];
  const accepted = new AcceptedConnections<AcceptedDescriptor>({
    give(connection, place) {
      given.resolve([connection, place]);
      return true;
    },
    close(connection) {
      closed.push(connection);
      closeDescriptor(connection.fd);
    },
  });
  const { network } = nativeRuntime(undefined, undefined, accepted);
  const local = { address: "127.0.0.1", port: 0 };
  const listener = await network.listen(
    { local, tls: undefined, handshakeTimeoutMs: 5000, reusePort: false, ...options },
    { onStream: nothing, onFailure: nothing, ...handlers },
  );
  context.after(() => listener.close());
  return { listener, accepted, given: given.promise, closed };
}

function clientOf(context: TestContext, { local }: { readonly local: Endpoint }): Socket {
  const client = connect(local.port, "127.0.0.1");
  client.on("error", nothing);
  context.after(() => client.destroy());
  return client;
}

/** Collects until all is there. */
function textOf(stream: ByteStream, length: number): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    stream.setHandlers({
      onData(octets) {
        text += Buffer.from(octets).toString("latin1");
        if (text.length === length) resolve(text);
      },
      onEnd: () => stream.end(),
      onDrain: nothing,
      onClose: nothing,
    });
  });
}

test("who takes a connection admits it, and knows both ends, also on a listener for all addresses", {
  skip,
}, async (context) => {
  const asked: Endpoint[] = [];
  const arrived = Promise.withResolvers<ByteStream>();
  const pending = { onProxied: () => true };
  const stand = await openStand(
    context,
    { local: { address: "0.0.0.0", port: 0 } },
    {
      onConnection: (remote) => {
        asked.push(remote);
        return pending;
      },
      onStream: (stream, its) => {
        assert.equal(its, pending);
        arrived.resolve(stream);
      },
    },
  );
  const client = clientOf(context, stand.listener);
  client.write("question");
  const [connection, place] = await stand.given;
  assert.deepEqual(asked, [], "not before it is taken");
  assert.equal(stand.accepted.adopt(connection, place), true);
  const stream = await arrived.promise;
  const remote = { address: "127.0.0.1", port: client.localPort };
  assert.deepEqual(asked, [remote]);
  assert.deepEqual(
    [stream.remote, stream.local],
    [remote, { ...stand.listener.local, address: "127.0.0.1" }],
  );
  assert.equal(await textOf(stream, 8), "question");
});

test("a PROXY header and a handshake are read by whoever takes the connection", { skip }, async (context) => {
  const authority = await makeAuthority("hand-over authority", Date.now());
  const pair = await authority.issue(["dns.example"], Date.now());
  const arrived = Promise.withResolvers<ByteStream>();
  const stand = await openStand(
    context,
    {
      tls: { ...pair, alpn: ["dot"], ticketKeys: undefined },
      proxy: { isTrusted: () => true, place: "before tls" },
    },
    {
      onStream: arrived.resolve,
      onFailure: (_remote, stage, problem) => assert.fail(`${stage}: ${problem}`),
    },
  );
  const below = clientOf(context, stand.listener);
  await once(below, "connect");
  below.write(HEADER);
  const client = connectTls({ socket: below, rejectUnauthorized: false });
  const [connection, place] = await stand.given;
  stand.accepted.adopt(connection, place);
  await once(client, "secureConnect");
  client.write("question");
  const stream = await arrived.promise;
  assert.deepEqual(stream.remote, { address: "192.0.2.9", port: 40_000 });
  assert.deepEqual(stream.local, { address: "198.51.100.1", port: 853 });
  assert.equal(await textOf(stream, 8), "question");
});

test("who takes a connection may turn it away", { skip }, async (context) => {
  const stand = await openStand(context, {}, { onConnection: () => undefined });
  const client = clientOf(context, stand.listener);
  const failed = new Promise((resolve) => client.on("error", resolve));
  stand.accepted.adopt(...(await stand.given));
  assert.equal(Reflect.get(Object(await failed), "code"), "ECONNRESET");
  assert.deepEqual(stand.closed, []);
});

test("a connection for a listener that has closed is closed once", { skip }, async (context) => {
  const stand = await openStand(context, {}, {});
  const client = clientOf(context, stand.listener);
  const closed = new Promise((resolve) => client.on("close", resolve));
  client.resume();
  const [connection, place] = await stand.given;
  await stand.listener.close();
  assert.equal(stand.accepted.adopt(connection, place), false);
  await closed;
  assert.deepEqual(stand.closed, [connection]);
});
