/** Our `node:dns` takes and refuses what Node's own does: no network is asked here. */
import assert from "node:assert/strict";
import nodeDns from "node:dns";
import { after, test } from "node:test";
import { isDeepStrictEqual, promisify } from "node:util";
import { createDns } from "@sotto/dns/node-dns";
import { brief, oldWays, outcome } from "./call-outcome.test-support.ts";

const ours = createDns({ upstreams: [{ address: "127.0.0.1", port: 1, transport: "udp" }] });
after(() => ours.close());

/** Both as tables of functions: what is passed here is wrong on purpose. */
type Table = Record<string, (...given: unknown[]) => unknown> & {
  promises: Table;
  Resolver: new (options?: unknown) => Table;
};
const [THEIRS, OURS] = [nodeDns, ours] as unknown as [Table, Table];

/** What older Nodes take or refuse in another way than Node 26 and we. */
const OLD_WAYS = oldWays([
  {
    before: "26.0",
    why: "looking up no name warns and gives no address, where Node 26 refuses",
    calls: [
      "no name",
      "no name with all",
      "an undefined name",
      "a null name",
      "zero as name",
      "promised: no name",
      "promised: no name at all",
    ],
  },
  {
    before: "24.0",
    why: "other words for it, and ports are cut to 16 bits",
    calls: [
      "lookupService of a number",
      "promised: lookupService of a number",
      "a server with a port too high",
    ],
  },
  {
    before: "22.23",
    why: "takes what it does not know",
    calls: ["a name with NUL", "a maxTimeout below"],
  },
]);

const done = (): void => undefined;
const long = "x".repeat(200);

