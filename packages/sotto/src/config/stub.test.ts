import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { problemToText } from "./explain.ts";
import { type LoadedConfig, loadConfig } from "./load.ts";
import { systemServers } from "./load-stub.ts";

const PIN = "62lKu9HsDVbyiPenApnc4sfmSYTHOVfFgL3pyB+cBL4=";
const BACKUP_PIN = "foxZRnIh9gZpWnl+zEiKa0EJ2rdCGroMWm02gaxSc9Q=";

function load(text: string): LoadedConfig & { ok: true } {
  const loaded = loadConfig(text, "stub.yaml", "stub");
  assert.ok(loaded.ok, loaded.ok ? "" : loaded.problems.map(problemToText).join("\n"));
  return loaded;
}

function problemsOf(text: string, purpose: "stub" | "serve" = "stub"): string[] {
  const loaded = loadConfig(text, "stub.yaml", purpose);
  return loaded.ok ? [] : loaded.problems.map(problemToText);
}

const zoneOf = (text: string) => {
  const [zone] = load(text).config.forwardZones;
  assert.ok(zone?.profiled !== undefined);
  return { ...zone.profiled, choice: zone.choice };
};

test("a stub asks its upstreams for everything, strictly unless it is told otherwise [8310-5-a]", () => {
  const { profile, plans, manners, choice } = zoneOf(`
stub:
  choice: fastest
  upstreams:
    - tls://dns.example?ip=192.0.2.1
    - { address: "2001:db8::1", pins: ["sha256:${PIN}"], port: 8853 }
`);
  assert.deepEqual([profile, choice], ["strict", "fastest"]);
  assert.deepEqual(
    plans.map(({ address, tlsPort, name, pins }) => [address, tlsPort, name, pins]),
    [
      ["192.0.2.1", 853, "dns.example", []],
      ["2001:db8::1", 8853, undefined, [PIN]],
    ],
  );
  assert.deepEqual(
    [manners.outagePatienceMs, manners.tryTimeoutMs, manners.padBlockOctets, manners.hideClientSubnet],
    [4500, 2000, 128, true],
  );
  const { config } = load("stub: { upstreams: [192.0.2.1], profile: opportunistic }");
  assert.deepEqual(
    config.listeners.map(({ transport }) => transport),
    ["udp", "tcp"],
  );
});

test("upstreams may be known by TLSA records, in every form", () => {
  const { plans } = zoneOf(`
stub:
  upstreams:
    - tls://dns.example?ip=192.0.2.1&dane=only
    - { address: 192.0.2.2, name: dns.example, dane: prefer }
    - { address: 192.0.2.3, name: dns.example, dane: off }
`);
  assert.deepEqual(
    plans.map(({ dane }) => dane),
    ["only", "prefer", undefined],
  );
  assert.match(
    problemsOf("stub:\n  upstreams: [{ address: 192.0.2.1, dane: only }]").join(),
    /needs the upstream's name/,
  );
  const zone = 'forward-zones:\n  - { name: ".", upstreams: ["tls://dns.example?ip=192.0.2.1&dane=only"]';
  assert.match(problemsOf(`${zone} }`, "serve").join(), /DANE needs a profile/);
  assert.deepEqual(problemsOf(`${zone}, profile: strict }`, "serve"), []);
});

