/** Load by numbers: many connections at once, and many one after the other. */
import type { Socket } from "node:net";
import { ask, askForAWhile, connect, median, pause, pooled, quantile } from "./clients.ts";
import { descriptors, residentKib } from "./process-facts.ts";
import { type Outcome, pidOf, type Scale, WIDE_LIMITS, withServer } from "./scenario.ts";

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
    const { latenciesMs, lost } = await askForAWhile(
      active.map((socket) => ({ ask: () => ask(socket) })),
      activeCount,
      15_000,
    );
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
