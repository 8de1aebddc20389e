/** Fixtures about connections that end: when and how. */
import type { ConnectionBehaviour, End } from "./behaviour.ts";
import type { Fixture, Transport } from "./fixture.ts";

const STREAMS: readonly Transport[] = ["tcp", "tls"];
const RETRY = ["7766-6.2.4-a", "7858-3.4-d", "7858-3.4-e"];
/** Short enough to wait for, long enough for a second query. */
const SHORT_IDLE_MS = 1000;

function closing(
  name: string,
  about: string,
  connection: ConnectionBehaviour,
  more: Partial<Fixture> = {},
): Fixture {
  return {
    name,
    group: "closing",
    about,
    requirements: RETRY,
    transports: STREAMS,
    switchedBy: ["port", "control"],
    behaviour: { connection },
    authenticates: true,
    ...more,
  };
}

/** One reply, and then the end: also by label. */
function afterReply(
  name: string,
  about: string,
  endsBy: End,
  transports: readonly Transport[] = STREAMS,
): Fixture {
  return closing(
    name,
    about,
    {},
    {
      behaviour: { reply: { endsBy } },
      switchedBy: ["port", "name", "control"],
      transports,
    },
  );
}

/** Fixtures about connections that end. */
export const CLOSING_FIXTURES: readonly Fixture[] = [
  closing(
    "port-closed",
    "nothing listens: connections are refused",
    { port: "closed" },
    {
      transports: ["tcp"],
      requirements: ["7858-3.1-f", "9210-4.1-a"],
      switchedBy: ["port"],
    },
  ),
  closing(
    "drops-syn",
    "SYN gets no answer, as behind a packet filter",
    { port: "drops-syn" },
    {
      transports: ["tcp"],
      requirements: ["7858-3.1-f", "9210-4.1-b"],
      switchedBy: ["port"],
    },
  ),
  closing("accept-fin", "FIN right after it accepted", { atAccept: "fin" }),
  closing("accept-rst", "RST right after it accepted", { atAccept: "rst" }),
  closing("accept-silence", "accepts, and does nothing, not even TLS", { atAccept: "silence" }),
  closing("query-fin", "FIN when it has read the first query", { atFirstQuery: "fin" }),
  closing("query-rst", "RST when it has read the first query", { atFirstQuery: "rst" }),
  afterReply("one-query", "FIN after the first answer: one query per connection", "fin"),
  afterReply("one-query-rst", "RST after the first answer", "rst"),
  afterReply("one-query-silence", "answers nothing after the first answer", "silence"),
  afterReply(
    "one-query-no-close-notify",
    "FIN without close_notify after the first answer",
    "fin-without-close-notify",
    ["tls"],
  ),
  afterReply(
    "one-query-only-close-notify",
    "close_notify without FIN after the first answer",
    "close-notify-only",
    ["tls"],
  ),
  closing("after-3-fin", "FIN after three answers", { afterAnswers: { count: 3, how: "fin" } }),
  closing("after-3-rst", "RST after three answers", { afterAnswers: { count: 3, how: "rst" } }),
  closing("after-50-fin", "FIN after fifty answers", { afterAnswers: { count: 50, how: "fin" } }),
  closing(
    "connections-2",
    "the third connection at once is closed after it was accepted",
    { connectionsMax: 2 },
    {
      requirements: ["7766-6.2.2-a", "9210-4.2-c"],
    },
  ),
  closing("idle-fin", "FIN after 1 s without queries", { idle: { afterMs: SHORT_IDLE_MS, how: "fin" } }),
  closing("idle-rst", "RST after 1 s without queries", { idle: { afterMs: SHORT_IDLE_MS, how: "rst" } }),
  closing("idle-silence", "answers nothing after 1 s without queries, and leaves the connection open", {
    idle: { afterMs: SHORT_IDLE_MS, how: "silence" },
  }),
  closing(
    "idle-no-close-notify",
    "FIN without close_notify after 1 s without queries",
    {
      idle: { afterMs: SHORT_IDLE_MS, how: "fin-without-close-notify" },
    },
    { transports: ["tls"] },
  ),
  closing(
    "idle-only-close-notify",
    "close_notify without FIN after 1 s without queries",
    {
      idle: { afterMs: SHORT_IDLE_MS, how: "close-notify-only" },
    },
    { transports: ["tls"] },
  ),
  closing(
    "fast-open",
    "takes data in SYN where the system lets it; no other fixture asks for that",
    { fastOpen: true },
    {
      requirements: ["7413-4.1.3-a", "7413-2-a", "9210-4.1-tfo", "7858-3.4-tfo"],
      switchedBy: ["port"],
    },
  ),
];