test("an upstream with one pin is told of, wherever it stands, and works [7858-4.2-a]", () => {
  const warningsOf = (text: string, purpose: "stub" | "serve" | "either" = "stub"): string[] => {
    const loaded = loadConfig(text, "stub.yaml", purpose);
    assert.ok(loaded.ok);
    return loaded.warnings.map(problemToText);
  };
  const at = (place: string) =>
    new RegExp(`^stub\\.yaml:${place}: has one pin: .*backup key.*RFC 7858 §4\\.2`);
  const pins = (...all: string[]): string =>
    `stub:\n  upstreams:\n    - tls://192.0.2.1?${all.map((pin) => `pin=sha256:${pin}`).join("&")}\n`;
  for (const purpose of ["stub", "either"] as const) {
    const [warning = "", ...more] = warningsOf(pins(PIN), purpose);
    assert.match(warning, at("3: stub\\.upstreams\\[0\\]"));
    assert.deepEqual(more, []);
  }
  assert.deepEqual(warningsOf(pins(PIN, BACKUP_PIN)), []);
  assert.equal(warningsOf(pins(PIN, PIN)).length, 1, "the same twice is one");
  assert.deepEqual(warningsOf("stub: { upstreams: [192.0.2.1@853#dns.example] }"), []);
  assert.match(
    warningsOf(
      `forward-zones:\n  - name: corp.example.\n    upstreams: ["tls://192.0.2.1?pin=sha256:${PIN}"]`,
      "serve",
    )[0] ?? "",
    at("3: forward-zones\\[0\\]\\.upstreams\\[0\\]"),
  );
  assert.match(
    warningsOf(
      `upstream_recursive_servers:\n  - address_data: 192.0.2.1\n    tls_pubkey_pinset:\n      - { digest: sha256, value: "${PIN}" }\n`,
    )[0] ?? "",
    at("2: upstream_recursive_servers\\[0\\]"),
  );
});

test("the configurations of docs/stub.md load, without a warning", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../../docs/stub.md"), "utf8");
  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, yaml = ""]) => yaml);
  assert.equal(blocks.length, 2);
  assert.deepEqual(load(blocks.join("\n")).warnings, []);
});

test("a file is read as what it looks like when nobody says for which program it is", () => {
  const isStub = (text: string): boolean => {
    const loaded = loadConfig(text, "a.yaml", "either");
    assert.ok(loaded.ok, loaded.ok ? "" : loaded.problems.map(problemToText).join());
    return loaded.config.portal !== undefined;
  };
  assert.equal(isStub("stub: { upstreams: [192.0.2.1@853#dns.example] }"), true);
  assert.equal(isStub(SERVER), true);
  assert.equal(isStub("resolver: { port: 53 }"), false);
  assert.equal(isStub(""), false);
});

test("authorities without a certificate are refused: with them nobody could ever be authenticated", (context) => {
  const file = join(mkdtempSync(join(tmpdir(), "sotto-config-")), "ca.pem");
  context.after(() => rmSync(dirname(file), { recursive: true }));
  writeFileSync(file, "# the bundle was not installed\n");
  assert.match(
    problemsOf(`stub: { upstreams: [{ address: 192.0.2.1, authorities: ${file}, name: a.example }] }`).join(),
    /upstreams\[0\]: authorities: .*ca\.pem holds no certificate in PEM/,
  );
});

test("upstreams may be known by name only, and bootstrap servers tell where they are", () => {
  const named = zoneOf(`
stub:
  upstreams: [tls://dns.example, { name: other.example, dane: only }]
  bootstrap: [192.0.2.1, tls://192.0.2.2, 192.0.2.3@853#boot.example]
  state-file: /var/lib/sotto/addresses.json
`);
  assert.deepEqual(
    named.plans.map(({ address, name, dane }) => [address, name, dane]),
    [
      [undefined, "dns.example", undefined],
      [undefined, "other.example", "only"],
    ],
  );
  assert.deepEqual(
    named.bootstrap?.map(({ address, transport, name }) => [address, transport, name]),
    [
      ["192.0.2.1", "auto", undefined],
      ["192.0.2.2", "tls", undefined],
      ["192.0.2.3", "tls", "boot.example"],
    ],
  );
  assert.equal(named.addressStateFile, "/var/lib/sotto/addresses.json");
  const beside = zoneOf("stub: { upstreams: [tls://dns.example, 192.0.2.1@853#dns.example] }");
  assert.deepEqual(beside.bootstrap, []);
});

