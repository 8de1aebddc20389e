import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "../config/index.ts";
import type { InheritedSocket } from "../operations/index.ts";
import { placeSockets, socketDirective } from "./inherited-listeners.ts";

const loaded = loadConfig(
  `listen:
  - { transport: udp, address: 127.0.0.1 }
  - { transport: tcp, address: 127.0.0.1 }
  - { transport: tls, address: "2001:db8::53" }
`,
  "test.yaml",
);
assert.ok(loaded.ok);
const { listeners } = loaded.config;

function socket(
  fd: number,
  name: string,
  layer: "udp" | "tcp",
  address: string,
  port: number,
): InheritedSocket {
  return { fd, name, layer, local: { address, port } };
}

/** Descriptors by listener, and what is left over. */
function placed(...sockets: InheritedSocket[]): object {
  const { of, without, unused } = placeSockets(listeners, sockets);
  return {
    of: listeners.map((listener) => of.get(listener)?.fd),
    without: without.map(socketDirective),
    unused: unused.map(({ fd }) => fd),
  };
}

test("without sockets nothing is missing", () => {
  assert.deepEqual(placed(), { of: [undefined, undefined, undefined], without: [], unused: [] });
});

test("sockets find their listeners by address, port and layer, in any order", () => {
  const sockets = [
    socket(3, "s", "tcp", "2001:db8::53", 853),
    socket(4, "s", "tcp", "127.0.0.1", 53),
    socket(5, "s", "udp", "127.0.0.1", 53),
  ];
  assert.deepEqual(placed(...sockets), { of: [5, 4, 3], without: [], unused: [] });
});

test("a socket elsewhere finds its listener by a name that is a transport", () => {
  const sockets = [socket(3, "tls", "tcp", "192.0.2.1", 8853), socket(4, "tcp", "tcp", "127.0.0.1", 53)];
  assert.deepEqual(placed(...sockets), {
    of: [undefined, 4, 3],
    without: ["ListenDatagram=127.0.0.1:53"],
    unused: [],
  });
});

test("what does not fit is left over on both sides", () => {
  const sockets = [socket(3, "udp", "tcp", "192.0.2.1", 53), socket(4, "s", "udp", "127.0.0.1", 54)];
  assert.deepEqual(placed(...sockets), {
    of: [undefined, undefined, undefined],
    without: ["ListenDatagram=127.0.0.1:53", "ListenStream=127.0.0.1:53", "ListenStream=[2001:db8::53]:853"],
    unused: [3, 4],
  });
});
