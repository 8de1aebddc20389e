import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { type DescriptorLookup, takeInheritedSockets } from "./inherited-sockets.ts";
import { parseProcSockets } from "./proc-sockets.ts";

const UDP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 2765: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 42079 2 00000000eede03b6 0
 2766: 0100007F:9C40 010000E0:0035 01 00000000:00000000 00:00000000 00000000   101        0 42080 2 00000000eede03b7 0
`;
const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0355 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 38876 1 00000000abfd8baa 100 0 0 10 5
   1: 0100007F:0035 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 38877 1 00000000abfd8bab 100 0 0 10 5
`;
const TCP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: B80D0120000000000000000053000000:0035 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 42081 1 00000000f61f526a 100 0 0 10 0
`;

function lookup(links: Readonly<Record<number, string>>): DescriptorLookup {
  const tables: Readonly<Record<string, string>> = { udp: UDP, tcp: TCP, tcp6: TCP6 };
  return { link: (fd) => links[fd], table: (name) => tables[name] ?? "" };
}

test("bound UDP and listening TCP sockets are told with address, port and inode", () => {
  assert.deepEqual(parseProcSockets("udp", UDP), [
    { layer: "udp", local: { address: "127.0.0.1", port: 53 }, inode: "42079" },
  ]);
  assert.deepEqual(parseProcSockets("tcp", TCP), [
    { layer: "tcp", local: { address: "127.0.0.1", port: 853 }, inode: "38876" },
  ]);
  assert.deepEqual(parseProcSockets("tcp6", TCP6), [
    { layer: "tcp", local: { address: "2001:db8::53", port: 53 }, inode: "42081" },
  ]);
  assert.deepEqual(parseProcSockets("udp", "what is this?\n1: 0: 0:\n"), []);
});

test("sockets of the service manager are taken once, with their names and places", () => {
  const environment = { LISTEN_PID: "7", LISTEN_FDS: "3", LISTEN_FDNAMES: "dns:dns:tls", HOME: "/" };
  const links = { 3: "socket:[42079]", 4: "socket:[42081]", 5: "socket:[38876]" };
  const { sockets, problems } = takeInheritedSockets(environment, 7, lookup(links));
  assert.deepEqual(sockets, [
    { fd: 3, name: "dns", layer: "udp", local: { address: "127.0.0.1", port: 53 } },
    { fd: 4, name: "dns", layer: "tcp", local: { address: "2001:db8::53", port: 53 } },
    { fd: 5, name: "tls", layer: "tcp", local: { address: "127.0.0.1", port: 853 } },
  ]);
  assert.deepEqual(problems, []);
  assert.deepEqual(environment, { HOME: "/" }, "children must not take them, too");
});

test("descriptors that are no use are told, each with why", () => {
  const environment = { LISTEN_PID: "7", LISTEN_FDS: "4" };
  const links = { 3: "/var/log/x", 4: "socket:[1]", 5: "socket:[38877]" };
  const { sockets, problems } = takeInheritedSockets(environment, 7, lookup(links));
  assert.deepEqual(sockets, []);
  assert.deepEqual(
    problems.map((problem) => problem.slice(0, 46)),
    [
      "descriptor 3 (unknown) is no socket but /var/l",
      "descriptor 4 (unknown) is no UDP socket and no",
      "descriptor 5 (unknown) is no UDP socket and no",
      "descriptor 6 (unknown) is not open, although t",
    ],
  );
});

for (const [what, environment] of [
  ["nothing", {}],
  ["another process", { LISTEN_PID: "8", LISTEN_FDS: "1" }],
  ["no process", { LISTEN_FDS: "1" }],
  ["none", { LISTEN_PID: "7", LISTEN_FDS: "0" }],
] as const)
  test(`variables for ${what} give no sockets`, () => {
    const variables: Record<string, string | undefined> = { ...environment };
    assert.deepEqual(takeInheritedSockets(variables, 7, lookup({})), { sockets: [], problems: [] });
    assert.deepEqual(variables, {});
  });

for (const count of ["", "-1", "two", "513", "99999"])
  test(`a count of ${JSON.stringify(count)} is refused`, () => {
    assert.throws(
      () => takeInheritedSockets({ LISTEN_PID: "7", LISTEN_FDS: count }, 7, lookup({})),
      (error) => DnsError.is(error, "ERR_CONFIG") && error.message.includes("at most 512"),
    );
  });
