import assert from "node:assert/strict";
import { test } from "node:test";
import { problemToText } from "./explain.ts";
import { loadConfig } from "./load.ts";

const PAIR = "certificate: a.pem, key: a.key";
const TLS = `{ transport: tls, address: 192.0.2.53, ${PAIR} }`;

function told(
  listen: string,
  ddr: string,
  more = "",
): { readonly services: unknown; readonly warnings: string[] } {
  const loaded = loadConfig(`listen: [${listen}]\nddr: ${ddr}\n${more}`, "sotto.yaml");
  assert.ok(loaded.ok, loaded.ok ? "" : loaded.problems.map(problemToText).join("\n"));
  const { designation } = loaded.config;
  const services = designation?.services.map(
    ({ transport, port, path, addresses }) => `${transport} ${port} ${path ?? "-"} ${addresses.join(",")}`,
  );
  return { services, warnings: loaded.warnings.map(problemToText) };
}

function problemsOf(listen: string, ddr: string, more = ""): string {
  const loaded = loadConfig(`listen: [${listen}]\nddr: ${ddr}\n${more}`, "sotto.yaml");
  return loaded.ok ? "" : loaded.problems.map(problemToText).join("\n");
}

test("without a name clients are told of nothing", () => {
  assert.equal(told(TLS, "{}").services, undefined);
});

test("listeners that anybody can know again are told, those of one port together, TLS first", () => {
  const clients = "client-certificates: { authorities: ca.pem }";
  const listeners = [
    `{ transport: https, address: 192.0.2.53, path: /q, ${PAIR} }`,
    TLS,
    `{ transport: tls, address: "2001:db8::53", ${PAIR} }`,
    `{ transport: tls, address: 192.0.2.53, port: 8853, ${PAIR} }`,
    "{ transport: udp, address: 192.0.2.53 }",
    "{ transport: tls, address: 192.0.2.54, port: 1853 }",
    `{ transport: tls, address: 192.0.2.54, port: 2853, ${PAIR}, ${clients} }`,
    `{ transport: tls, address: 192.0.2.54, port: 0, ${PAIR} }`,
    "{ transport: https, address: 127.0.0.1, tls: off }",
  ];
  assert.deepEqual(told(listeners.join(", "), "{ name: dns.example }"), {
    services: ["tls 853 - 192.0.2.53,2001:db8::53", "tls 8853 - 192.0.2.53", "https 443 /q 192.0.2.53"],
    warnings: [],
  });
});

test("a listener on all addresses tells none unless they are given, which is worth a word", () => {
  const everywhere = `{ transport: tls, address: 0.0.0.0, ${PAIR} }`;
  const { services, warnings } = told(everywhere, "{ name: dns.example }");
  assert.deepEqual(services, ["tls 853 - "]);
  assert.match(warnings.join("\n"), /ddr\.name: is told without addresses/);
  const given = told(everywhere, '{ name: dns.example, addresses: ["2001:DB8::1", 192.0.2.1] }');
  assert.deepEqual(given, { services: ["tls 853 - 2001:db8::1,192.0.2.1"], warnings: [] });
});

test("names that help nobody are mistakes", () => {
  const cases: readonly (readonly [string, string, RegExp, string?])[] = [
    ["{ transport: udp, address: 192.0.2.53 }", "{ name: dns.example }", /ddr\.name: needs a listener/],
    ["{ transport: tls, address: 192.0.2.53 }", "{ name: dns.example }", /ddr\.name: needs a listener/],
    [TLS, "{ name: . }", /ddr\.name: is the root/],
    [TLS, "{ addresses: [192.0.2.1] }", /ddr\.addresses: are those of ddr\.name/],
    [TLS, "{ name: dns.example, addresses: [] }", /ddr\.addresses: /],
    // However its name is written: what was there would be answered by nobody.
    ...(
      [
        ["_dns.resolver.arpa.", /ddr\.name: is told in place of _dns\.resolver\.arpa/],
        [" _DNS.resolver.arpa", /ddr\.name: is told in place of _DNS\.resolver\.arpa/],
        ["\\\\095dns.resolver.arpa.", /ddr\.name: is told in place of _dns\.resolver\.arpa/],
        ["more.resolver.arpa.", /ddr\.name: is told in place of more\.resolver\.arpa/],
      ] as const
    ).map(([owner, expected]) => {
      const data = `"www.example. 300 IN A 192.0.2.1", "${owner} 300 IN SVCB 1 a.example. alpn=dot"`;
      return [TLS, "{ name: dns.example }", expected, `local-zones: { data: [${data}] }`] as const;
    }),
  ];
  for (const [listen, ddr, expected, more] of cases)
    assert.match(problemsOf(listen, ddr, more), expected, ddr);
});
