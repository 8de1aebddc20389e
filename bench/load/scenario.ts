/** What all load scenarios share: how an outcome looks, and a server that admits this much. */
import { CERTIFICATE, openWorld, type Server, type World } from "../../scripts/evidence/world.ts";

/** A scenario's outcome: named figures, and whether its goal was met. */
export interface Outcome {
  readonly scenario: string;
  readonly isMet: boolean;
  readonly goal: string;
  readonly figures: readonly (readonly [what: string, value: string])[];
}

/** How much smaller than the issue asks; 1 for the real thing. */
export type Scale = number;

/** Limits that the counts of the scenarios do not reach: it is the load that is measured, not the refusal. */
export const WIDE_LIMITS =
  "limits: { connections: 40000, connections-per-address: 40000, connections-per-subnet: 40000, handshakes: 5000, idle-timeout: 600s }";

/** Runs a scenario on a server with a TCP and a TLS listener, and closes both world and server. */
export async function withServer<T>(
  settings: string,
  run: (world: World, server: Server, tcp: number, tls: number) => Promise<T>,
  records: readonly string[] = [],
): Promise<T> {
  const world = await openWorld();
  try {
    const server = await world.serve(
      [
        "{ transport: tcp, address: 127.0.0.1, port: 0 }",
        `{ transport: tls, address: 127.0.0.1, port: 0, ${CERTIFICATE} }`,
      ],
      settings,
      records,
    );
    const [tcp = 0, tls = 0] = server.ports;
    return await run(world, server, tcp, tls);
  } finally {
    await world.close();
  }
}

export function pidOf(server: Server): number {
  return server.process.pid ?? 0;
}
