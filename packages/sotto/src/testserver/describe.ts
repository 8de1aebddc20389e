/** The catalogue and a running server, for people and for programs. */
import { spkiPin } from "../operations/index.ts";
import { CATALOGUE } from "./catalogue.ts";
import { AUTH_NAME } from "./certificates.ts";
import type { Fixture, FixtureGroup, SwitchedBy } from "./fixture.ts";
import type { FixtureServer } from "./fixture-server.ts";
import type { TestServer, TestServerFiles } from "./test-server.ts";

/** One fixture in JSON. */
export interface FixtureJson {
  readonly name: string;
  readonly group: FixtureGroup;
  readonly about: string;
  readonly requirements: readonly string[];
  readonly switchedBy: readonly SwitchedBy[];
  readonly transports: readonly string[];
  /** What to ask to see it. */
  readonly question: string;
  /** Where it runs; empty for those that are chosen by name only, and in a list of the catalogue. */
  readonly places: readonly { readonly transport: string; readonly address: string; readonly port: number }[];
  /** Base64 SPKI pin that a client would have configured; null without TLS. */
  readonly pin: string | null;
  /** Whether a client that authenticates by name, authority and pin should be content; null without TLS. */
  readonly authenticates: boolean | null;
  /** What became of the wish for TCP Fast Open; null: none was made. */
  readonly fastOpen: string | null;
}

/** A running server in JSON. */
export interface ServerJson {
  readonly authName: string;
  /** Base64 SPKI pin of the intermediate authority, which is sent in every right chain. */
  readonly authorityPin: string;
  readonly files: TestServerFiles;
  /** The base address of the control API; null: there is none. */
  readonly control: string | null;
  readonly fixtures: readonly FixtureJson[];
}

/** The catalogue in JSON, without a server. */
export function catalogueJson(fixtures: readonly Fixture[] = CATALOGUE): readonly FixtureJson[] {
  return fixtures.map((fixture) => fixtureJson(fixture, undefined, undefined));
}

/** A running server in JSON; fixtures that are chosen by name only are listed, too. */
export function serverJson(tests: TestServer, control?: string): ServerJson {
  const byName = CATALOGUE.filter(({ switchedBy }) => !switchedBy.includes("port"));
  return {
    authName: AUTH_NAME,
    authorityPin: spkiPin(tests.credentials.intermediatePem),
    files: tests.files,
    control: control ?? null,
    fixtures: [
      ...tests.fixtures.map((one) => fixtureJson(one.fixture, one, tests)),
      ...byName.map((fixture) => fixtureJson(fixture, undefined, tests)),
    ],
  };
}

function fixtureJson(
  fixture: Fixture,
  running: FixtureServer | undefined,
  tests: TestServer | undefined,
): FixtureJson {
  const { name, group, about, requirements, switchedBy, transports, authenticates } = fixture;
  const hasTls = running !== undefined && transports.includes("tls");
  const kind = fixture.behaviour.tls?.certificate ?? "good";
  return {
    name,
    group,
    about,
    requirements,
    switchedBy,
    transports,
    question: fixture.question ?? `${switchedBy.includes("name") ? name : "www"}.test. A`,
    places: running?.places ?? [],
    pin: hasTls ? (tests?.credentials.pinOf(kind) ?? null) : null,
    authenticates: transports.includes("tls") ? (authenticates ?? null) : null,
    fastOpen: running?.fastOpen ?? null,
  };
}

/** The catalogue as a table. */
export function catalogueText(fixtures: readonly Fixture[] = CATALOGUE): string {
  const rows = fixtures.map(({ name, transports, switchedBy, about }) => [
    name,
    transports.join(" "),
    switchedBy.join(" "),
    about,
  ]);
  return table([["fixture", "over", "switched by", "what it does"], ...rows]);
}

/** What a user of a running server has to know. */
export function serverText({ authName, authorityPin, files, control, fixtures }: ServerJson): string {
  const withPorts = fixtures.filter(({ places }) => places.length > 0);
  const rows = withPorts.map(({ name, places, about }) => [name, portsText(places), about]);
  const good = fixtures.find(({ name }) => name === "good");
  const address = good?.places[0]?.address ?? "";
  const portOf = (transport: string): number =>
    good?.places.find((place) => place.transport === transport)?.port ?? 0;
  const byName = fixtures
    .filter(({ places }) => places.length === 0)
    .map(({ question, about }) => [question, about]);
  const reached = `dig @${address} -p ${portOf("tcp")} +tcp`;
  const kdig = `kdig @${address} -p ${portOf("tls")} +tls-ca=${files.authority} +tls-hostname=${authName}`;
  return [
    table([["fixture", "ports", "what it does"], ...rows]),
    `Behaviours by name, on every server that answers: labels under test., such as ${reached} size-4000.delay-300.test. TXT`,
    table([["question", "what it does"], ...byName]),
    `All are on ${address}. To authenticate those with a right certificate: name ${authName}, authority ${files.authority}`,
    `  pin of the good server: ${good?.pin ?? ""}; of the authority in its chain: ${authorityPin}`,
    `  client certificate and key: ${files.clientCertificate} ${files.clientKey}`,
    `  trust anchor of the signed zones: ${files.trustAnchor}`,
    `  for example: ${kdig} www.test.`,
    ...(control === null ? [] : [`Control: curl ${control}/fixtures (connections, counters, switch, reset)`]),
    "Ctrl-C ends.",
    "",
  ].join("\n");
}

function portsText(places: FixtureJson["places"]): string {
  const ports = new Map<number, string[]>();
  for (const { transport, port } of places) ports.set(port, [...(ports.get(port) ?? []), transport]);
  return [...ports].map(([port, transports]) => `${port} ${transports.sort().join("+")}`).join(", ");
}

/** Columns as wide as their widest cell. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}
