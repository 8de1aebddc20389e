import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName } from "@sotto/dns/wire";
import { parseHosts } from "./hosts-file.ts";
import { parseResolvConf } from "./resolv-conf.ts";
import { searchCandidates } from "./search-list.ts";
import { readUpstream } from "./upstream-spec.ts";

test("resolv.conf is read as the system reads it", () => {
  const text = `# a comment
nameserver 192.0.2.1
nameserver fe80::1%eth0   ; link-local
nameserver nonsense
domain old.example
search a.example b.example
options timeout:1 ndots:3 rotate
`;
  const { servers, search, ndots } = parseResolvConf(text);
  assert.deepEqual(
    servers,
    ["192.0.2.1", "fe80::1%eth0"],
    "a link-local address is nothing without its interface",
  );
  assert.deepEqual(search.map(String), ["a.example.", "b.example."], "the last of domain and search counts");
  assert.equal(ndots, 3);
  assert.deepEqual(parseResolvConf("").servers, ["127.0.0.1"]);
  assert.equal(parseResolvConf("options ndots:99").ndots, 15);
});

test("the hosts file gives addresses of names and names of addresses", () => {
  const { addresses, names } = parseHosts(`127.0.0.1 localhost
192.0.2.7\tPrinter.lan printer # both
2001:DB8::7 printer
nonsense here
192.0.2.7 printer
192.0.2.8 bad..name
`);
  assert.deepEqual(addresses.get("printer"), ["192.0.2.7", "2001:db8::7"]);
  assert.deepEqual(names.get("192.0.2.7"), ["printer.lan", "printer"]);
  assert.equal(addresses.has("bad..name"), false);
});

test("names are searched for in the order that ndots asks for", () => {
  const domains = ["a.example.", "b.example."].map((text) => parseName(text));
  const of = (text: string, ndots = 1): string[] => searchCandidates(text, { domains, ndots }).map(String);
  assert.deepEqual(of("www"), ["www.a.example.", "www.b.example.", "www."]);
  assert.deepEqual(of("www.x"), ["www.x.", "www.x.a.example.", "www.x.b.example."]);
  assert.deepEqual(of("www.x", 2), ["www.x.a.example.", "www.x.b.example.", "www.x."]);
  assert.deepEqual(of("www.x."), ["www.x."]);
  assert.deepEqual(of("a..b"), []);
  const long = `${"a".repeat(63)}.`.repeat(3) + "a".repeat(56);
  assert.deepEqual(of(long), [`${long}.`], "longer ones would be too long");
});

test("an upstream may be a link-local address of one of this machine's interfaces, in every form", () => {
  const address = "fe80::1%eth0";
  for (const given of [
    address,
    `udp://[${address}]`,
    `${address}@853#dns.example`,
    `tls://dns.example?ip=${encodeURIComponent(address)}`,
    { address },
  ])
    assert.equal(readUpstream(given).address, address, JSON.stringify(given));
});
