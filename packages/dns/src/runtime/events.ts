/**
 * What a library tells about itself. Libraries never log: they publish events, and a program decides what becomes
 * a line, a counter or nothing.
 */

/** The sink of events. `name` is a dotted, stable name such as `transport.connection.closed`. */
export interface Events {
  /** True when somebody listens; ask before building costly details. */
  wants(name: string): boolean;
  publish(name: string, details: Readonly<Record<string, unknown>>): void;
}

/** Events that nobody listens to. */
export const silentEvents: Events = { wants: () => false, publish: () => undefined };
