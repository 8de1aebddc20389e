/** Every credential, against servers that are right, wrong, lack something, or resume a session, by both profiles. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type MatrixRow, matrixPage, takeMatrix } from "../../scripts/evidence/authentication-matrix.ts";

type Pair = readonly [strict: string, opportunistic: string];
type Expected = Readonly<Record<string, Pair>>;

const by = (means: string): Pair => [`authenticated by ${means}`, `authenticated by ${means}`];
const resumed = (means: string): Pair => by(`${means}, resumed`);
const NOT_AUTHENTICATED = "refused: ERR_TLS_NOT_AUTHENTICATED at authenticate";
const REFUSED: Pair = [NOT_AUTHENTICATED, "encrypted"];
const STRANGER: Pair = [NOT_AUTHENTICATED, "encrypted, resumed"];
const NO_TLS: Pair = ["refused: ERR_CONNECT_REFUSED at connect", "clear"];
/** Its records cannot be fetched either: the server is asked for them over TLS. */
const NO_TLS_NO_RECORDS: Pair = ["refused: ERR_CONNECT_REFUSED at resolve", "clear"];
const NOTHING_TO_KNOW_IT_BY: Pair = ["refused: ERR_CONFIG", "encrypted"];

const NAME = "name dns.example";
const PIN = "pin sha256:…";
const DANE_EE = "DANE-EE 3 1 1";
const DANE_TA = `DANE-TA 2 0 1 and ${NAME}`;

const DANE_EE_EXPECTED: Expected = {
  "all is right": by(DANE_EE),
  // RFC 7671 §5.1: only the key counts.
  "certificate for another name": by(DANE_EE),
  "certificate with another key": REFUSED,
  "certificate of an unknown authority": by(DANE_EE),
  "certificate that has expired": by(DANE_EE),
  "TLSA record for another": REFUSED,
  "TLSA record that is bogus": REFUSED,
  "certificate without a name": by(DANE_EE),
  "no TLSA record, securely": REFUSED,
  "no TLS": NO_TLS_NO_RECORDS,
  "resumed session": resumed(DANE_EE),
  "resumed session with a stranger": STRANGER,
};

const EXPECTED: Readonly<Record<string, Expected>> = {
  name: {
    "all is right": by(NAME),
    "certificate for another name": REFUSED,
    "certificate with another key": by(NAME),
    "certificate of an unknown authority": REFUSED,
    "certificate that has expired": REFUSED,
    "certificate without a name": REFUSED,
    "no TLS": NO_TLS,
    "resumed session": resumed(NAME),
    "resumed session with a stranger": STRANGER,
  },
  pin: {
    "all is right": by(PIN),
    "certificate for another name": by(PIN),
    "certificate with another key": REFUSED,
    "certificate of an unknown authority": by(PIN),
    "certificate that has expired": by(PIN),
    "certificate without a name": by(PIN),
    "no TLS": NO_TLS,
    "resumed session": resumed(PIN),
    "resumed session with a stranger": STRANGER,
  },
  "name and pin": {
    "all is right": by(`${NAME} and ${PIN}`),
    "certificate for another name": REFUSED,
    "certificate with another key": REFUSED,
    "certificate of an unknown authority": REFUSED,
    "certificate that has expired": REFUSED,
    "certificate without a name": REFUSED,
    "no TLS": NO_TLS,
    "resumed session": resumed(`${NAME} and ${PIN}`),
    "resumed session with a stranger": STRANGER,
  },
  "DANE-EE only": DANE_EE_EXPECTED,
  "DANE-TA only": {
    "all is right": by(DANE_TA),
    "certificate for another name": REFUSED,
    "certificate with another key": by(DANE_TA),
    "certificate of an unknown authority": REFUSED,
    "certificate that has expired": REFUSED,
    "TLSA record for another": REFUSED,
    "TLSA record that is bogus": REFUSED,
    "certificate without a name": REFUSED,
    "no TLSA record, securely": REFUSED,
    "no TLS": NO_TLS_NO_RECORDS,
    "resumed session": resumed(DANE_TA),
    "resumed session with a stranger": STRANGER,
  },
  "DANE-EE preferred to the name": { ...DANE_EE_EXPECTED, "no TLSA record, securely": by(NAME) },
  none: {
    "all is right": NOTHING_TO_KNOW_IT_BY,
    "certificate for another name": NOTHING_TO_KNOW_IT_BY,
    "certificate with another key": NOTHING_TO_KNOW_IT_BY,
    "certificate of an unknown authority": NOTHING_TO_KNOW_IT_BY,
    "certificate that has expired": NOTHING_TO_KNOW_IT_BY,
    "certificate without a name": NOTHING_TO_KNOW_IT_BY,
    "no TLS": ["refused: ERR_CONFIG", "clear"],
    "resumed session": ["refused: ERR_CONFIG", "encrypted, resumed"],
    "resumed session with a stranger": ["refused: ERR_CONFIG", "encrypted, resumed"],
  },
};

const rows: readonly MatrixRow[] = await takeMatrix();

function assertCells(credential: string): void {
  const observed = rows
    .filter((row) => row.credential === credential)
    .map(({ situation, strict, opportunistic }) => [situation, [strict, opportunistic]]);
  assert.deepEqual(Object.fromEntries(observed), EXPECTED[credential]);
}

test("authentication by name, in every situation and by both profiles [8310-5-c 8310-6.6-c 8310-8.1-a 8310-8.1-b]", () =>
  assertCells("name"));

test("authentication by pin, in every situation and by both profiles [7858-4.2-a 7858-4.2-b]", () =>
  assertCells("pin"));

test("authentication by name and pin, in every situation and by both profiles [8310-6.4-a]", () =>
  assertCells("name and pin"));

test("authentication by DANE-EE only, in every situation and by both profiles [8310-8.2-a 8310-11-a 7671-5.1-a 7671-10-a]", () =>
  assertCells("DANE-EE only"));

test("authentication by DANE-TA only, in every situation and by both profiles [8310-8.2-a 8310-11-a 6698-2-a]", () =>
  assertCells("DANE-TA only"));

test("authentication by DANE-EE or else by name, in every situation and by both profiles [8310-8.2-a 7671-10-a]", () =>
  assertCells("DANE-EE preferred to the name"));

test("without a credential nobody is authenticated, and nobody asked strictly [8310-6.6-a 8310-6.6-b]", () =>
  assertCells("none"));

test("docs/evidence/authentication.md is what was observed", () => {
  assert.deepEqual(new Set(rows.map(({ credential }) => credential)), new Set(Object.keys(EXPECTED)));
  const page = readFileSync(join(import.meta.dirname, "../../docs/evidence/authentication.md"), "utf8");
  assert.equal(page, matrixPage(rows), "run npm run evidence:authentication -- --write");
});
