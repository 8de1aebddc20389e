/** Fixtures about answers: when they come, how big they are, what is in them and how they lie in the stream. */
import type { ConnectionBehaviour, ReplyBehaviour } from "./behaviour.ts";
import type { Fixture, FixtureGroup, Transport } from "./fixture.ts";

const EVERYWHERE: readonly Transport[] = ["udp", "tcp", "tls"];
const STREAMS: readonly Transport[] = ["tcp", "tls"];

/** What one reply does wrong: chosen by port or by label. */
function reply(
  group: FixtureGroup,
  name: string,
  about: string,
  requirements: readonly string[],
  behaviour: ReplyBehaviour,
  transports: readonly Transport[] = EVERYWHERE,
): Fixture {
  const authenticates = true;
  const switchedBy = ["port", "name", "control"] as const;
  return {
    name,
    group,
    about,
    requirements,
    transports,
    switchedBy,
    behaviour: { reply: behaviour },
    authenticates,
  };
}

/** Chosen by a label with a number in it only. */
function byNumber(name: string, about: string, requirements: readonly string[], question: string): Fixture {
  return {
    name,
    group: "answers",
    about,
    requirements,
    transports: EVERYWHERE,
    switchedBy: ["name", "control"],
    behaviour: {},
    question,
  };
}

function order(
  name: string,
  about: string,
  requirements: readonly string[],
  connection: ConnectionBehaviour,
): Fixture {
  const switchedBy = ["port", "control"] as const;
  return {
    name,
    group: "order",
    about,
    requirements,
    transports: STREAMS,
    switchedBy,
    behaviour: { connection },
    authenticates: true,
  };
}

const ANSWERS: readonly Fixture[] = [
  byNumber(
    "delay",
    "answers after the milliseconds that the label says: delay-300, d300-x, or 300.n1.delay",
    ["7766-7-a", "7766-7-b", "7766-6.2.1.1-d"],
    "delay-300.test. TXT",
  ),
  byNumber(
    "size",
    "the reply has the octets that the label says: size-4000, s40-x",
    ["1035-4.2.2-a", "7766-8-b", "8467-4.1-b"],
    "size-4000.test. TXT",
  ),
  byNumber("rcode", "answers with the response code of the label: rcode-2", ["7766-5-d"], "rcode-2.test. A"),
  reply("answers", "answers-late", "answers after 10 s", ["7858-3.4-e", "9210-4.1-b"], { delayMs: 10_000 }),
  reply("answers", "never-answers", "reads queries and answers none", ["7858-3.4-e"], { isSilent: true }),
  reply("answers", "refused", "REFUSED with EDE 18, as an access list does", ["7766-10-b"], {
    rcode: 5,
    extendedError: 18,
  }),
  reply("answers", "servfail", "SERVFAIL to everything", ["7766-7-c"], { rcode: 2 }),
  reply(
    "answers",
    "truncated",
    "TC over UDP to everything; the answer is to be had over TCP on the same port",
    ["7766-5-a", "9210-3-a"],
    { truncates: true },
    ["udp", "tcp"],
  ),
  {
    name: "truncated-without-tcp",
    group: "answers",
    about: "TC over UDP to everything; over TCP it closes after it accepted",
    requirements: ["7766-5-a", "9210-3-a"],
    transports: ["udp", "tcp"],
    switchedBy: ["port", "control"],
    behaviour: { reply: { truncates: true }, connection: { atAccept: "fin" } },
  },
];

const MESSAGES: readonly Fixture[] = [
  reply("messages", "wrong-id", "another id than the query's", ["7766-7-c"], { message: "wrong-id" }),
  reply("messages", "wrong-id-first", "the reply with another id, and then rightly", ["7766-7-c"], {
    message: "wrong-id-first",
  }),
  reply("messages", "wrong-question", "right id, another question", ["7766-7-c"], {
    message: "wrong-question",
  }),
  reply("messages", "no-question", "right id, no question", ["7766-7-c"], { message: "no-question" }),
  reply("messages", "query-bit", "QR is not set: a query with answers", ["7766-7-c"], {
    message: "query-bit",
  }),
  reply("messages", "answers-twice", "the same reply two times", ["7766-7-c"], { message: "twice" }),
  reply("messages", "unsolicited", "before the reply one that nobody asked for", ["7766-7-c"], {
    message: "unsolicited-first",
  }),
  reply(
    "messages",
    "old-id",
    "before each reply the one to the query before, once more",
    ["7766-7-c"],
    {
      message: "old-id-first",
    },
    STREAMS,
  ),
  reply("messages", "garbage", "octets behind the right id that are no message", ["7766-7-c"], {
    message: "garbage",
  }),
  reply("messages", "cut", "the message ends in the middle of a record", ["7766-7-c"], { message: "cut" }),
  reply("messages", "trailing-octets", "four octets after the last record", ["7766-7-c"], {
    message: "trailing-octets",
  }),
];

const FRAMING: readonly Fixture[] = [
  framing("octet-by-octet", "every octet of the reply in a segment of its own", {
    framing: "octet-by-octet",
  }),
  framing("split-length", "the two octets of the length in two segments", { framing: "split-length" }),
  framing("empty-frame", "a frame of length 0 before the reply", { framing: "empty-frame-first" }),
  framing("length-too-long", "the length says 10 octets more than there are, then FIN", {
    framing: "length-too-long",
    endsBy: "fin",
  }),
  framing("length-too-short", "the length says 10 octets fewer than there are", {
    framing: "length-too-short",
  }),
  framing("two-in-one", "two replies in one segment", { framing: "with-next" }),
  framing("half-fin", "half of the reply, then FIN", { framing: "half", endsBy: "fin" }),
  framing("half-rst", "half of the reply, then RST", { framing: "half", endsBy: "rst" }),
  framing("half-silence", "half of the reply, and nothing more", { framing: "half", endsBy: "silence" }),
];

function framing(name: string, about: string, behaviour: ReplyBehaviour): Fixture {
  return reply("framing", name, about, ["1035-4.2.2-a", "7766-8-b", "7858-3.3-a"], behaviour, STREAMS);
}

const ORDER: readonly Fixture[] = [
  order("reversed", "queries that come together are answered from the last to the first", ["7766-7-b"], {
    order: "reversed",
  }),
  order(
    "in-order",
    "one query after the other: a slow answer holds up all behind it",
    ["7766-7-a", "7766-6.2.1.1-d"],
    {
      order: "arrival",
    },
  ),
  order("first-only", "of queries that come together only the first is answered", ["7766-6.2.1.1-e"], {
    order: "first-only",
  }),
];

/** Fixtures about answers. */
export const MESSAGE_FIXTURES: readonly Fixture[] = [...ANSWERS, ...MESSAGES, ...FRAMING, ...ORDER];
