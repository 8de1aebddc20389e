import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { simRuntime } from "@sotto/dns/testing";
import { loadSet } from "./front-sets.ts";

/** What a file says is read in pieces, all of them into the same memory. */
for (const kind of ["addresses", "names"] as const)
  test(`a set of ${kind} has what stands at the start, in the middle and at the end of a large file`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "sotto-sets-"));
    try {
      const lines = Array.from({ length: 10_000 }, (_, i) =>
        kind === "addresses" ? `10.${i >> 8}.${i & 255}.0/24` : `name-${i}.example`,
      );
      const file = join(folder, "list");
      writeFileSync(file, lines.join("\n"));
      const config = { name: "list", kind, file, entries: [], format: "domains", reach: undefined } as const;
      const loaded = await loadSet(config, simRuntime(1).runtimeOf(["127.0.0.1"]));
      assert.equal(loaded.report.bad, 0);
      assert.equal(loaded.report.lines, 10_000);
      const count = loaded.kind === "addresses" ? loaded.report.prefixes : loaded.report.names;
      assert.equal(count, 10_000);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
