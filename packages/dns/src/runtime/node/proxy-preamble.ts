/** Reads the PROXY header off a socket that a proxy opened, and leaves what follows in the socket. */
import type { Socket } from "node:net";
import { PROXY_HEADER_OCTETS_MAX, type ProxyHeader, readProxyHeader } from "@sotto/dns/wire";
import { DnsError } from "../dns-error.ts";

/** Calls back once: with the header, or with what is wrong; the socket is then still open. */
export function readProxyPreamble(
  socket: Socket,
  timeoutMs: number,
  done: (result: ProxyHeader | DnsError) => void,
): void {
  let collected: Buffer = Buffer.alloc(0);
  const finish = (result: ProxyHeader | DnsError): void => {
    clearTimeout(timer);
    socket.off("readable", onReadable).off("end", onEnd).off("close", onEnd).off("error", onError);
    done(result);
  };
  const fail = (problem: string): void =>
    finish(new DnsError("ERR_MESSAGE_MALFORMED", `PROXY header: ${problem}`, { stage: "proxy" }));
  const onEnd = (): void => fail("the connection ended before it");
  const onError = (problem: Error): void => fail(problem.message);
  const onReadable = (): void => {
    for (let chunk: unknown = socket.read(); chunk instanceof Buffer; chunk = socket.read()) {
      collected = collected.length === 0 ? chunk : Buffer.concat([collected, chunk]);
      const read = readProxyHeader(collected);
      if (read.kind === "incomplete" && collected.length < PROXY_HEADER_OCTETS_MAX) continue;
      if (read.kind === "header") {
        const rest = collected.subarray(read.octets);
        if (rest.length > 0) socket.unshift(rest);
        finish(read.header);
      } else fail(read.kind === "malformed" ? read.problem : "too long");
      return;
    }
  };
  const timer = setTimeout(() => fail(`nothing complete within ${timeoutMs} ms`), timeoutMs);
  socket.on("readable", onReadable).once("end", onEnd).once("close", onEnd).on("error", onError);
}
