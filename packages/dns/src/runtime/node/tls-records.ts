/** Which writes share a TLS record. */
import type { Socket } from "node:net";

/**
 * Writes that had to wait for an earlier one leave as two records: all but the last together, and the last alone. Node
 * would join all of them, and peers that take one message each time their socket is readable (getdns, Stubby) would leave
 * the second message of the last record unread; a record for each would cost a system call and a turn for each.
 */
export function keepLastWriteApart(socket: Socket): void {
  // One function for all sockets: it is called with the socket as `this`.
  Reflect.set(socket, "_writev", writeWaiting);
}

type Written = (error?: Error | null) => void;

function writeWaiting(this: Socket, chunks: readonly { chunk: Buffer }[], callback: Written): void {
  const last = chunks.at(-1)?.chunk;
  if (last === undefined) callback();
  else if (chunks.length === 1) write(this, last, callback);
  else
    write(this, Buffer.concat(chunks.slice(0, -1).map(({ chunk }) => chunk)), (error) => {
      if (error) callback(error);
      else write(this, last, callback);
    });
}

/** With Node's own name for "no encoding", which its types do not have. */
function write(socket: Socket, octets: Uint8Array, callback: Written): void {
  Reflect.apply(socket._write, socket, [octets, "buffer", callback]);
}