test("whoever can only ask itself is told so before it tries", () => {
  const named = "stub: { upstreams: [tls://dns.example]";
  assert.match(
    problemsOf(`${named} }`).join(),
    /stub\.upstreams: upstream tls:\/\/dns\.example has no address, and nobody/,
  );
  assert.match(
    problemsOf(`${named}, bootstrap: [127.0.0.1] }`).join(),
    /bootstrap\[0\]: 127\.0\.0\.1 is this resolver itself/,
  );
  const listen = 'listen: [{ transport: udp, address: "::", port: 5300 }]\n';
  assert.match(
    problemsOf(`${listen}${named}, bootstrap: ["udp://[::1]:5300"] }`).join(),
    /is this resolver itself/,
  );
  assert.deepEqual(problemsOf(`${listen}${named}, bootstrap: ["udp://[::1]:53"] }`), []);
  assert.match(
    problemsOf("stub: { upstreams: [udp://127.0.0.1], profile: opportunistic }").join(),
    /upstreams\[0\]: udp:\/\/127\.0\.0\.1 is this resolver itself/,
  );
  assert.match(
    problemsOf(`${named}, bootstrap: [tls://boot.example] }`).join(),
    /has no address, by which alone/,
  );
});

test("designated resolvers are looked for unless the profile is strict, which cannot rest on them [8310-7.3-a]", () => {
  assert.equal(zoneOf("stub: { upstreams: [192.0.2.1], profile: opportunistic }").discovery, "verified");
  assert.equal(
    zoneOf("stub: { upstreams: [192.0.2.1], profile: opportunistic, discovery: off }").discovery,
    "off",
  );
  assert.equal(zoneOf("stub: { upstreams: [192.0.2.1@853#a.example] }").discovery, "off");
  assert.match(
    problemsOf("stub: { upstreams: [192.0.2.1], discovery: verified }").join(),
    /upstreams\[0\]: upstream 192\.0\.2\.1 would have to be asked in clear .* 192\.0\.2\.1@853#192\.0\.2\.1/,
  );
});

test("resolv.conf tells bootstrap servers, and that it names this resolver only", () => {
  const told: string[] = [];
  const ourselves = [{ address: "127.0.0.1", port: 53 }];
  const serversIn = (text: string): string =>
    (systemServers(text, ourselves, (_path, message) => told.push(message)) ?? [])
      .map(({ address }) => address)
      .join(" ");
  assert.equal(serversIn("nameserver 127.0.0.1\nnameserver 192.0.2.1\n"), "192.0.2.1");
  assert.deepEqual(told, []);
  assert.equal(serversIn("nameserver 127.0.0.1\n"), "");
  assert.match(told.join(), /names nobody but this resolver itself/);
});

test("what a stub cannot do is told with its place", () => {
  assert.deepEqual(problemsOf("stub: {}"), [
    "stub.yaml:1: stub.upstreams: names nobody to ask, such as tls://dns.example?ip=192.0.2.1",
  ]);
  assert.match(
    problemsOf("stub:\n  upstreams: [192.0.2.1]").join(),
    /^stub\.yaml:2: stub\.upstreams\[0\]: the strict profile needs a name or a pin/,
  );
  assert.match(problemsOf("stub:\n  upstreams:\n    - nonsense").join(), /^stub\.yaml:3: /);
  assert.match(
    problemsOf(
      "stub: { upstreams: [{ address: 192.0.2.1, authorities: /nowhere.pem, name: a.example }] }",
    ).join(),
    /nowhere\.pem/,
  );
  assert.match(
    problemsOf("stub: { upstreams: [{ address: 192.0.2.1, port: 53, name: a.example }] }").join(),
    /port 53 is for clear DNS/,
  );
  assert.match(
    problemsOf(
      "stub: { upstreams: [192.0.2.1, udp://192.0.2.2], profile: opportunistic, never-clear: true }",
    ).join(),
    /^stub\.yaml:1: stub\.upstreams\[1\]: is asked in clear, which never-clear forbids$/,
  );
  assert.match(problemsOf("stub: { upstreams: [192.0.2.1] }", "serve").join(), /is for `sotto stub`/);
});

const SERVER = `upstream_recursive_servers:
  - address_data: 192.0.2.1
    tls_auth_name: "dns.example"
    tls_pubkey_pinset:
      - digest: "sha256"
        value: ${PIN}
      - digest: "sha256"
        value: ${BACKUP_PIN}
`;

