/**
 * Command lines with places for what a run decides: `kdig @{address} -p {tls-port} +tls {qnames}`. A place may stand inside an
 * argument; `{qnames}` is an argument of its own and becomes as many as there are names. Each further `{qname}` takes the next
 * name.
 */

/** What can stand in a place. */
export interface PlaceValues {
  readonly address: string;
  /** UDP and TCP. */
  readonly port: number;
  readonly tlsPort: number;
  /** The authentication domain name (RFC 8310 §2). */
  readonly name: string;
  readonly caFile: string;
  /** SHA-256 of the public key, base64. */
  readonly pin: string;
  /** Where a daemon under test should listen. */
  readonly listenPort: number;
  readonly configFolder: string;
  /** Names to ask for, in this order. */
  readonly names: readonly string[];
}

/** One way to run a client. */
export interface CommandTemplate {
  readonly argv: readonly string[];
  /** Variables on top of the environment; values may have places. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Files that are written into the folder for configuration before the run; texts may have places. */
  readonly files?: Readonly<Record<string, string>> | undefined;
}

/** A template with everything in its place. */
export interface FilledCommand {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, string>>;
  /** Those of the names that the command was told, which may be fewer than there were. */
  readonly names: readonly string[];
}

/** Puts the values into their places. */
export function fillTemplate(template: CommandTemplate, values: PlaceValues): FilledCommand {
  let next = 0;
  let hasAll = false;
  const fill = (text: string): string =>
    text.replaceAll(/\{([a-z-]+)\}/g, (whole, place: string) => {
      if (place === "qname") return values.names[next++ % values.names.length] ?? whole;
      if (place === "qname-file") hasAll = true;
      return READERS[place]?.(values) ?? whole;
    });
  const argv = template.argv.flatMap((argument) => {
    if (argument !== "{qnames}") return [fill(argument)];
    hasAll = true;
    return values.names;
  });
  const environment = fillValues(template.environment ?? {}, fill);
  const files = fillValues(template.files ?? {}, fill);
  const count = hasAll ? values.names.length : Math.min(next, values.names.length);
  return {
    argv,
    environment,
    files: { ...files, [QNAME_FILE]: values.names.map((name) => `${name} A\n`).join("") },
    names: values.names.slice(0, count),
  };
}

function fillValues(
  texts: Readonly<Record<string, string>>,
  fill: (text: string) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, fill(text)]));
}

/** Whether a place stands anywhere in a template. */
export function hasPlace(template: CommandTemplate, place: string): boolean {
  const texts = [
    ...template.argv,
    ...Object.values(template.environment ?? {}),
    ...Object.values(template.files ?? {}),
  ];
  return texts.some((text) => text.includes(`{${place}}`));
}

/** Places that stand in a template and mean nothing. */
export function unknownPlaces(template: CommandTemplate): readonly string[] {
  const found = template.argv.flatMap((text) =>
    [...text.matchAll(/\{([a-z-]+)\}/g)].map(([, place = ""]) => place),
  );
  return found.filter((place) => !Object.hasOwn(READERS, place) && place !== "qname" && place !== "qnames");
}

/** Names to ask for, one a line with their type, as getdns_query reads them. */
const QNAME_FILE = "qnames.txt";

const READERS: Readonly<Record<string, (values: PlaceValues) => string>> = {
  address: ({ address }) => address,
  port: ({ port }) => String(port),
  "tls-port": ({ tlsPort }) => String(tlsPort),
  name: ({ name }) => name,
  "ca-file": ({ caFile }) => caFile,
  pin: ({ pin }) => pin,
  "listen-port": ({ listenPort }) => String(listenPort),
  "config-folder": ({ configFolder }) => configFolder,
  "qname-file": ({ configFolder }) => `${configFolder}/${QNAME_FILE}`,
};
