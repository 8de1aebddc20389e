/**
 * Run in namespaces of its own (`node-dns-lookup.test.ts` does that) with a resolv.conf and a hosts file of its own: asks Node's
 * `lookup`, which is the C library's getaddrinfo, and ours the same, and prints the differences as JSON.
 */
import nodeDns from "node:dns";
import { readFileSync, writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { createDns } from "@sotto/dns/node-dns";
import { brief, type Outcome, outcome } from "../integration/call-outcome.test-support.ts";
import { ZoneServer } from "../integration/zone-server.test-support.ts";

const ZONE = `
foo\\032bar A 192.0.2.21
-x A 192.0.2.22
x- A 192.0.2.23
a_b A 192.0.2.24
sl/ash A 192.0.2.25
u\\@ser A 192.0.2.26
back\\\\slash A 192.0.2.27
to-odd CNAME foo\\032bar
www A 192.0.2.1
four A 192.0.2.4
six AAAA 2001:db8::6
alias CNAME www
both A 192.0.2.9
both AAAA 2001:db8::9
dangling CNAME nowhere
text TXT "no address here"
search.sub A 192.0.2.11
xn--mnchen-3ya A 192.0.2.10
in-file A 192.0.2.200
1.2.0.192.in-addr.arpa. PTR www
9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR both
`;

const server = await ZoneServer.open(ZONE, { address: "127.0.0.1", port: 53 });
const ours = createDns({
  upstreams: [{ address: "127.0.0.1", transport: "udp" }],
  search: "system",
  timeoutMs: 3000,
});

const NAMES = [
  "www.example",
  "www.example.",
  "WWW.example",
  "four.example",
  "six.example",
  "alias.example",
  "both.example",
  "dangling.example",
  "text.example",
  "absent.example",
  "servfail.example",
  "refused.example",
  "münchen.example",
  "localhost",
  "in-file.example",
  "own-name",
  "search",
  "search.sub",
  "search.sub.example",
  "a..b",
  "x".repeat(64),
  "192.0.2.77",
  "2001:db8::77",
  "nowhere",
  "absent.",
  "onlysix",
  "127.1",
  "0x7f.0.0.1",
  "2130706433",
  "010.1.2",
  "1.2.3.4.5",
  "256.1.1.1",
  "08.1",
  "4294967296",
  "127.1.",
  "192.0.2.77.",
  "１２７.1",
  "ü/x.example",
  "fe80::1%lo",
  "foo bar.example",
  "-x.example",
  "x-.example",
  "a_b.example",
  "sl/ash.example",
  "u@ser.example",
  "back\\\\slash.example",
  "to-odd.example",
  "http://www.example",
  "www.example:80",
  "*.example",
  "localhost.",
  "x.localhost",
  "own-name.example.",
];
const { ADDRCONFIG, ALL, V4MAPPED } = nodeDns;
const OPTIONS = [
  undefined,
  4,
  6,
  0,
  {},
  { all: true },
  { all: true, family: 4 },
  { all: true, family: 6 },
  { family: "IPv4" as const },
  { hints: ADDRCONFIG, all: true },
  { family: 6, hints: V4MAPPED },
  { family: 6, hints: V4MAPPED | ALL, all: true },
  { all: true, order: "ipv4first" as const },
  { all: true, order: "ipv6first" as const },
  { all: true, verbatim: false },
  { all: true, family: 6, hints: ADDRCONFIG },
];

/** Where we mean to differ, by the beginning of the call. */
const MEANT: Readonly<Record<string, string>> = {
  "lookup(localhost, { all: true, family: 4 })": "glibc gives 127.0.0.1 twice when ::1 is localhost, too",
  "promises.lookup(localhost, { all: true, family: 4 })": "the same",
  "lookup(localhost, { family: 6, hints: 24, all: true })": "the same",
  "promises.lookup(localhost, { family: 6, hints: 24, all: true })": "the same",
  "lookup(localhost.,": "loopback names are those of this machine, with a final dot, too (RFC 6761 §6.3)",
  "promises.lookup(localhost.,": "the same",
  "lookup(x.localhost,": "the same below it",
  "promises.lookup(x.localhost,": "the same",
  "lookup(own-name.example.,": "names of the hosts file have no final dot there and may have one here",
  "promises.lookup(own-name.example.,": "the same",
  "lookupService(192.0.2.2,": "Node's error of the promise does not tell the address",
  "reverse(127.0.0.1)": "c-ares keeps the name of a hosts line to itself and gives its aliases only",
  "reverse(192.0.2.55)": "the same",
};

const differences: string[] = [];
const unmet = new Set(Object.keys(MEANT));
let calls = 0;

async function compare(what: string, theirs: () => unknown, mine: () => unknown): Promise<void> {
  calls++;
  const [their, my] = [await outcome(theirs), await outcome(mine)];
  if (isDeepStrictEqual(alike(my), alike(their))) return;
  const meant = Object.keys(MEANT).find((call) => what.startsWith(call));
  if (meant !== undefined) unmet.delete(meant);
  else differences.push(`${what}: ours ${brief(my)}, Node's ${brief(their)}`);
}

/** For a name without addresses glibc says now that it has none (-3007), now that it is not there (-3008); Node's code is one. */
function alike([kind, value]: Outcome): unknown {
  const isNone = typeof value === "object" && value !== null && "errno" in value && value.errno === -3007;
  return [kind, isNone ? { ...value, errno: -3008 } : value];
}

/** Wrong on purpose, some of them. */
type AnyLookup = (
  hostname: string,
  options: unknown,
  callback: (error: Error | null, ...found: unknown[]) => void,
) => void;
type AnyPromise = (hostname: string, options: unknown) => Promise<unknown>;

for (const name of NAMES)
  for (const options of OPTIONS) {
    const called = (lookup: AnyLookup) => () =>
      new Promise((resolve, reject) => {
        lookup(name, options, (error, ...found) => (error === null ? resolve(found) : reject(error)));
      });
    await compare(
      `lookup(${name}, ${brief(options)})`,
      called(nodeDns.lookup as AnyLookup),
      called(ours.lookup as AnyLookup),
    );
    await compare(
      `promises.lookup(${name}, ${brief(options)})`,
      () => (nodeDns.promises.lookup as AnyPromise)(name, options),
      () => (ours.promises.lookup as AnyPromise)(name, options),
    );
  }
for (const address of ["127.0.0.1", "::1", "192.0.2.1", "192.0.2.2", "2001:db8::9", "192.0.2.55"])
  for (const port of [22, 80, 853, 0, 65535, 12345])
    await compare(
      `lookupService(${address}, ${port})`,
      () => nodeDns.promises.lookupService(address, port),
      () => ours.promises.lookupService(address, port),
    );
for (const address of ["127.0.0.1", "192.0.2.55", "192.0.2.1"])
  await compare(
    `reverse(${address})`,
    () => nodeDns.promises.reverse(address),
    () => ours.promises.reverse(address),
  );

await followsTheSystem();
await ours.close();
await server[Symbol.asyncDispose]();
for (const call of unmet) differences.push(`${call} does not differ`);
console.log(JSON.stringify({ calls, differences }));

/** What the system's files say counts from when they are written. */
async function followsTheSystem(): Promise<void> {
  const [resolvConf, hosts] = [readFileSync("/etc/resolv.conf", "utf8"), readFileSync("/etc/hosts", "utf8")];
  const drifting = createDns({ timeoutMs: 1000 });
  const other = await ZoneServer.open("moved A 192.0.2.12", { address: "127.0.0.9", port: 53 });
  const told = async (name: string): Promise<string> =>
    drifting.promises.lookup(name, 4).then(
      ({ address }) => address,
      ({ code }) => String(code),
    );
  const expect = async (name: string, wanted: string): Promise<void> => {
    let last = "";
    // The files are looked at every second.
    for (let tries = 0; tries < 40 && last !== wanted; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      last = await told(name);
    }
    if (last !== wanted) differences.push(`${name} is ${last}, not ${wanted}`);
  };
  await expect("moved.example", "ENOTFOUND");
  writeFileSync("/etc/resolv.conf", "nameserver 127.0.0.9\n");
  await expect("moved.example", "192.0.2.12");
  if (drifting.getServers().join() !== "127.0.0.9") differences.push(`servers ${drifting.getServers()}`);
  writeFileSync("/etc/hosts", `${hosts}192.0.2.99 moved.example\n`);
  await expect("moved.example", "192.0.2.99");
  writeFileSync("/etc/resolv.conf", resolvConf);
  writeFileSync("/etc/hosts", hosts);
  await Promise.all([drifting.close(), other[Symbol.asyncDispose]()]);
}
