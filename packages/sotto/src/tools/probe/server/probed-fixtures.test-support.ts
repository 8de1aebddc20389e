/** Probes of the test server's fixtures, all in one process and in virtual time: nobody waits, and delays are exact. */
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { SeededRandom } from "@sotto/dns/testing";
import { TestWorld } from "../../../testserver/raw-clients.test-support.ts";
import type { Cell, ProbeReport } from "../model.ts";
import { probePath } from "../path/probe-path.ts";
import { PATIENCE_CAREFUL, type ProbeOptions, type ProbeTransport } from "./probe-options.ts";
import { probeServer } from "./probe-server.ts";
import type { ServerTarget } from "./target.ts";

export class ProbedFixtures {
  readonly world = new TestWorld();

  async start(only: readonly string[]): Promise<void> {
    await this.world.start(only);
  }

  async close(): Promise<void> {
    await this.world.close();
  }

  targetOf(fixture: string): ServerTarget {
    const server = this.world.tests.fixture(fixture);
    const places = server?.places ?? [];
    const portOf = (transport: ProbeTransport): number | undefined =>
      places.find((place) => place.transport === transport)?.port;
    return {
      text: fixture,
      address: "127.0.0.1",
      // A port that was free when the test server started may be somebody's by now; on this one nobody listens.
      port: fixture === "port-closed" ? CLOSED_PORT : (portOf("udp") ?? portOf("tcp")),
      tlsPort: portOf("tls"),
      name: "resolver.sotto.test",
      pins: [this.world.tests.credentials.pinOf(server?.fixture.behaviour.tls?.certificate ?? "good")],
      transports: (["udp", "tcp", "tls"] as const).filter((transport) => portOf(transport) !== undefined),
    };
  }

  async probe(fixture: string, parts: Partial<ProbeOptions> = {}): Promise<ProbeReport> {
    return this.#run(probeServer, fixture, parts);
  }

  async probePath(fixture: string): Promise<ProbeReport> {
    return this.#run(probePath, fixture, {});
  }

  async #run(probe: typeof probeServer, fixture: string, parts: Partial<ProbeOptions>): Promise<ProbeReport> {
    const { world } = this;
    // Connections and handshakes are timed by the real clock: where none will come the wait is short, and elsewhere so long that
    // a busy machine does not matter.
    const connectMs = STALLS.test(fixture) ? 300 : 10_000;
    const options: ProbeOptions = {
      isThorough: false,
      names: {
        existing: "www.test",
        below: "test",
        delay: "d300-x.test",
        signed: "alg13.dnssec",
        bogus: "www.expired.dnssec",
      },
      signal: undefined,
      trustAnchorsPem: [world.tests.credentials.authorityPem],
      patience: { ...PATIENCE_CAREFUL, connectMs, handshakeMs: connectMs, idleMs: 90_000, probeMs: 600_000 },
      ...parts,
    };
    const runtime = { ...world.runtime, random: new SeededRandom(7), network: nodeRuntime().network };
    return this.#whileTimePasses(probe(this.targetOf(fixture), options, runtime, () => undefined));
  }

  /** Lets virtual time pass, but only when the event loop has had time enough to carry everything that is under way. */
  async #whileTimePasses<T>(work: Promise<T>): Promise<T> {
    const { clock } = this.world;
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    // Its failure is the caller's; here it only ends the loop.
    done.catch(() => undefined);
    while (!isDone) {
      for (let turns = 0; turns < TURNS_PER_STEP && !isDone; turns++)
        await new Promise((resolve) => setImmediate(resolve));
      // To the next timer, whichever it is.
      const { length } = clock.pendingTimers;
      for (
        let stepMs = 1;
        stepMs < STEP_MAX_MS && !isDone && clock.pendingTimers.length === length;
        stepMs *= 2
      )
        await clock.advance(stepMs);
    }
    return done;
  }
}

/** Turns of the event loop that a handshake between two ends of one process needs, several times over. */
const TURNS_PER_STEP = 40;
const STEP_MAX_MS = 64;
/** Fixtures that fall silent before there is a connection, or within the handshake. */
const STALLS = /^(?:drops-syn|accept-silence|handshake-.*-silence)$/;
/** tcpmux, which no machine has any more and which no system gives away. */
const CLOSED_PORT = 1;

/** The cell of a row, which every report has. */
export function cellOf(report: ProbeReport, row: string): Cell {
  const cell = report.cells.find((one) => one.row === row);
  if (cell === undefined) throw new Error(`no cell for ${row}`);
  return cell;
}
