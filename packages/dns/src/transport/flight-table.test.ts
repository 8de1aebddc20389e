import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@sotto/dns/testing";
import { FlightTable } from "./flight-table.ts";

class Flight {
  id = -1;
  nth = 0;
  next: Flight | undefined = undefined;
}

test("a table of flights does what a map does, whatever comes and goes", () => {
  const random = new SeededRandom(5);
  const table = new FlightTable<Flight>();
  const expected = new Map<number, Flight>();
  for (let step = 0; step < 20_000; step++) {
    // Few different ids, so that chains are long and ids come again.
    const id = random.below(300) * 64;
    const known = expected.get(id);
    assert.equal(table.get(id), known, `step ${step}`);
    if (known === undefined) {
      const flight = new Flight();
      table.add(id, flight);
      expected.set(id, flight);
    } else {
      table.remove(known);
      expected.delete(id);
      assert.equal(known.next, undefined);
    }
    assert.equal(table.size, expected.size);
  }
  assert.deepEqual(table.values(), [...expected.values()]);
  table.clear();
  assert.equal(table.size, 0);
  assert.deepEqual(table.values(), []);
});

test("removing what is not there changes nothing", () => {
  const table = new FlightTable<Flight>();
  const [one, other] = [new Flight(), new Flight()];
  table.add(1, one);
  other.id = 1;
  table.remove(other);
  assert.equal(table.size, 1);
  table.remove(one);
  table.remove(one);
  assert.equal(table.size, 0);
});