const CALLS: Readonly<Record<string, (dns: Table) => unknown>> = {
  "no callback": (dns) => dns["resolve4"]?.("www.example"),
  "no callback but options": (dns) => dns["resolve4"]?.("www.example", { ttl: true }),
  "a number as name": (dns) => dns["resolve4"]?.(5, done),
  "nothing as name": (dns) => dns["resolveMx"]?.(undefined, done),
  "an object as name": (dns) => dns["resolveMx"]?.({}, done),
  "an object of a class as name": (dns) => dns["resolveMx"]?.(new Map(), done),
  "a function as name": (dns) => dns["resolveMx"]?.(done, done),
  "a symbol as name": (dns) => dns["resolveMx"]?.(Symbol("x"), done),
  "a bigint as name": (dns) => dns["resolveMx"]?.(10n, done),
  "a name for a promise": (dns) => dns.promises["resolveMx"]?.(null),
  "an unknown rrtype": (dns) => dns["resolve"]?.("x", "FOO", done),
  "an rrtype in lower case": (dns) => dns["resolve"]?.("x", "mx", done),
  "a long unknown rrtype": (dns) => dns["resolve"]?.("x", long, done),
  "a number as rrtype": (dns) => dns["resolve"]?.("x", 5, done),
  "nothing as rrtype": (dns) => dns["resolve"]?.("x", undefined, done),
  "resolve without callback": (dns) => dns["resolve"]?.("x", "MX"),
  "an unknown rrtype for a promise": (dns) => dns.promises["resolve"]?.("x", "FOO"),
  "a number as rrtype for a promise": (dns) => dns.promises["resolve"]?.("x", 5),
  "a number as name of resolve": (dns) => dns.promises["resolve"]?.(5),
  "reverse of no address": (dns) => dns["reverse"]?.("bogus", done),
  "reverse of a number": (dns) => dns["reverse"]?.(5, done),
  "reverse of no address for a promise": (dns) => dns.promises["reverse"]?.("bogus"),
  "reverse of a number for a promise": (dns) => dns.promises["reverse"]?.(5),
  "options as text": (dns) => dns["lookup"]?.("x", "bad", done),
  "options as text, no callback": (dns) => dns["lookup"]?.("x", "bad"),
  "options as boolean": (dns) => dns["lookup"]?.("x", true, done),
  "a family": (dns) => dns["lookup"]?.("x", 5, done),
  "a family in options": (dns) => dns["lookup"]?.("x", { family: 5 }, done),
  "a family as text": (dns) => dns["lookup"]?.("x", { family: "6" }, done),
  "hints that are none": (dns) => dns["lookup"]?.("x", { hints: 1 }, done),
  "hints as text": (dns) => dns["lookup"]?.("x", { hints: "a" }, done),
  "all as number": (dns) => dns["lookup"]?.("x", { all: 1 }, done),
  "verbatim as text": (dns) => dns["lookup"]?.("x", { verbatim: "x" }, done),
  "an order": (dns) => dns["lookup"]?.("x", { order: "a" }, done),
  "no name": (dns) => dns["lookup"]?.("", done),
  "no name with all": (dns) => dns["lookup"]?.("", { all: true }, done),
  "an undefined name": (dns) => dns["lookup"]?.(undefined, done),
  "a null name": (dns) => dns["lookup"]?.(null, {}, done),
  "zero as name": (dns) => dns["lookup"]?.(0, {}, done),
  "a name with NUL": (dns) => dns["lookup"]?.("a\0b", done),
  "lookup of a number": (dns) => dns["lookup"]?.(5, done),
  "lookup without callback": (dns) => dns["lookup"]?.("x"),
  "lookup with options without callback": (dns) => dns["lookup"]?.("x", {}),
  "lookup with a family without callback": (dns) => dns["lookup"]?.("x", 4),
  "lookup with a wrong callback": (dns) => dns["lookup"]?.("x", {}, 5),
  "promised: no name": (dns) => dns.promises["lookup"]?.(""),
  "promised: no name at all": (dns) => dns.promises["lookup"]?.(),
  "promised: options as text": (dns) => dns.promises["lookup"]?.("x", "bad"),
  "promised: a family": (dns) => dns.promises["lookup"]?.("x", 5),
  "promised: a family by name": (dns) => dns.promises["lookup"]?.("x", { family: "IPv4" }),
  "promised: hints": (dns) => dns.promises["lookup"]?.("x", { hints: 64 * 1024 }),
  "promised: a number as name": (dns) => dns.promises["lookup"]?.(5),
  "a literal": (dns) => dns.promises["lookup"]?.("192.0.2.1"),
  "a literal in a list": (dns) => dns.promises["lookup"]?.("2001:db8::1", { all: true }),
  "a literal of the other family": (dns) => dns.promises["lookup"]?.("192.0.2.1", { family: 6 }),
  "a literal with a zone": (dns) => dns.promises["lookup"]?.("fe80::1%lo"),
  "a literal as a number of options": (dns) => dns.promises["lookup"]?.("0.0.0.0", 4),
  "lookupService with too little": (dns) => dns["lookupService"]?.("127.0.0.1", 80),
  "lookupService of no address": (dns) => dns["lookupService"]?.("x", 1, done),
  "lookupService of a number": (dns) => dns["lookupService"]?.(1, 1, done),
  "lookupService of a port": (dns) => dns["lookupService"]?.("127.0.0.1", 70000, done),
  "lookupService of a port as text": (dns) => dns["lookupService"]?.("127.0.0.1", "http", done),
  "lookupService without port": (dns) => dns["lookupService"]?.("127.0.0.1", null, done),
  "lookupService without callback": (dns) => dns["lookupService"]?.("127.0.0.1", 1, 5),
  "promised: lookupService with too little": (dns) => dns.promises["lookupService"]?.("127.0.0.1"),
  "promised: lookupService of a port": (dns) => dns.promises["lookupService"]?.("127.0.0.1", -1),
  "promised: lookupService of a number": (dns) => dns.promises["lookupService"]?.(5, -1),
  "options of a prototype": (dns) => dns.promises["lookup"]?.("192.0.2.1", Object.create({ all: true })),
  "options of a class": (dns) => dns.promises["lookup"]?.("192.0.2.1", new Everything()),
  "promisified: a family by name": (dns) => made(dns, "lookup")("192.0.2.1", { family: "IPv4" }),
  "promisified: a list": (dns) => made(dns, "lookup")("192.0.2.1", { all: true }),
  "promisified: a family": (dns) => made(dns, "lookup")("192.0.2.1", 5),
  "promisified: a number as name": (dns) => made(dns, "lookup")(5),
  "promisified: nothing": (dns) => made(dns, "lookup")(),
  "promisified: lookupService of no address": (dns) => made(dns, "lookupService")("x", 1),
  "promisified: lookupService with too little": (dns) => made(dns, "lookupService")("127.0.0.1"),
  "old spellings of an address": (dns) => dns.promises["lookup"]?.("127.1"),
  "an address as one number": (dns) => dns.promises["lookup"]?.("2130706433", { all: true }),
  "an address in octal and hexadecimal": (dns) => dns.promises["lookup"]?.("010.0xA.511"),
  "an old spelling for the other family": (dns) => dns.promises["lookup"]?.("127.1", 6),
  "an old spelling for the other family, mapped": (dns) =>
    dns.promises["lookup"]?.("127.1", { family: 6, hints: nodeDns.V4MAPPED }),
  "wide digits": (dns) => dns.promises["lookup"]?.("１２７.1"),
  "a literal in order": (dns) => dns.promises["lookup"]?.("::1", { all: true, order: "ipv4first" }),
  "hints below": (dns) => dns["lookup"]?.("x", { hints: -1 }, done),
  "hints that are no number": (dns) => dns.promises["lookup"]?.("192.0.2.1", { hints: Number.NaN }),
  "a resolver that is called": (dns) => Reflect.apply(dns.Resolver, undefined, []),
  "options as rrtype": (dns) => dns["resolve"]?.("x", { ttl: true }, done),
  "options behind the callback": (dns) => dns["resolve4"]?.("x", done, { ttl: true }),
  "no timeout": (dns) => void new dns.Resolver({ timeout: 0 }),
  "a timeout as text": (dns) => void new dns.Resolver({ timeout: "a" }),
  "no tries": (dns) => void new dns.Resolver({ tries: 0 }),
  "a timeout below": (dns) => void new dns.Resolver({ timeout: -2 }),
  "a maxTimeout below": (dns) => void new dns.Resolver({ maxTimeout: -2 }),
  "half a try": (dns) => void new dns.Resolver({ tries: 1.5 }),
  "a number as options": (dns) => void new dns.Resolver(5),
  "null as options": (dns) => void new dns.Resolver(null),
  "promised: no tries": (dns) => void new dns.promises.Resolver({ tries: 0 }),
  "servers as text": (dns) => new dns.Resolver()["setServers"]?.("a"),
  "servers as numbers": (dns) => new dns.Resolver()["setServers"]?.([5]),
  "servers that are none": (dns) => new dns.Resolver()["setServers"]?.(["a"]),
  "servers without host": (dns) => new dns.Resolver()["setServers"]?.([":53"]),
  "a server with a port too high": (dns) => new dns.Resolver()["setServers"]?.(["192.0.2.1:99999"]),
  "no servers": (dns) => new dns.Resolver()["setServers"]?.([]),
  "a local address that is none": (dns) => new dns.Resolver()["setLocalAddress"]?.("bad"),
  "a second local address that is none": (dns) => new dns.Resolver()["setLocalAddress"]?.("127.0.0.1", "bad"),
  "no local address": (dns) => new dns.Resolver()["setLocalAddress"]?.(),
  "two local addresses of a family": (dns) =>
    new dns.Resolver()["setLocalAddress"]?.("127.0.0.1", "127.0.0.2"),
  "local addresses": (dns) => new dns.Resolver()["setLocalAddress"]?.("127.0.0.1", "::1"),
  "local addresses the other way round": (dns) => new dns.Resolver()["setLocalAddress"]?.("::1", "127.0.0.1"),
  "a local address of IPv6": (dns) => new dns.Resolver()["setLocalAddress"]?.("::1"),
  "an order of results": (dns) => dns["setDefaultResultOrder"]?.("x"),
  "an order of results for promises": (dns) => dns.promises["setDefaultResultOrder"]?.("x"),
  "the order of results": (dns) => dns["getDefaultResultOrder"]?.(),
};