test("stubby.yml as Debian ships it is a strict stub", () => {
  const loaded = load(`resolution_type: GETDNS_RESOLUTION_STUB
dns_transport_list:
  - GETDNS_TRANSPORT_TLS
tls_authentication: GETDNS_AUTHENTICATION_REQUIRED
tls_query_padding_blocksize: 128
edns_client_subnet_private : 1
round_robin_upstreams: 1
idle_timeout: 10000
listen_addresses:
  - 127.0.0.1@8053
  - 0::1
${SERVER}`);
  assert.deepEqual(loaded.warnings, []);
  const [zone] = loaded.config.forwardZones;
  assert.equal(zone?.profiled?.profile, "strict");
  assert.equal(zone?.choice, "round-robin");
  assert.deepEqual(zone?.profiled?.plans[0]?.pins, [PIN, BACKUP_PIN]);
  assert.equal(loaded.config.dnssec.validation, false);
  assert.deepEqual(
    loaded.config.listeners.map(({ transport, local }) => `${transport} ${local.address} ${local.port}`),
    ["udp 127.0.0.1 8053", "tcp 127.0.0.1 8053", "udp ::1 53", "tcp ::1 53"],
  );
  assert.equal(loaded.config.upstreamConnections.connection?.idleTimeoutMs, 10_000);
});

test("nothing gets weaker than stubby.yml asks for", () => {
  const encrypted = zoneOf(
    `dns_transport_list: [GETDNS_TRANSPORT_TLS]\ntls_authentication: GETDNS_AUTHENTICATION_NONE\n${SERVER}`,
  );
  assert.deepEqual([encrypted.profile, encrypted.manners.neverClear], ["opportunistic", true]);
  const mixed = zoneOf(`dns_transport_list: [GETDNS_TRANSPORT_TLS, GETDNS_TRANSPORT_UDP]\n${SERVER}`);
  assert.deepEqual([mixed.profile, mixed.manners.neverClear], ["opportunistic", false]);
  assert.match(
    problemsOf(
      `dns_transport_list: [GETDNS_TRANSPORT_TLS, GETDNS_TRANSPORT_TCP]\ntls_authentication: GETDNS_AUTHENTICATION_REQUIRED\n${SERVER}`,
    ).join(),
    /stub\.yaml:1: dns_transport_list: lists clear transports/,
  );
  const clear = load(`dns_transport_list: [GETDNS_TRANSPORT_UDP]\n${SERVER}`);
  assert.match(
    clear.warnings.map(problemToText).join(),
    /stub\.yaml:1: dns_transport_list: does not begin with TLS/,
  );
});

test("pins in hexadecimal digits, other ports, an authority file and validation are taken over from stubby.yml", () => {
  const hex = Buffer.from(PIN, "base64").toString("hex");
  const { plans } = zoneOf(`tls_port: 8853
dnssec: GETDNS_EXTENSION_TRUE
upstream_recursive_servers:
  - { address_data: 192.0.2.1, tls_pubkey_pinset: [ { digest: sha256, value: "${hex}" } ] }
  - { address_data: 192.0.2.2, tls_auth_name: dns.example., tls_port: 9853 }
tls_authentication: GETDNS_AUTHENTICATION_REQUIRED
`);
  assert.deepEqual(
    plans.map(({ tlsPort, name }) => [tlsPort, name]),
    [
      [8853, undefined],
      [9853, "dns.example"],
    ],
  );
  assert.equal(load(`dnssec_return_status: GETDNS_EXTENSION_TRUE\n${SERVER}`).config.dnssec.validation, true);
});

/** Keys of Stubby's and getdns' documentation that have no counterpart. */
const PASSED_OVER = [
  "tls_ca_path",
  "dnssec_return_validation_chain",
  "dnssec_trust_anchors",
  "trust_anchors_url",
  "trust_anchors_verify_CA",
  "trust_anchors_verify_email",
  "trust_anchors_backoff_time",
  "appdata_dir",
  "tls_connection_retries",
  "tls_backoff_time",
  "limit_outstanding_queries",
  "tls_cipher_list",
  "tls_ciphersuites",
  "tls_curves_list",
  "tls_min_version",
  "tls_max_version",
  "follow_redirects",
  "suffix",
  "append_name",
  "namespaces",
  "hosts",
  "resolvconf",
  "edns_maximum_udp_payload_size",
  "edns_extended_rcode",
  "edns_version",
  "edns_do_bit",
  "edns_cookies",
  "log_level",
];

