/** What `sotto playground` can be told. */
import { parseArgs } from "node:util";
import { type Parsed, parsed, problem } from "@sotto/dns/wire";

/** Options of the playground. */
export interface PlaygroundOptions {
  /** Ends after the show. */
  readonly isOnce: boolean;
  /** Serves the same zones on real loopback addresses, for other people's resolvers. */
  readonly isExposed: boolean;
  /** Port of the authoritative servers when exposed. */
  readonly exposePort: number;
  /** First of the two ports of the resolver: UDP and TCP on it, TLS on the next; 0 lets the system choose both. */
  readonly port: number;
  /** Where the authority's certificate and other files are written; undefined makes a temporary folder. */
  readonly folder: string | undefined;
  readonly isHelp: boolean;
}

/** Usage of the command. */
export const PLAYGROUND_USAGE = `usage: sotto playground [--once] [--port PORT] [--folder FOLDER] [--expose [--expose-port PORT]]

  A whole internet in memory: root, top-level domains, signed, unsigned, big, slow, lame and broken zones. A resolver
  walks it from the root and listens on loopback: UDP and TCP on PORT (5300), TLS on PORT+1, with an authority of its own.

  --once          show a few queries and end; exit code 0 when all of them were answered as they should
  --port PORT     another port, 0 for free ones
  --folder FOLDER write ca.pem, root.hints and root.key there, and leave them
  --expose        serve the zones on real loopback addresses 127.x.y.z too, for other resolvers (port 53 needs root)
  --expose-port   another port for them
`;

/** Port of the resolver when none is given: above 1024, and 5353 is taken on many machines (RFC 6762). */
const PLAYGROUND_PORT_DEFAULT = 5300;

/** Reads the arguments; a problem is a sentence. */
export function parsePlaygroundArguments(args: readonly string[]): Parsed<PlaygroundOptions> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        once: { type: "boolean" },
        expose: { type: "boolean" },
        "expose-port": { type: "string" },
        port: { type: "string" },
        folder: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
    const port = readPort(values.port, PLAYGROUND_PORT_DEFAULT);
    const exposePort = readPort(values["expose-port"], 53);
    if (port === undefined || exposePort === undefined) return problem("a port is a number from 0 to 65534");
    return parsed({
      isOnce: values.once === true,
      isExposed: values.expose === true,
      exposePort,
      port,
      folder: values.folder,
      isHelp: values.help === true,
    });
  } catch (error) {
    return problem(error instanceof Error ? error.message : String(error));
  }
}

function readPort(text: string | undefined, fallback: number): number | undefined {
  if (text === undefined) return fallback;
  return /^[0-9]{1,5}$/.test(text) && Number(text) <= 65_534 ? Number(text) : undefined;
}
