import assert from "node:assert/strict";
import { test } from "node:test";
import { subjectAltNamesOf } from "./node-certificate.ts";

test("names that Node throws for are no names [8310-8.1-a]", () => {
  const certificate = {
    get subjectAltName(): string {
      throw new Error("Failed to format subject alternative name");
    },
  };
  assert.deepEqual(subjectAltNamesOf(certificate), []);
});
