/** The load scenarios of the connection work. Each opens its own server, ends by itself, and says what it saw. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { makeAuthority } from "../../packages/sotto/src/operations/index.ts";
import { AUTH_NAME, CERTIFICATE, openWorld, type Server, type World } from "../../scripts/evidence/world.ts";
import { ask, askForAWhile, connect, median, pause, pooled, QUERY, quantile } from "./clients.ts";
import { descriptors, residentKib } from "./process-facts.ts";

/** A scenario's outcome: named figures, and whether its goal was met. */
export interface Outcome {
  readonly scenario: string;
  readonly isMet: boolean;
  readonly goal: string;
  readonly figures: readonly (readonly [what: string, value: string])[];
}

/** How much smaller than the issue asks; 1 for the real thing. */
export type Scale = number;

const WIDE_LIMITS =
  "limits: { connections: 40000, connections-per-address: 40000, connections-per-subnet: 40000, handshakes: 5000, idle-timeout: 600s }";

async function withServer<T>(
  settings: string,
  run: (world: World, server: Server, tcp: number, tls: number) => Promise<T>,
): Promise<T> {
  const world = await openWorld();
  try {
    const server = await world.serve(
      [
        "{ transport: tcp, address: 127.0.0.1, port: 0 }",
        `{ transport: tls, address: 127.0.0.1, port: 0, ${CERTIFICATE} }`,
      ],
      settings,
    );
    const [tcp = 0, tls = 0] = server.ports;
    return await run(world, server, tcp, tls);
  } finally {
    await world.close();
  }
}

function pidOf(server: Server): number {
  return server.process.pid ?? 0;
}

/** 10,000 idle DoT connections and 2,000 active ones. */
export function idleAndActive(scale: Scale): Promise<Outcome> {
  const [idleCount, activeCount] = [Math.round(10_000 / scale), Math.round(2000 / scale)];
  return withServer(WIDE_LIMITS, async (_world, server, _tcp, tls) => {
    const sockets: Socket[] = [];
    const beforeKib = residentKib(pidOf(server));
    await pooled(idleCount, 50, async (nth) => {
      const socket = await connect("tls", tls, nth);
      await ask(socket);
      sockets.push(socket);
    });
    await pause(2000);
    const idleKib = residentKib(pidOf(server));
    const active: Socket[] = [];
    await pooled(activeCount, 50, async (nth) => {
      active.push(await connect("tls", tls, nth));
    });
    const { latenciesMs, lost } = await askForAWhile(active, activeCount, 15_000);
    const stillOpen = sockets.filter((socket) => !socket.destroyed && !socket.readableEnded).length;
    for (const socket of [...sockets, ...active]) socket.destroy();
    return {
      scenario: `${idleCount} idle and ${activeCount} active DoT connections`,
      goal: "no query lost, no idle connection closed",
      isMet: lost === 0 && stillOpen === idleCount,
      figures: [
        ["queries answered", String(latenciesMs.length)],
        ["queries lost", String(lost)],
        [
          "p50 and p99 of active ones",
          `${median(latenciesMs).toFixed(2)} and ${quantile(latenciesMs, 0.99).toFixed(2)} ms`,
        ],
        ["idle connections still open", `${stillOpen} of ${idleCount}`],
        ["memory per idle connection", `${((idleKib - beforeKib) / idleCount).toFixed(1)} KiB`],
        ["memory of the server", `${Math.round(residentKib(pidOf(server)) / 1024)} MiB`],
      ],
    };
  });
}

