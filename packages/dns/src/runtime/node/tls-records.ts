/** Which writes share a TLS record. */
import type { Socket } from "node:net";

/**
 * Writes that had to wait for an earlier one leave as two records: all but the last together, and the last alone. Node
 * would join all of them, and peers that take one message each time their socket is readable (getdns, Stubby) would leave
 * the second message of the last record unread; a record for each would cost a system call and a turn for each.
 */
export function keepLastWriteApart(socket: Socket): void {
  // Node's own name for "no encoding", which its types do not have.
  const write = (octets: Uint8Array, callback: (error?: Error | null) => void): void =>
    void Reflect.apply(socket._write, socket, [octets, "buffer", callback]);
  const writeWaiting = (
    chunks: readonly { chunk: Buffer }[],
    callback: (error?: Error | null) => void,
  ): void => {
    const last = chunks.at(-1)?.chunk;
    if (last === undefined) {
      callback();
      return;
    }
    const writeLast = (error?: Error | null): void => {
      if (error) callback(error);
      else write(last, callback);
    };
    if (chunks.length === 1) writeLast();
    else write(Buffer.concat(chunks.slice(0, -1).map(({ chunk }) => chunk)), writeLast);
  };
  Reflect.set(socket, "_writev", writeWaiting);
}
