import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileChunks } from "./file-chunks.ts";

async function octetsOf(file: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const chunk of fileChunks(file)) pieces.push(Buffer.from(chunk));
  return Buffer.concat(pieces);
}

test("a file comes in pieces, from start to end, whatever its size", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-chunks-"));
  try {
    const file = join(folder, "list");
    for (const size of [0, 1, 16_384, 16_385, 100_000]) {
      const octets = Buffer.from(Uint8Array.from({ length: size }, (_, i) => i % 251));
      writeFileSync(file, octets);
      assert.deepEqual(await octetsOf(file), octets, `${size} octets`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a file that is not there rejects", async () => {
  await assert.rejects(octetsOf(join(tmpdir(), "sotto-chunks-none", "list")), { code: "ENOENT" });
});
