import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName, parseRecord, RRType } from "@sotto/dns/wire";
import { collectRRsets } from "./rrset-table.ts";

test("sets are put together in the order of the reply, whether they are few or many", () => {
  for (const count of [1, 8, 9, 40]) {
    const owners = Array.from({ length: count }, (_, i) => `n${i}.example.`);
    const first = owners.map((owner) => parseRecord(`${owner} 300 A 192.0.2.1`));
    const again = owners.map((owner) => parseRecord(`${owner.toUpperCase()} 200 A 192.0.2.1`));
    const other = owners.map((owner) => parseRecord(`${owner} 400 A 192.0.2.2`));
    const table = collectRRsets([...first, ...again, ...other], [], parseName("example."), RRType.A);
    assert.deepEqual(
      table?.all().map(({ owner, ttlSeconds, rdatas }) => [owner.toString(), ttlSeconds, rdatas.length]),
      owners.map((owner) => [owner, 200, 2]),
    );
    for (const owner of owners) assert.notEqual(table?.get(parseName(owner), RRType.A), undefined);
    assert.equal(table?.get(parseName("n0.example."), RRType.AAAA), undefined);
  }
});
