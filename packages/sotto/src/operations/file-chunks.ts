/** A file in pieces, with turns of the event loop between them, so that a large one stops nobody. */
import { open } from "node:fs/promises";

/**
 * Rejects, at the first piece, when the file cannot be read. A piece is valid until the next one is asked for: all are read into
 * the same memory, so that a large file leaves nothing behind for the collector.
 */
export async function* fileChunks(file: string): AsyncGenerator<Uint8Array> {
  const handle = await open(file);
  try {
    const chunk = new Uint8Array(CHUNK_OCTETS);
    for (;;) {
      const { bytesRead } = await handle.read(chunk, 0, chunk.length);
      if (bytesRead === 0) return;
      yield chunk.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

/** A list of names takes some milliseconds for that much. */
const CHUNK_OCTETS = 16 * 1024;
