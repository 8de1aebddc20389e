/** A file in pieces, with turns of the event loop between them, so that a large one stops nobody. */
import { createReadStream } from "node:fs";

/** Rejects, at the first piece, when the file cannot be read. */
export async function* fileChunks(file: string): AsyncGenerator<Uint8Array> {
  // A stream without encoding gives octets.
  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_OCTETS }))
    yield chunk as Uint8Array;
}

/** A list of names takes some milliseconds for that much. */
const CHUNK_OCTETS = 16 * 1024;
