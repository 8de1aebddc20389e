/**
 * From events to lines on standard error. Libraries publish events (`runtime/events.ts`); this file decides which of
 * them become lines, at which level, and that a repeated one does not flood the log.
 */
import type { Clock, Events } from "@sotto/dns/runtime";
import { type Logger, pino } from "pino";

/** How the log looks and how much it tells. */
export interface LogOptions {
  readonly level: "error" | "warn" | "info" | "debug";
  readonly format: "auto" | "text" | "json";
  /** Where lines go; standard error of the process in programs. */
  readonly stream: { write(line: string): unknown; readonly isTTY?: boolean | undefined };
}

/**
 * Lines of one event name within a window; more are counted and summed up in one line at the next window. Who goes on writes in
 * windows that double up to the longest: about a hundred lines in the first hour of whatever goes wrong.
 */
const LINES_PER_WINDOW_MAX = 10;
const WINDOW_MS = 10_000;
const WINDOW_MS_MAX = 600_000;
/** Event names that are tracked; they are constants of our sources, so this is a guard against a mistake only. */
const TRACKED_NAMES_MAX = 500;

/** The level of each event that is told; all others are debug. */
const LEVELS: Readonly<Record<string, "error" | "warn" | "info">> = {
  "server.bug": "error",
  "runtime.engine-unavailable": "warn",
  "worker.crashed": "error",
  "worker.restarted": "info",
  "worker.not-rolled-back": "error",
  "worker.events-dropped": "warn",
  "listener.failed": "warn",
  "listener.socket-missing": "warn",
  "listener.socket-unused": "warn",
  "service.not-told": "warn",
  "udp.socket-error": "warn",
  "stream.handshake-failed": "info",
  "stream.proxy-failed": "warn",
  "certificate.renewed": "info",
  "certificate.refused": "error",
  "encryption.state-refused": "warn",
  "certificate.expires": "warn",
  "tickets.rotated": "info",
  "transport.upstream.failing": "warn",
  "transport.upstream.working": "info",
  "transport.upstream.attack-suspected": "error",
  "transport.network-changed": "info",
  "portal.opened": "warn",
  "portal.open": "warn",
  "portal.closed": "warn",
  "stub.addresses": "info",
  "stub.addresses-failed": "warn",
  "stub.address-memory-refused": "warn",
  "stub.designation": "info",
  "front.backend.down": "warn",
  "front.backend.starting": "info",
  "front.backend.up": "info",
  "front.backend.draining": "info",
  "front.backend.authenticated": "info",
  "front.backend.not-authenticated": "warn",
  "front.set.refused": "error",
  "front.set.bad-lines": "warn",
  "front.set.loaded": "info",
  "front.reply.unusable": "warn",
  "front.query.failed": "warn",
  "front.client.banned": "info",
  "front.query": "info",
  "recursor.priming-failed": "warn",
  "anchors.key-changed": "info",
  "anchors.not-validated": "warn",
  "anchors.no-room": "warn",
  "anchors.deleted": "error",
  "anchors.not-saved": "error",
};

interface Window {
  startMs: number;
  lengthMs: number;
  lines: number;
}

/** A logger for programs and the event sink that feeds it. */
export interface Log {
  readonly logger: Logger;
  readonly events: Events;
}

/** Whether a log of a level has a line for an event. */
export function logFilter(level: LogOptions["level"]): (name: string) => boolean {
  const order = pino.levels.values;
  const least = order[level] ?? 0;
  return (name) => (order[LEVELS[name] ?? "debug"] ?? 0) >= least;
}

/** Opens the log. */
export function openLog(options: LogOptions, clock: Clock): Log {
  const isText = options.format === "text" || (options.format === "auto" && options.stream.isTTY === true);
  const write = isText
    ? (line: string) => options.stream.write(lineToText(line))
    : (line: string) => options.stream.write(line);
  const logger = pino(
    { level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    { write },
  );
  const windows = new Map<string, Window>();
  const events: Events = {
    wants: (name) => logger.isLevelEnabled(LEVELS[name] ?? "debug"),
    publish(name, details) {
      const level = LEVELS[name] ?? "debug";
      if (!logger.isLevelEnabled(level)) return;
      const suppressed = admit(windows, name, clock.nowMs());
      if (suppressed < 0) return;
      logger[level](suppressed === 0 ? details : { ...details, suppressed }, name);
    },
  };
  return { logger, events };
}

/** -1 when the line must not be written, else how many were not since the last one. */
function admit(windows: Map<string, Window>, name: string, nowMs: number): number {
  const window = windows.get(name);
  if (window === undefined || nowMs - window.startMs >= window.lengthMs) {
    if (window === undefined && windows.size >= TRACKED_NAMES_MAX) windows.clear();
    const suppressed = Math.max(0, (window?.lines ?? 0) - LINES_PER_WINDOW_MAX);
    const isOver = window === undefined || suppressed === 0;
    const lengthMs = isOver ? WINDOW_MS : Math.min(window.lengthMs * 2, WINDOW_MS_MAX);
    windows.set(name, { startMs: nowMs, lengthMs, lines: 1 });
    return suppressed;
  }
  window.lines += 1;
  return window.lines <= LINES_PER_WINDOW_MAX ? 0 : -1;
}

/** `12:34:56.789 warn  listener.failed address=192.0.2.1 …` from one of pino's JSON lines. */
function lineToText(line: string): string {
  const fields: Record<string, unknown> = JSON.parse(line);
  const { level, time, msg, ...others } = fields;
  const clock = String(time).slice(11, 23);
  const details = Object.entries(others).map(
    ([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return `${clock} ${(pino.levels.labels[Number(level)] ?? "").padEnd(5)} ${String(msg)}${details.join("")}\n`;
}
