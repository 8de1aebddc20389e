/** Whether somebody listens: what tells that a program which was started is ready. */
import { connect } from "node:net";
import type { Endpoint } from "@sotto/dns/runtime";

/** Opens a TCP connection and ends it at once. */
export function canConnect({ address, port }: Endpoint): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