class Everything {
  get all(): boolean {
    return true;
  }
}

function made(dns: Table, method: string): (...given: unknown[]) => unknown {
  return promisify(dns[method] ?? assert.fail(method));
}

test("arguments are taken and refused as Node does, with the same errors", async () => {
  const differences: string[] = [];
  for (const [what, call] of Object.entries(CALLS)) {
    const [theirs, mine] = await Promise.all([outcome(() => call(THEIRS)), outcome(() => call(OURS))]);
    const isSame = isDeepStrictEqual(mine, theirs);
    if (isSame && OLD_WAYS.has(what)) differences.push(`${what}: does not differ`);
    if (!isSame && !OLD_WAYS.has(what))
      differences.push(`${what}\n  ours   ${brief(mine)}\n  Node's ${brief(theirs)}`);
  }
  if (differences.length > 0) assert.fail(differences.join("\n"));
});

test("servers are told as Node tells them", () => {
  const servers = [
    "192.0.2.1",
    "192.0.2.2:53",
    "192.0.2.3:5353",
    "2001:db8::1",
    "[2001:db8::2]",
    "[2001:db8::3]:53",
    "[2001:db8::4]:5353",
    "2001:DB8:0::5",
    "fe80::1%lo",
    "[fe80::2%lo]:5353",
    "192.0.2.1:53",
    "192.0.2.7:00053",
    "192.0.2.8:65535",
    "::ffff:192.0.2.9",
    "192.0.2.1",
    "[2001:db8::4]:5353",
  ];
  const [theirs, mine] = [new nodeDns.Resolver(), new ours.Resolver()];
  for (const resolver of [theirs, mine]) resolver.setServers(servers);
  assert.deepEqual(mine.getServers(), theirs.getServers());
});

