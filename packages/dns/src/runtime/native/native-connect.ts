/** Outgoing connections in clear: from a socket to a stream, or to why there is none. */
import { isIP } from "node:net";
import type { DnsError } from "../dns-error.ts";
import type { ByteStream, ConnectOptions } from "../network.ts";
import { attemptText, gaveUp, tookTooLong } from "../node/connect-problem.ts";
import { toDnsError } from "../node/system-problem.ts";
import { type NativeLoop, Watch, type Watcher } from "./native-loop.ts";
import { NativeStream } from "./native-stream.ts";
import { Ready } from "./unsafe/event-set.ts";
import { ClearWire } from "./wire.ts";

/** TLS towards servers and Fast Open are the portable engine's, and so are names, which it resolves. */
export function canConnectNatively({ remote, tls, fastOpen }: ConnectOptions): boolean {
  return tls === undefined && fastOpen !== true && isIP(remote.address) !== 0;
}

/** Opens a stream; rejects with a `DnsError` of the stage `connect`. */
export async function openNativeStream(loop: NativeLoop, options: ConnectOptions): Promise<ByteStream> {
  const { remote, localAddress, signal } = options;
  if (signal?.aborted === true) throw gaveUp("connect", remote);
  const { sockets } = loop;
  const local = localAddress === undefined ? undefined : { address: localAddress, port: 0 };
  const fd =
    local === undefined
      ? sockets.openUnbound("tcp", remote.address.includes(":"))
      : sockets.open("tcp", { local, reusePort: false, isClient: true });
  if (fd >= 0) sockets.sendAtOnce(fd);
  if (fd < 0 || !sockets.connect(fd, remote)) {
    const problem = fd < 0 ? sockets.lastProblem("bind", local) : sockets.lastProblem("connect", remote);
    if (fd >= 0) sockets.close(fd);
    throw toDnsError(problem, attemptText("connect", remote), "connect");
  }
  return new Connecting(loop, fd, options).outcome;
}

/** A socket that waits for its handshake. Ends once. */
class Connecting implements Watcher {
  readonly #loop: NativeLoop;
  readonly #watch: Watch;
  readonly #options: ConnectOptions;
  readonly #outcome = Promise.withResolvers<ByteStream>();
  readonly #timer: NodeJS.Timeout;
  #isDone = false;

  constructor(loop: NativeLoop, fd: number, options: ConnectOptions) {
    this.#loop = loop;
    this.#watch = new Watch(loop, fd, this);
    this.#options = options;
    const { connectTimeoutMs, remote, signal } = options;
    loop.events.hold();
    this.#timer = setTimeout(
      () => this.#fail(tookTooLong("connect", remote, connectTimeoutMs)),
      connectTimeoutMs,
    );
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (!this.#watch.want(Ready.Out)) this.#failWith(loop.events.problem);
  }

  get outcome(): Promise<ByteStream> {
    return this.#outcome.promise;
  }

  onReady(): void {
    if (this.#isDone) return;
    const { remote } = this.#options;
    const [loop, watch] = [this.#loop, this.#watch];
    const problem = loop.sockets.takeProblem(watch.fd, "connect", remote);
    const local = loop.sockets.localOf(watch.fd);
    if (problem !== undefined || local === undefined) {
      this.#failWith(problem ?? loop.sockets.lastProblem("getsockname"));
      return;
    }
    this.#finish();
    watch.want(0);
    const wire = new ClearWire(loop.sockets, watch.fd);
    this.#outcome.resolve(new NativeStream({ loop, watch, wire, security: undefined, local, remote }));
    loop.events.release();
  }

  readonly #onAbort = (): void => this.#fail(gaveUp("connect", this.#options.remote));

  #failWith(problem: Error): void {
    this.#fail(toDnsError(problem, attemptText("connect", this.#options.remote), "connect"));
  }

  #fail(problem: DnsError): void {
    if (this.#isDone) return;
    this.#finish();
    this.#watch.close("orderly");
    this.#outcome.reject(problem);
    this.#loop.events.release();
  }

  #finish(): void {
    this.#isDone = true;
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
  }

  abandon(): void {
    this.#finish();
  }
}
