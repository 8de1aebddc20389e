/** Probes that look at connections: Fast Open, resumption, how many go to the backend, and what becomes of them at the end. */
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { EdnsOptionCode, frameMessage, makeKeepalive, Rcode } from "@sotto/dns/wire";
import type { PinnedProcess } from "../../bench/peers/processes.ts";
import { kernelCounter } from "../evidence/world.ts";
import type { FrontProgram } from "./front-programs.ts";
import { FAST_NAME, SLOW_ZONE } from "./gap-backends.ts";
import type { Finding, Word } from "./gap-cell.ts";
import { optionOf, PROBE_NAME, ProbeClient, type ProbeTarget, queryOctets } from "./probe-client.ts";
import { ms } from "./query-probes.ts";

/** The first flight of later connections is data in the SYN. */
export async function probeFastOpen(target: ProbeTarget, isKernelReady: boolean): Promise<Finding> {
  if (!isKernelReady)
    return {
      word: "not testable",
      evidence: ["needs a network namespace with net.ipv4.tcp_fastopen=3 (root)"],
    };
  const { network } = nodeRuntime();
  const before = kernelCounter("TCPFastOpenPassive");
  let used = 0;
  for (let i = 0; i < FAST_OPENS; i++) {
    const stream = await network.connect({
      remote: { address: target.address, port: target.port },
      localAddress: undefined,
      tls: { serverName: PROBE_NAME, alpn: ["dot"], trustAnchorsPem: [target.caPem], session: undefined },
      connectTimeoutMs: 5000,
      handshakeTimeoutMs: 5000,
      signal: undefined,
      fastOpen: true,
    });
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => stream.end(), 3000);
      stream.setHandlers({
        onData: () => {
          if (stream.fastOpen === "used") used++;
          stream.end();
        },
        onEnd: () => stream.end(),
        onClose: () => {
          clearTimeout(timer);
          resolve();
        },
        onDrain: () => undefined,
      });
      stream.write(frameMessage(queryOctets(FAST_NAME, i)));
    });
  }
  const passive = kernelCounter("TCPFastOpenPassive") - before;
  return {
    // The first has no cookie yet.
    word: passive >= FAST_OPENS - 1 ? "full" : passive > 0 ? "partial" : "none",
    evidence: [
      `${FAST_OPENS} connections: TCPFastOpenPassive +${passive}, TCPI_OPT_SYN_DATA at the client on ${used}`,
    ],
  };
}

/** A ticket of one connection is accepted on the next. */
export async function probeResumption(target: ProbeTarget): Promise<Finding> {
  const first = await ProbeClient.open(target);
  first.send(queryOctets(FAST_NAME, 1));
  await first.wait(1);
  await first.until(() => first.session !== undefined, 1000);
  const { session } = first;
  first.close();
  if (session === undefined) return { word: "none", evidence: ["no ticket was given"], clients: [first] };
  const second = await ProbeClient.open(target, { session });
  second.send(queryOctets(FAST_NAME, 2));
  await second.wait(1);
  const isReused = second.isResumed;
  return {
    word: isReused ? "full" : "none",
    evidence: [`a ticket was given; the second handshake was ${isReused ? "resumed" : "full"}`],
    clients: [first, second],
  };
}

/** How many connections the front end has to the backend while many clients hold theirs and all have asked. */
export async function probeConnections(
  target: ProbeTarget,
  backendPort: number,
  isUdp: boolean,
): Promise<Finding> {
  const opened = await Promise.allSettled(Array.from({ length: CLIENTS }, () => ProbeClient.open(target)));
  const clients = opened.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  round++;
  // A while each, so that all are under way at once.
  for (const [i, client] of clients.entries())
    client.send(queryOctets(`d200-c${round}-${i}.${SLOW_ZONE}`, 1));
  await pause(100);
  const most = establishedTo(backendPort);
  const limitMs = performance.now() + ANSWERED_MS;
  const answered = (): number =>
    clients.filter(({ replies }) => replies.some(({ message }) => message.rcode === Rcode.NoError)).length;
  while (answered() < CLIENTS && performance.now() < limitMs) await pause(10);
  const count = answered();
  for (const client of clients) client.close();
  const evidence = [
    `${CLIENTS} clients with a query of 200 ms each: ${most} TCP connections to the backend, ${count} answered`,
  ];
  // Of so many the traces say nothing that the sentence does not.
  if (count < CLIENTS) return { word: count === 0 ? "none" : "partial", evidence };
  return { word: isUdp || most <= FEW_CONNECTIONS ? "full" : "none", evidence };
}

let round = 0;