test("what stubby.yml asks for and is not given says so", () => {
  const told = (value: string): string =>
    load(`${SERVER}tls_min_version: ${value}\n`).warnings.map(problemToText).join();
  assert.match(told("GETDNS_TLS1_3"), /tls_min_version: .* weaker than the file asks for/);
  assert.doesNotMatch(told("GETDNS_TLS1_2"), /weaker/);
});

test("keys of stubby.yml without a counterpart, and unknown ones, are told and change nothing", () => {
  for (const key of [...PASSED_OVER, "tls_authentification"]) {
    const { warnings, config } = load(
      `${SERVER}tls_authentication: GETDNS_AUTHENTICATION_REQUIRED\n${key}: 5\n`,
    );
    assert.equal(warnings.length, 1, key);
    assert.match(
      problemToText(warnings[0] ?? { file: "", line: 0, path: "", message: "" }),
      new RegExp(`^stub\\.yaml:10: ${key}: `),
    );
    assert.equal(config.forwardZones[0]?.profiled?.profile, "strict");
  }
});

test("what says how a server is known and cannot be read is a problem, never as if it were not there", () => {
  const wrong: readonly [text: string, expected: RegExp][] = [
    [`tls_authentication: GETDNS_AUTHENTICATON_REQUIRED\n${SERVER}`, /tls_authentication: may be/],
    [`tls_authentication: yes\n${SERVER}`, /tls_authentication: may be/],
    [`tls_ca_file: [a.pem]\n${SERVER}`, /tls_ca_file: must be text/],
    [`tls_port: secure\n${SERVER}`, /tls_port: must be a number/],
    [`dns_transport_list: [constructor]\n${SERVER}`, /may have GETDNS_TRANSPORT_TLS/],
    [SERVER.replace('"dns.example"', "[dns.example]"), /tls_auth_name: must be text/],
    [SERVER.replace('"dns.example"', '""'), /tls_auth_name: must be text/],
    [SERVER.replace(/pinset:[\s\S]*/, "pinset: { digest: sha256 }\n"), /tls_pubkey_pinset: must be a list/],
  ];
  for (const [text, expected] of wrong) assert.match(problemsOf(text).join(), expected, text);
});

test("no other zone takes the place of the stub's upstreams", () => {
  const stub = "stub: { upstreams: [192.0.2.1@853#dns.example] }\n";
  for (const zones of [
    'forward-zones: [{ name: ".", upstreams: ["udp://192.0.2.7"] }]',
    'stub-zones: [{ name: ".", servers: ["192.0.2.7"] }]',
  ])
    assert.match(problemsOf(`${stub}${zones}`).join(), /the root is the stub's own/, zones);
  const own = `${stub}forward-zones: [{ name: corp.example, upstreams: ["udp://192.0.2.7"] }]`;
  assert.deepEqual(problemsOf(own), []);
});

test("a broken stubby.yml is refused with places", () => {
  assert.match(problemsOf("upstream_recursive_servers: []").join(), /names nobody to ask/);
  assert.match(
    problemsOf("upstream_recursive_servers:\n  - address_data: dns.example").join(),
    /^stub\.yaml:2: .*must be an IP address/,
  );
  assert.match(
    problemsOf(`resolution_type: GETDNS_RESOLUTION_RECURSING\n${SERVER}`).join(),
    /^stub\.yaml:1: resolution_type: only GETDNS_RESOLUTION_STUB/,
  );
  assert.match(
    problemsOf(`listen_addresses: [loopback]\n${SERVER}`).join(),
    /^stub\.yaml:1: listen_addresses\[0\]: must be an IP address/,
  );
  assert.match(
    problemsOf(`dns_transport_list: [GETDNS_TRANSPORT_PIGEON]\n${SERVER}`).join(),
    /may have GETDNS_TRANSPORT_TLS/,
  );
  assert.match(problemsOf(`idle_timeout: soon\n${SERVER}`).join(), /idle_timeout: must be a number/);
});