/** 500 clients that send an octet a second, hang in the handshake, or never read, beside well-behaved ones. */
export function slowLoris(scale: Scale): Promise<Outcome> {
  const count = Math.round(500 / scale);
  const limits =
    "limits: { connections: 5000, connections-per-address: 5000, connections-per-subnet: 5000, idle-timeout: 600s }";
  return withServer(limits, async (_world, server, tcp, tls) => {
    const good: Socket[] = [];
    await pooled(50, 10, async (nth) => {
      good.push(await connect("tls", tls, nth));
    });
    await askForAWhile(good, 1000, 3000);
    const without: number[] = [];
    const withThem: number[] = [];
    let lost = 0;
    for (let round = 0; round < 6; round++) {
      const calm = await askForAWhile(good, 1000, 3000);
      without.push(quantile(calm.latenciesMs, 0.99));
      const bad = startSlowOnes(count, tcp, tls);
      await pause(500);
      const busy = await askForAWhile(good, 1000, 3000);
      withThem.push(quantile(busy.latenciesMs, 0.99));
      lost += calm.lost + busy.lost;
      bad.stop();
      await pause(500);
    }
    for (const socket of good) socket.destroy();
    const ratio = median(withThem) / median(without);
    const status = await server.status();
    return {
      scenario: `${count} slow-loris clients beside 50 good ones`,
      goal: "the p99 of the good ones grows by no more than a quarter, none of their queries is lost",
      isMet: ratio <= 1.25 && lost === 0,
      figures: [
        ["p99 without, median of 6 rounds", `${median(without).toFixed(2)} ms`],
        ["p99 with, median of 6 interleaved rounds", `${median(withThem).toFixed(2)} ms`],
        ["ratio", ratio.toFixed(2)],
        ["queries lost", String(lost)],
        ["connections closed, by reason", JSON.stringify(closedBy(status))],
      ],
    };
  });
}

function closedBy(status: Record<string, unknown>): unknown {
  const listeners: unknown = status["listeners"];
  if (!Array.isArray(listeners)) return undefined;
  return listeners.map((listener: { counters?: { closed?: unknown } }) => listener.counters?.closed);
}

/** A quarter each: an octet a second over TCP and TLS, half handshakes, never reading. They come back when they are closed. */
function startSlowOnes(count: number, tcp: number, tls: number): { stop(): void } {
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  let isStopped = false;
  const start = (nth: number): void => {
    if (isStopped) return;
    const kind = nth % 4;
    const begin = kind === 1 ? connect("tls", tls, nth) : connectedTcp(kind === 2 ? tls : tcp, nth);
    begin.then(
      (socket) => {
        if (isStopped) {
          socket.destroy();
          return;
        }
        sockets.add(socket);
        socket.on("error", () => undefined);
        socket.on("close", () => {
          sockets.delete(socket);
          timers.add(setTimeout(() => start(nth), 100));
        });
        if (kind === 3) {
          socket.pause();
          socket.write(Buffer.concat(Array.from({ length: 200 }, () => QUERY)));
        } else if (kind === 2) socket.write(Buffer.of(0x16, 0x03, 0x01, 0x02));
        else {
          let at = 0;
          timers.add(
            setInterval(() => {
              if (!socket.destroyed) socket.write(QUERY.subarray(at, ++at));
            }, 1000),
          );
        }
      },
      () => undefined,
    );
  };
  for (let nth = 0; nth < count; nth++) start(nth);
  return {
    stop: () => {
      isStopped = true;
      for (const timer of timers) clearInterval(timer);
      for (const socket of sockets) socket.destroy();
    },
  };
}

function connectedTcp(port: number, nth: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ port, host: "127.0.0.1", localAddress: `127.0.${100 + (nth % 50)}.1` });
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

