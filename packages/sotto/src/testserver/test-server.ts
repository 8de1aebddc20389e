/** All fixtures of the catalogue on ports of their own, and what they have in common. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { type Parsed, parsed, problem } from "@sotto/dns/wire";
import { Answers } from "./answers.ts";
import { type Behaviour, combineBehaviours, type End } from "./behaviour.ts";
import { CATALOGUE, fixtureOf, GOOD } from "./catalogue.ts";
import { type Credentials, makeCredentials } from "./certificates.ts";
import type { Fixture } from "./fixture.ts";
import { FixtureServer, type FixtureShared } from "./fixture-server.ts";
import { behaviourOfWord } from "./name-switches.ts";
import { type EventHeard, Observations } from "./observations.ts";

/** Words in one switch. */
export const SWITCH_WORDS_MAX = 16;

/** How a test server is started. */
export interface TestServerOptions {
  /** Where all fixtures listen. */
  readonly address: string;
  /** The first fixture's port; 0: each takes a free one. */
  readonly portBase: number;
  /** Names of fixtures; absent: all. `good` is always there. */
  readonly only?: readonly string[] | undefined;
  /** Where certificates are written; absent: a temporary folder that goes with the server. */
  readonly folder?: string | undefined;
  /** Told of everything that happens, as it happens. */
  readonly onEvent?: EventHeard | undefined;
}

/** Files that authenticate the good servers, or the client. */
export interface TestServerFiles {
  readonly folder: string;
  readonly authority: string;
  readonly clientCertificate: string;
  readonly clientKey: string;
  readonly trustAnchor: string;
}

export class TestServer {
  readonly observations: Observations;
  readonly files: TestServerFiles;
  readonly credentials: Credentials;
  readonly fixtures: readonly FixtureServer[];
  readonly #switches = new Map<string, readonly string[]>();
  readonly #shared: FixtureShared;
  readonly #isFolderOurs: boolean;

  private constructor(
    shared: FixtureShared,
    fixtures: readonly FixtureServer[],
    files: TestServerFiles,
    isFolderOurs: boolean,
  ) {
    this.#shared = shared;
    this.observations = shared.observations;
    this.credentials = shared.credentials;
    this.fixtures = fixtures;
    this.files = files;
    this.#isFolderOurs = isFolderOurs;
  }