test("port 0 of a server is that of DNS, as with Node 26; Node 22 aborts", () => {
  const resolver = new ours.Resolver();
  resolver.setServers(["192.0.2.6:0", "[2001:db8::6]:0"]);
  assert.deepEqual(resolver.getServers(), ["192.0.2.6", "2001:db8::6"]);
});

test("what getServers tells may be set again, with others beside it", () => {
  const pins = [`${"A".repeat(43)}=`];
  const spec = { address: "192.0.2.1", port: 8853, name: "dns.example", pins };
  const facade = createDns({ upstreams: [spec, { ...spec, port: 8854 }, "tls://two.example?ip=192.0.2.2"] });
  const told = facade.getServers();
  const resolver = new facade.Resolver();
  resolver.setServers(["tls://three.example?ip=192.0.2.3", ...told]);
  assert.deepEqual(resolver.getServers(), ["tls://three.example?ip=192.0.2.3", ...told]);
  resolver.setServers(resolver.getServers());
  assert.equal(resolver.getServers().length, 4);
  assert.throws(() => resolver.setServers([...told, "dns9.example (192.0.2.1)"]), {
    code: "ERR_INVALID_IP_ADDRESS",
  });
  void facade.close();
});

test("everything that Node exports is there", () => {
  const pairs: readonly (readonly [name: string, theirs: object, mine: object])[] = [
    ["module", nodeDns, ours],
    ["promises", nodeDns.promises, ours.promises],
    ["Resolver", nodeDns.Resolver.prototype, ours.Resolver.prototype],
  ];
  for (const [name, theirs, mine] of pairs) {
    for (const key of Object.keys(theirs)) {
      const [their, my]: unknown[] = [Reflect.get(theirs, key), Reflect.get(mine, key)];
      assert.equal(typeof my, typeof their, `${name}.${key}`);
      if (typeof their !== "function" && typeof their !== "object") assert.equal(my, their, `${name}.${key}`);
    }
  }
  for (const method of Object.keys(nodeDns.Resolver.prototype))
    assert.ok(Object.hasOwn(ours.Resolver.prototype, method), `${method} is the class's own`);
  for (const key of ["cancel", "getServers", "setServers", "setLocalAddress"])
    assert.equal(typeof Reflect.get(ours.promises.Resolver.prototype, key), "function", key);
});

/** cacheable-lookup takes a resolver that is no instance of the class with promises for one with callbacks, and waits forever. */
test("resolvers are instances of Node's classes, with nothing of Node's to be called", () => {
  assert.ok(new ours.Resolver() instanceof nodeDns.Resolver);
  assert.ok(new ours.promises.Resolver() instanceof nodeDns.promises.Resolver);
  assert.ok(!(new ours.Resolver() instanceof nodeDns.promises.Resolver));
  assert.ok(!(new nodeDns.Resolver() instanceof ours.Resolver));
  for (const [resolver, Node] of [
    [new ours.Resolver(), nodeDns.Resolver],
    [new ours.promises.Resolver(), nodeDns.promises.Resolver],
  ] as const)
    for (let at: object = Node.prototype; at !== Object.prototype; at = Object.getPrototypeOf(at))
      for (const key of Object.getOwnPropertyNames(at))
        assert.notEqual(Reflect.get(resolver, key), Reflect.get(at, key), key);
});

test("functions have the names and lengths of Node's own", () => {
  const shapes = (dns: Table): string[] =>
    [dns, dns.promises].flatMap((table, form) =>
      Object.keys(nodeDns.promises)
        .filter((key) => typeof table[key] === "function" && !/^(?:setServers|Resolver)$/.test(key))
        .map((key) => `${key} ${table[key]?.name} ${form === 0 ? table[key]?.length : ""}`)
        .sort(),
    );
  assert.deepEqual(shapes(OURS), shapes(THEIRS));
});

test("promisified lookups give objects, as Node's do", async () => {
  for (const dns of [nodeDns, ours])
    assert.deepEqual(await promisify(dns.lookup)("192.0.2.1"), { address: "192.0.2.1", family: 4 });
});

test("what a callback throws is an uncaught exception and no rejection", async () => {
  const { promise, resolve } = Promise.withResolvers<[Error, string]>();
  const before = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.once("uncaughtException", (error, origin) => resolve([error, origin]));
  ours.lookup("192.0.2.1", () => {
    throw new Error("thrown in a callback");
  });
  const [error, origin] = await promise;
  for (const listener of before) process.on("uncaughtException", listener);
  assert.equal(error.message, "thrown in a callback");
  assert.equal(origin, "uncaughtException");
});