/** 200,000 connections opened, used once and closed, a tenth of them over TLS. */
export function openAndClose(scale: Scale): Promise<Outcome> {
  const [tcpCount, tlsCount] = [Math.round(180_000 / scale), Math.round(20_000 / scale)];
  return withServer(WIDE_LIMITS, async (_world, server, tcp, tls) => {
    const pid = pidOf(server);
    let failed = 0;
    const run = (transport: "tcp" | "tls", port: number, count: number): Promise<void> =>
      pooled(count, 40, async (nth) => {
        try {
          const socket = await connect(transport, port, nth);
          await ask(socket);
          // Our reset leaves no TIME_WAIT behind: there are more connections than ports.
          if (transport === "tcp") socket.resetAndDestroy();
          else socket.destroy();
        } catch {
          failed++;
        }
      });
    // What grows once (heap, code, tables) has grown after a tenth.
    await run("tcp", tcp, tcpCount / 10);
    await run("tls", tls, tlsCount / 10);
    await pause(3000);
    const before = { kib: residentKib(pid), descriptors: descriptors(pid) };
    const startMs = performance.now();
    await run("tcp", tcp, tcpCount);
    await run("tls", tls, tlsCount);
    const seconds = (performance.now() - startMs) / 1000;
    await pause(5000);
    const after = { kib: residentKib(pid), descriptors: descriptors(pid) };
    const { connections } = await server.status();
    const grownKib = after.kib - before.kib;
    return {
      scenario: `${tcpCount} TCP and ${tlsCount} TLS connections opened, used once and closed`,
      goal: "no growth: memory within 20 MiB of what it was, descriptors as before, none counted as open",
      isMet:
        grownKib < 20 * 1024 &&
        after.descriptors <= before.descriptors + 2 &&
        connections === 0 &&
        failed === 0,
      figures: [
        [
          "memory before and after",
          `${Math.round(before.kib / 1024)} and ${Math.round(after.kib / 1024)} MiB`,
        ],
        ["descriptors before and after", `${before.descriptors} and ${after.descriptors}`],
        ["open connections at the end", String(connections)],
        ["failed", String(failed)],
        ["connections per second", String(Math.round((tcpCount + tlsCount) / seconds))],
      ],
    };
  });
}

/** Certificates swapped 100 times and SIGHUP 100 times while dnsperf asks over TLS. */
export function swapsAndSignals(scale: Scale): Promise<Outcome> {
  const times = Math.round(100 / scale);
  return withServer(
    `${WIDE_LIMITS}\ntls: { watch-certificates: 100ms }`,
    async (world, server, _tcp, tls) => {
      const queries = join(world.folder, "queries");
      writeFileSync(queries, "www.corp.example A\n");
      const seconds = Math.ceil(times * 0.25) + 3;
      const args = [
        "-m",
        "tls",
        "-s",
        "127.0.0.1",
        "-p",
        String(tls),
        "-d",
        queries,
        "-l",
        String(seconds),
        "-c",
        "20",
        "-q",
        "100",
        "-Q",
        "5000",
      ];
      const dnsperf = spawn("dnsperf", args, { stdio: ["ignore", "pipe", "pipe"] });
      let output = "";
      dnsperf.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString();
      });
      const ended = new Promise<void>((resolve) => dnsperf.once("close", () => resolve()));
      const authority = await makeAuthority("another authority", Date.now());
      await pause(1000);
      for (let i = 0; i < times; i++) {
        const pair = await authority.issue([AUTH_NAME], Date.now());
        writeFileSync(join(world.folder, "server.key"), pair.keyPem);
        writeFileSync(join(world.folder, "server.pem"), pair.certificatePem);
        await pause(125);
        server.process.kill("SIGHUP");
        await pause(125);
      }
      await ended;
      await pause(1000);
      const figure = (what: string): string => new RegExp(`${what}:\\s+([^\\n]*)`).exec(output)?.[1] ?? "?";
      const told = (message: string): number => server.log.filter((line) => line["msg"] === message).length;
      const lost = figure("Queries lost");
      const reconnects = figure("Reconnections");
      const renewed = told("certificate.renewed");
      return {
        scenario: `certificate swapped ${times} times and SIGHUP ${times} times under dnsperf -m tls`,
        goal: "no query lost, no connection closed",
        isMet: lost.startsWith("0 ") && /^0\b/.test(reconnects) && told("reloaded") === times,
        figures: [
          ["queries completed", figure("Queries completed")],
          ["queries lost", lost],
          ["reconnections", reconnects],
          ["reloads", String(told("reloaded"))],
          ["renewals that the log tells (at most 10 in 10 s)", String(renewed)],
          ["average latency", figure("Average Latency \\(s\\)")],
        ],
      };
    },
  );
}
