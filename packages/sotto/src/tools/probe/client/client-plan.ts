/** How a client is run for each purpose: presets say it in full, a command line of the user's in part. */
import { type Parsed, parsed, problem } from "@sotto/dns/wire";
import { type CommandTemplate, hasPlace, unknownPlaces } from "./command-template.ts";

/** What a run wants of the client: `tls` asks without authentication, `strict` by name and authority, `pinned` by key. */
export type Use = "udp" | "tcp" | "tls" | "strict" | "pinned";

/** One use of a client. */
export interface UseTemplates {
  /** With everything switched on that the client has. */
  readonly full: CommandTemplate;
  /** As people type it who want no more than this use; absent: there is nothing to switch on. */
  readonly plain?: CommandTemplate | undefined;
}

export interface ClientPlan {
  /** For people: the preset's name, or the command line. */
  readonly title: string;
  /** Stays in the foreground, listens on `{listen-port}` and is asked over UDP. */
  readonly isDaemon: boolean;
  /** All that the client can do is in `uses`; false: it may know more than the command line tells. */
  readonly isComplete: boolean;
  readonly uses: Readonly<Partial<Record<Use, UseTemplates>>>;
  /** With TCP Fast Open switched on; absent: as for other uses. */
  readonly fastOpen?: CommandTemplate | undefined;
}

/** The plan for a command line that somebody gave: its places tell what it is for. */
export function planOfCommand(argv: readonly string[]): Parsed<ClientPlan> {
  const full: CommandTemplate = { argv };
  if (argv.length === 0) return problem("there is no command after --");
  const [unknown] = unknownPlaces(full);
  if (unknown !== undefined) return problem(`{${unknown}} means nothing; places are ${PLACES}`);
  if (!hasPlace(full, "tls-port") && !hasPlace(full, "port"))
    return problem(`the command has neither {port} nor {tls-port}, so it could not find the server`);
  const isDaemon = hasPlace(full, "listen-port");
  if (!isDaemon && !["qname", "qnames", "qname-file"].some((place) => hasPlace(full, place)))
    return problem("the command has no {qname}, so it could not be told what to ask");
  const templates: UseTemplates = { full };
  // With a port for clear queries alone nobody can see whether UDP or TCP is meant: what does not come is not testable.
  const uses: Partial<Record<Use, UseTemplates>> = !hasPlace(full, "tls-port")
    ? { udp: templates, tcp: templates }
    : hasPlace(full, "pin") && !hasPlace(full, "ca-file")
      ? { pinned: templates }
      : { strict: templates, ...(hasPlace(full, "pin") ? { pinned: templates } : {}) };
  return parsed({ title: argv.join(" "), isDaemon, isComplete: false, uses });
}

/** The use that shows how the client treats connections; undefined: it has none over TCP or TLS. */
export function streamUseOf({ uses }: ClientPlan): Use | undefined {
  return (["tls", "strict", "pinned", "tcp"] as const).find((use) => uses[use] !== undefined);
}

/** The same, over TLS only. */
export function tlsUseOf({ uses }: ClientPlan): Use | undefined {
  return (["tls", "strict", "pinned"] as const).find((use) => uses[use] !== undefined);
}

const PLACES =
  "{address} {port} {tls-port} {name} {ca-file} {pin} {qname} {qnames} {qname-file} {listen-port} {config-folder}";
