import assert from "node:assert/strict";
import { test } from "node:test";
import { AcceptedConnections } from "./accepted-connections.ts";

const LOCAL = { address: "192.0.2.1", port: 853 };
const PLACE = "192.0.2.1 port 853";

/** Connections are texts; what becomes of them is logged. */
function stand(): { readonly accepted: AcceptedConnections<string>; readonly log: string[] } {
  const log: string[] = [];
  const close = (connection: string): void => void log.push(`closed ${connection}`);
  return { accepted: new AcceptedConnections<string>({ give: () => false, close }), log };
}

test("a connection goes to whoever listens where it came in, or is closed", () => {
  const { accepted, log } = stand();
  assert.equal(accepted.adopt("a", PLACE), false);
  const close = accepted.opened(LOCAL, (connection) => log.push(`taken ${connection}`));
  assert.equal(accepted.adopt("b", PLACE), true);
  assert.equal(accepted.adopt("c", "192.0.2.1 port 53"), false);
  close();
  assert.equal(accepted.adopt("d", PLACE), false);
  assert.deepEqual(log, ["closed a", "taken b", "closed c", "closed d"]);
});

// A reload opens a place anew before what was there is closed, and that may be closed twice, once when it drains and once when it has.
// Each time the new one lost its place, and all that other threads gave to this one was closed.
test("the end of a listener does not end another one at the same place", () => {
  const { accepted, log } = stand();
  const open = (name: string): (() => void) =>
    accepted.opened(LOCAL, (connection) => log.push(`${name} took ${connection}`));
  const closeFirst = open("first");
  const closeSecond = open("second");
  closeFirst();
  accepted.adopt("a", PLACE);
  closeFirst();
  accepted.adopt("b", PLACE);
  const closeThird = open("third");
  accepted.adopt("c", PLACE);
  closeThird();
  accepted.adopt("d", PLACE);
  closeSecond();
  accepted.adopt("e", PLACE);
  assert.deepEqual(log, ["second took a", "second took b", "third took c", "second took d", "closed e"]);
});
