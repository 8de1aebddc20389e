import assert from "node:assert/strict";
import { test } from "node:test";
import { CLIENT_ROWS } from "../rows-client.ts";
import { SERVER_ROWS } from "../rows-server.ts";
import { deckTable, deckTotals } from "./deck-2016.ts";

test("the tables of 2016 have the totals that were counted on the slides", () => {
  const [servers, clients] = [deckTable("server"), deckTable("client")];
  assert.ok(servers && clients);
  assert.equal(deckTotals(servers), "8 Released, 1 Patch, 4 WIP, 8 None");
  assert.equal(deckTotals(clients), "19 Released, 3 Patch, 5 WIP, 21 None");
  for (const { products, features } of [servers, clients])
    for (const { key, cells } of features) assert.equal(cells.length, products.length, key);
});

test("each row of 2016 is a row of today, in the same order", () => {
  for (const [kind, rows] of [
    ["server", SERVER_ROWS],
    ["client", CLIENT_ROWS],
  ] as const) {
    const deck = rows.filter((row) => row.deck !== undefined).map(({ key }) => key);
    assert.deepEqual(
      deckTable(kind)?.features.map(({ key }) => key),
      deck,
    );
  }
});

test("a column of today knows its column of 2016 by its name", () => {
  const of = (kind: "server" | "client", title: string): string | undefined =>
    deckTable(kind)?.products.find(({ today }) => today.test(title))?.name;
  assert.equal(of("server", "unbound 1.17"), "Unbound");
  assert.equal(of("server", "named"), "BIND");
  assert.equal(of("server", "kresd 5"), "Knot Resolver");
  assert.equal(of("server", "Sotto"), undefined);
  assert.equal(of("client", "stubby"), "getdns");
  assert.equal(of("client", "dig 9.18"), "BIND (dig)");
  assert.equal(of("client", "digit"), "digit");
  assert.equal(of("client", "kdig"), "Knot (kdig)");
});
