import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { effectiveSettings, frontReference, problemToText, settingsReference } from "./explain.ts";
import { loadConfig, loadConfigFile } from "./load.ts";

function problemsOf(text: string): string[] {
  const loaded = loadConfig(text, "sotto.yaml");
  return loaded.ok ? [] : loaded.problems.map(problemToText);
}

test("an empty file means the defaults: loopback only, recursive", () => {
  const loaded = loadConfig("", "sotto.yaml");
  assert.ok(loaded.ok);
  assert.deepEqual(
    loaded.config.listeners.map(({ transport, local }) => `${transport} ${local.address} ${local.port}`),
    ["udp 127.0.0.1 53", "tcp 127.0.0.1 53", "tls 127.0.0.1 853"],
  );
  assert.deepEqual(loaded.config.access.allow, ["127.0.0.0/8", "::1/128"]);
  assert.equal(loaded.config.resolver.rootHints, undefined);
  assert.equal(loaded.config.resolver.deadlineMs, 8000);
});

test("the configuration in the README loads", () => {
  const readme = readFileSync(join(import.meta.dirname, "../../../../README.md"), "utf8");
  const yaml = /```yaml\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  const loaded = loadConfig(yaml, "README.md");
  assert.ok(loaded.ok, loaded.ok ? "" : loaded.problems.map(problemToText).join("\n"));
  assert.equal(loaded.config.forwardZones[0]?.upstreams[0]?.authName, "dns.corp.example");
});

test("unknown keys are errors with their line and a suggestion, all at once", () => {
  assert.deepEqual(
    problemsOf(
      "listen:\n  - transport: udp\n    adress: 127.0.0.1\n    address: 127.0.0.1\ncahce: { size: 1MiB }\n",
    ),
    [
      'sotto.yaml:3: listen[0].adress: unknown key, did you mean "address"?',
      'sotto.yaml:5: cahce: unknown key, did you mean "cache"?',
    ],
  );
});

test("wrong values are told with line, path and what is wanted", () => {
  for (const [text, expected] of [
    ["cache:\n  size: 64\n", /sotto\.yaml:2: cache\.size: .*expected string/],
    ["cache:\n  size: 64MB\n", /sotto\.yaml:2: cache\.size: "64MB" is not a size such as 64KiB/],
    ["resolver:\n  deadline: 5\n", /sotto\.yaml:2: resolver\.deadline: /],
    ["resolver: { deadline: 1ms }", /sotto\.yaml:1: resolver\.deadline: is outside/],
    [
      "access:\n  allow: [192.0.2.1/24]\n",
      /sotto\.yaml:2: access\.allow\[0\]: .*bits set behind its prefix length/,
    ],
    [
      "forward-zones:\n  - name: example.\n    upstreams: [tls://dns.example]\n",
      /sotto\.yaml:3: forward-zones\[0\]\.upstreams\[0\]: .*add \?ip=ADDRESS/,
    ],
    ["listen: [{ transport: tls, address: 127.0.0.1, port: 53 }]", /never uses port 53/],
    ["listen: [{ transport: tls, address: 127.0.0.1, certificate: a.pem }]", /belong together/],
    [
      "listen:\n  - { transport: udp, address: 127.0.0.1 }\n  - { transport: udp, address: 127.0.0.1 }\n",
      /sotto\.yaml:3: listen\[1\]: another listener/,
    ],
    ["listen: [", /not valid YAML/],
    ["listen: *nobody", /sotto\.yaml: not valid YAML: Unresolved alias .*nobody/],
    [
      "a: &a [1]\nb: &b [*a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c]",
      /not valid YAML: Excessive alias count/,
    ],
    ["cache: { min-ttl: 2d }", /is longer than max-ttl/],
    ['local-zones: { data: ["x.example. 300 IN A 1.2.3"] }', /local-zones\.data\[0\]/],
  ] as const) {
    assert.match(problemsOf(text).join("\n"), expected, text);
  }
});

test("settings of https that do not fit together are told with what to do", () => {
  const https = (rest: string): string => `listen:\n  - { transport: https, address: 192.0.2.1, ${rest} }\n`;
  for (const [text, expected] of [
    [
      https("tls: off"),
      /sotto\.yaml:2: listen\[0\]: tls: off is for a proxy .* loopback address, or .* proxy\.from/,
    ],
    [
      https("tls: off, proxy: { from: [192.0.2.9], place: inside-tls }"),
      /inside TLS only where there is TLS/,
    ],
    [https("tls: off, proxy: { from: [192.0.2.9] }, certificate: a.pem, key: a.key"), /of use only with TLS/],
    [
      https("tls: off, proxy: { from: [192.0.2.9] }, client-certificates: { pins: [] }"),
      /of use only with TLS/,
    ],
    [https("path: dns-query"), /must begin with \//],
    [https('path: "/dns-query{?dns}"'), /write it without/],
    [https("path: /dns query"), /only characters that a URI allows/],
    ["listen: [{ transport: tls, address: 127.0.0.1, path: /x }]", /path is of use only for transport https/],
    ["listen: [{ transport: tcp, address: 127.0.0.1, tls: off }]", /tls is of use only for transport https/],
    [
      "listen: [{ transport: tls, address: 127.0.0.1, proxy: { from: [192.0.2.9], place: http-header } }]",
      /only https has HTTP headers: take before-tls/,
    ],
  ] as const)
    assert.match(problemsOf(text).join("\n"), expected, text);
});

test("https has a port and a path when nobody says so, and may be in clear where nobody listens", () => {
  for (const [rest, port, path, usesTls] of [
    ["address: 192.0.2.1", 443, "/dns-query", true],
    ["address: 127.0.0.1, tls: off", 80, "/dns-query", false],
    ['address: "::1", tls: off, port: 8080', 8080, "/dns-query", false],
    [
      "address: 192.0.2.1, tls: off, proxy: { from: [192.0.2.9], place: http-header }",
      80,
      "/dns-query",
      false,
    ],
    ["address: 192.0.2.1, tls: on, path: /a/b~c", 443, "/a/b~c", true],
  ] as const) {
    const loaded = loadConfig(`listen: [{ transport: https, ${rest} }]`, "sotto.yaml");
    assert.ok(loaded.ok, rest);
    const [listener] = loaded.config.listeners;
    assert.deepEqual([listener?.local.port, listener?.path, listener?.usesTls], [port, path, usesTls], rest);
  }
});

test("a file that cannot be read is a problem, not a crash", () => {
  const loaded = loadConfigFile("/nonexistent/sotto.yaml");
  assert.ok(!loaded.ok);
  assert.match(loaded.problems.map(problemToText).join(), /\/nonexistent\/sotto\.yaml: cannot be read/);
});

test("root hints come from a zone file beside the configuration, and an empty one is a problem", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-config-"));
  context.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(
    join(folder, "root.hints"),
    ". 300 NS a.root.example.\na.root.example. 300 A 192.0.2.1\na.root.example. 300 AAAA 2001:db8::1\nother.example. 300 A 192.0.2.9\n",
  );
  writeFileSync(join(folder, "empty.hints"), "; nothing\n");
  writeFileSync(join(folder, "good.yaml"), "resolver: { root-hints: root.hints }");
  writeFileSync(join(folder, "bad.yaml"), "resolver: { root-hints: empty.hints }");
  const good = loadConfigFile(join(folder, "good.yaml"));
  assert.ok(good.ok);
  assert.deepEqual(
    good.config.resolver.rootHints?.map(({ name, address }) => `${name.toString()} ${address}`),
    ["a.root.example. 192.0.2.1", "a.root.example. 2001:db8::1"],
  );
  assert.equal(loadConfigFile(join(folder, "bad.yaml")).ok, false);
});

test("the effective file loads to itself", () => {
  const loaded = loadConfig("cache: { size: 128MiB }", "a.yaml");
  assert.ok(loaded.ok);
  const text = effectiveSettings(loaded.settings);
  const again = loadConfig(text, "b.yaml");
  assert.ok(again.ok);
  assert.equal(effectiveSettings(again.settings), text);
});

test("the reference page in docs is what the schema says today", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../../docs/reference/config.md"), "utf8");
  assert.equal(page, settingsReference(), "run npm run docs");
  const front = readFileSync(join(import.meta.dirname, "../../../../docs/reference/front.md"), "utf8");
  assert.equal(front, frontReference(), "run npm run docs");
});

test("one worker per core for a server, one for a stub, and a number within reason", () => {
  const workersOf = (text: string, purpose: "serve" | "stub" = "serve"): unknown => {
    const loaded = loadConfig(text, "sotto.yaml", purpose);
    return loaded.ok ? loaded.config.workers : loaded.problems.map(({ path }) => path);
  };
  const stub = "stub: { upstreams: ['tls://dns.example?ip=192.0.2.1'] }\n";
  assert.deepEqual(
    [workersOf(""), workersOf("workers: 3"), workersOf("workers: 0"), workersOf("workers: 65")],
    ["auto", 3, ["workers"], ["workers"]],
  );
  assert.deepEqual([workersOf(stub, "stub"), workersOf(`${stub}workers: 2`, "stub")], [1, 2]);
});
