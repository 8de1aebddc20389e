/**
 * A backend for the storm, as cheap as can be: TCP, pipelined, octets patched in place. The answer to `NONCE.storm.example AAAA`, where
 * the nonce has sixteen characters, is an address of these sixteen octets; every other question has no records. Started as a process:
 * `storm-backend.ts ADDRESS PORT`.
 */
import { createServer, type Socket } from "node:net";
import { NONCE_OCTETS } from "./storm-query.ts";

const [address = "127.0.0.1", port = "0"] = process.argv.slice(2);

createServer({ noDelay: true }, (socket) => {
  let rest: Buffer | undefined;
  socket.on("data", (chunk: Buffer) => {
    rest = serve(socket, rest === undefined ? chunk : Buffer.concat([rest, chunk]));
  });
  socket.on("error", () => socket.destroy());
}).listen(Number(port), address, 4096);

/** Answers all whole messages in one write; gives what is left. */
function serve(socket: Socket, octets: Buffer): Buffer | undefined {
  // An answer is longer than its query by one record, and a query is no shorter than this.
  const out = Buffer.allocUnsafe(octets.length * 2 + RECORD_OCTETS);
  let written = 0;
  let at = 0;
  while (octets.length - at >= 2) {
    const end = at + 2 + octets.readUInt16BE(at);
    if (end > octets.length) break;
    if (end - at >= SHORTEST_OCTETS) written = answer(octets, at + 2, end, out, written);
    at = end;
  }
  if (written > 0) socket.write(out.subarray(0, written));
  return at === octets.length ? undefined : octets.subarray(at);
}

/** Writes the framed answer to the query from `start` to `end`; gives where it ends. */
function answer(octets: Buffer, start: number, end: number, out: Buffer, at: number): number {
  let question = start + HEADER_OCTETS;
  while (question < end && (octets[question] ?? 0) !== 0) question += 1 + (octets[question] ?? 0);
  question += 5;
  const hasOpt = octets.readUInt16BE(start + 10) > 0;
  const hasNonce = octets[start + HEADER_OCTETS] === NONCE_OCTETS && question <= end;
  const message = at + 2;
  octets.copy(out, message, start, question);
  // A response, with recursion available, and RD as it was asked.
  out[message + 2] = 0x80 | ((octets[start + 2] ?? 0) & 1);
  out[message + 3] = 0x80;
  out.writeUInt32BE(0x1_0000 | (hasNonce ? 1 : 0), message + 4);
  out.writeUInt32BE(hasOpt ? 1 : 0, message + 8);
  let next = message + question - start;
  if (hasNonce) {
    RECORD.copy(out, next);
    octets.copy(out, next + 12, start + HEADER_OCTETS + 1, start + HEADER_OCTETS + 1 + NONCE_OCTETS);
    next += RECORD_OCTETS;
  }
  if (hasOpt) next += OPT.copy(out, next);
  out.writeUInt16BE(next - message, at);
  return next;
}

const HEADER_OCTETS = 12;
/** Length, header, the root name, type and class. */
const SHORTEST_OCTETS = 19;
/** The question's name, AAAA, IN, a TTL of 60 s, sixteen octets. */
const RECORD = Buffer.from("c00c001c00010000003c0010", "hex");
const RECORD_OCTETS = RECORD.length + NONCE_OCTETS;
/** An OPT record of 1232 octets without options. */
const OPT = Buffer.from("00002904d0000000000000", "hex");
