/** Closes connections that were on their way between workers. */
import type { Socket } from "node:net";
import { closeDescriptor } from "@sotto/dns/runtime/native";
import type { ClosableConnection } from "../compose/index.ts";

/** It must be the caller's. */
export function closeConnection(connection: ClosableConnection): void {
  if (connection.kind === "descriptor") closeDescriptor(connection.fd);
  // Workers give nothing else away.
  else (connection.socket as Socket).destroy();
}
