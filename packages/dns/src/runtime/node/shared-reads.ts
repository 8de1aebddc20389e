/**
 * One buffer that all sockets are read into. By itself Node makes an array with a backing store of its own for
 * every piece that arrives and passes it through a stream, which costs more than to find an answer in the cache. A socket
 * that was made with the option `onread` is read into a given buffer instead; a server's sockets and those of TLS cannot be made so,
 * but they have the same fields. Where a Node has them no more, nothing is changed and the socket is read as a stream.
 */
import { Socket } from "node:net";

/** What a read of the system gives at most; Node reads as much at once into memory of its own. */
const BUFFER_OCTETS = 65_536;

/** Reads one after the other: what is in the buffer is used before anything else is read. */
class SharedReads {
  /** No `Buffer`: `slice` of one is a view, and whoever keeps octets must get a copy. */
  readonly #buffer = new Uint8Array(BUFFER_OCTETS);
  readonly #keys = findKeys();

  /** Has what arrives given to `onOctets`, valid during the call. False, and nothing done, when it cannot be had. */
  attach(socket: Socket, onOctets: Receive): boolean {
    const keys = this.#keys;
    const handle: unknown = Reflect.get(socket, "_handle");
    // What has arrived already comes from the stream.
    if (keys === undefined || typeof handle !== "object" || handle === null || socket.readableLength > 0)
      return false;
    const useBuffer: unknown = Reflect.get(handle, "useUserBuffer");
    if (typeof useBuffer !== "function" || !keys.every((key) => Reflect.has(socket, key))) return false;
    const [bufferKey, callbackKey] = keys;
    const buffer = this.#buffer;
    Reflect.apply(useBuffer, handle, [buffer]);
    Reflect.set(socket, bufferKey, buffer);
    Reflect.set(socket, callbackKey, receive);
    Reflect.set(socket, RECEIVE, onOctets);
    return true;
  }
}

/** Called with the socket that was read. */
type Receive = (this: Socket, octets: Uint8Array) => void;

/** Where a socket has what {@link receive} calls. */
const RECEIVE = Symbol("receive");

/** One function for all sockets. */
function receive(this: Socket & { [RECEIVE]?: Receive }, octets: number, buffer: Uint8Array): boolean {
  this[RECEIVE]?.(buffer.subarray(0, octets));
  return true;
}

/** The fields for buffer and callback; undefined when this Node has no such fields. */
function findKeys(): readonly [symbol, symbol] | undefined {
  const symbols = Object.getOwnPropertySymbols(new Socket());
  const buffer = symbols.find(({ description }) => description === "kBuffer");
  const callback = symbols.find(({ description }) => description === "kBufferCb");
  return buffer === undefined || callback === undefined ? undefined : [buffer, callback];
}

let ofThisThread: SharedReads | undefined;

/** See {@link SharedReads}: for sockets that nobody has listened to yet. */
export function readShared(socket: Socket, onOctets: Receive): boolean {
  ofThisThread ??= new SharedReads();
  return ofThisThread.attach(socket, onOctets);
}