/** Established connections of this network namespace to a port, as the kernel lists them. */
export function establishedTo(port: number): number {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readFileSync("/proc/net/tcp", "ascii")
    .split("\n")
    .filter((line) => {
      const [, , remote, state] = line.trim().split(/\s+/);
      return remote?.endsWith(wanted) === true && state === ESTABLISHED;
    }).length;
}

const ESTABLISHED = "01";

/** What becomes of queries under way, idle connections and new ones when the program is told to reload and to end. */
export async function probeDraining(
  target: ProbeTarget,
  front: FrontProgram,
  running: PinnedProcess,
): Promise<Finding> {
  const clients: ProbeClient[] = [];
  const evidence: string[] = [];
  const reload = front.reloadSignal;
  let reloadPoints = 0;
  if (reload === undefined) evidence.push("reload: the program has none");
  else {
    const seen = await aroundSignal(target, () => running.child.kill(reload), clients);
    evidence.push(`reload (${reload}): ${seen.text}`);
    reloadPoints = Number(seen.isFlightAnswered) + Number(seen.isNewAnswered);
  }
  const seen = await aroundSignal(target, () => running.child.kill(front.stopSignal), clients);
  evidence.push(`end (${front.stopSignal}): ${seen.text}`);
  const isGentle = seen.isFlightAnswered && (seen.isToldToGo || seen.isIdleClosed);
  const word: Word =
    reloadPoints === 2 && isGentle && seen.isToldToGo
      ? "full"
      : seen.isFlightAnswered || reloadPoints > 0
        ? "partial"
        : "none";
  return { word, evidence, clients };
}

interface SignalSeen {
  readonly isFlightAnswered: boolean;
  readonly isNewAnswered: boolean;
  /** Some answer after the signal told a timeout of 0. */
  readonly isToldToGo: boolean;
  /** The idle connection was ended in order, in a while. */
  readonly isIdleClosed: boolean;
  readonly text: string;
}

async function aroundSignal(
  target: ProbeTarget,
  send: () => void,
  clients: ProbeClient[],
): Promise<SignalSeen> {
  round++;
  const keepalive = [makeKeepalive(undefined)];
  const [flight, idle, asking] = await Promise.all([1, 2, 3].map(() => ProbeClient.open(target)));
  if (flight === undefined || idle === undefined || asking === undefined) throw new Error("no connections");
  clients.push(flight, idle, asking);
  for (const client of [idle, asking]) client.send(queryOctets(FAST_NAME, 1, keepalive));
  await Promise.all([idle.wait(1), asking.wait(1)]);
  flight.send(queryOctets(`d400-drain${round}.${SLOW_ZONE}`, 1, keepalive));
  await pause(100);
  send();
  const sentMs = performance.now();
  await pause(150);
  asking.send(queryOctets(FAST_NAME, 2, keepalive));
  await asking.wait(2, 1500);
  await flight.wait(1, 2500);
  let fresh = "refused";
  let isNewAnswered = false;
  try {
    const later = await ProbeClient.open(target);
    clients.push(later);
    later.send(queryOctets(FAST_NAME, 1, keepalive));
    isNewAnswered = (await later.wait(1, 1500)).length === 1;
    fresh = isNewAnswered ? "served" : "accepted and not answered";
  } catch {
    // Said by `refused`.
  }
  await idle.until(() => idle.endedMs !== undefined, IDLE_WATCH_MS);
  const isIdleClosed = idle.endedMs !== undefined;
  const told = [flight, asking].flatMap(({ replies }) => {
    const last = replies.at(-1);
    const data = last === undefined ? undefined : optionOf(last, EdnsOptionCode.TcpKeepalive);
    return data === undefined ? [] : [(data[0] ?? 0) * 256 + (data[1] ?? 0)];
  });
  const isFlightAnswered = flight.replies.some(({ message }) => message.rcode === Rcode.NoError);
  const isAskingAnswered = asking.replies.length === 2;
  const idleText = isIdleClosed ? `closed, ${idle.endText}` : `open ${ms(performance.now() - sentMs)} later`;
  return {
    isFlightAnswered,
    isNewAnswered,
    isToldToGo: told.includes(0) && isFlightAnswered,
    isIdleClosed,
    text: [
      `query under way ${isFlightAnswered ? "answered" : "lost"}`,
      `a query on an old connection ${isAskingAnswered ? "answered" : "not answered"}`,
      `keepalive told in these: ${told.length === 0 ? "none" : told.map((units) => ms(units * 100)).join(", ")}`,
      `idle connection ${idleText}`,
      `new connection ${fresh}`,
    ].join("; "),
  };
}

const FAST_OPENS = 4;
const CLIENTS = 50;
/** More than these is one for each client, or nearly. */
const FEW_CONNECTIONS = 8;
const ANSWERED_MS = 6000;
const IDLE_WATCH_MS = 1500;