  /**
   * Rejects with ERR_CONFIG for names that no fixture has, ERR_SYSTEM where certificates cannot be written, and with what
   * `FixtureServer.open` rejects with.
   */
  static async start(options: TestServerOptions, runtime: Runtime): Promise<TestServer> {
    const chosen = chooseFixtures(options.only);
    if (!chosen.ok) throw new DnsError("ERR_CONFIG", chosen.problem);
    const { clock, random } = runtime;
    const wallMs = clock.wallMs();
    const shared: FixtureShared = {
      credentials: await makeCredentials([options.address], wallMs),
      ticketKeys: Buffer.from(random.octets(48)),
      random,
      clock,
      answers: new Answers(wallMs),
      observations: new Observations(clock, options.onEvent),
      fixtureOf,
      connections: new Map(),
    };
    const folder = options.folder ?? mkdtempSync(join(tmpdir(), "sotto-testserver-"));
    const running: FixtureServer[] = [];
    try {
      for (const fixture of chosen.value)
        running.push(
          await FixtureServer.open(
            fixture,
            { address: options.address, ...portsOf(fixture, options.portBase) },
            shared,
          ),
        );
      const files = writeFiles(folder, shared);
      return new TestServer(shared, running, files, options.folder === undefined);
    } catch (error) {
      await Promise.all(running.map((one) => one.close()));
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** A running fixture. */
  fixture(name: string): FixtureServer | undefined {
    return this.fixtures.find((one) => one.fixture.name === name);
  }

  /** Words that switched each changed fixture. */
  get switches(): Readonly<Record<string, readonly string[]>> {
    return Object.fromEntries(this.#switches);
  }

  /**
   * Lets a running fixture behave as others do, from its next connection on: words are names of fixtures, or what labels may
   * say such as `delay-300`. No words: as the catalogue says.
   */
  switch(name: string, words: readonly string[]): Parsed<undefined> {
    const server = this.fixture(name);
    if (server === undefined) return problem(`no fixture ${JSON.stringify(name)} is running`);
    if (words.length > SWITCH_WORDS_MAX)
      return problem(`a switch has at most ${SWITCH_WORDS_MAX} words, and this one has ${words.length}`);
    let behaviour: Behaviour = server.fixture.behaviour;
    for (const word of words) {
      const one = behaviourOf(word);
      if (one === undefined) return problem(`nothing can be switched by ${JSON.stringify(word)}`);
      behaviour = combineBehaviours(behaviour, one);
    }
    server.behaveAs(behaviour);
    if (words.length === 0) this.#switches.delete(name);
    else this.#switches.set(name, words);
    return parsed(undefined);
  }

  /** Ends an open connection; false when there is none with that number. */
  endConnection(id: number, how: End): boolean {
    const end = this.#shared.connections.get(id);
    end?.(how);
    return end !== undefined;
  }

  /** Switches back and forgets what was observed; connections stay. */
  reset(): void {
    for (const server of this.fixtures) {
      server.behaveAs(undefined);
      server.forgetClients();
    }
    this.#switches.clear();
    this.observations.reset();
  }

  async close(): Promise<void> {
    await Promise.all(this.fixtures.map((one) => one.close()));
    if (this.#isFolderOurs) rmSync(this.files.folder, { recursive: true, force: true });
  }
}

/** Ports of a fixture: its place in the catalogue decides, so that `--only` moves nothing. */
function portsOf(fixture: Fixture, portBase: number): { readonly port: number; readonly tlsPort: number } {
  if (portBase === 0) return { port: 0, tlsPort: 0 };
  const port = portBase + 2 * CATALOGUE.indexOf(fixture);
  return { port, tlsPort: port + 1 };
}

/** The last port that a range which begins at `portBase` needs. */
export const PORTS_NEEDED: number = 2 * CATALOGUE.length;

/** Fixtures with ports, by name; a problem for names that nobody has. */
export function chooseFixtures(only: readonly string[] | undefined): Parsed<readonly Fixture[]> {
  const unknown = only?.find((name) => fixtureOf(name) === undefined);
  if (unknown !== undefined)
    return problem(`no fixture is called ${JSON.stringify(unknown)}, see sotto testserver --list`);
  const withPorts = CATALOGUE.filter(({ switchedBy }) => switchedBy.includes("port"));
  return parsed(
    only === undefined ? withPorts : withPorts.filter((one) => one === GOOD || only.includes(one.name)),
  );
}

function behaviourOf(word: string): Behaviour | undefined {
  const fixture = fixtureOf(word);
  if (fixture?.switchedBy.includes("control") === true && fixture.switchedBy.includes("port"))
    return fixture.behaviour;
  const reply = behaviourOfWord(word, fixtureOf);
  return reply === undefined ? undefined : { reply };
}

function writeFiles(folder: string, { credentials, answers }: FixtureShared): TestServerFiles {
  const files = {
    folder,
    authority: join(folder, "ca.pem"),
    clientCertificate: join(folder, "client.pem"),
    clientKey: join(folder, "client.key"),
    trustAnchor: join(folder, "root.key"),
  };
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(files.authority, credentials.authorityPem);
    writeFileSync(files.clientCertificate, credentials.client.certificatePem);
    writeFileSync(files.clientKey, credentials.client.keyPem, { mode: 0o600 });
    writeFileSync(files.trustAnchor, answers.trustAnchorText);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new DnsError(
      "ERR_SYSTEM",
      `cannot write certificates to ${folder}: ${why}; another folder: --certificates FOLDER`,
      { cause },
    );
  }
  return files;
}
