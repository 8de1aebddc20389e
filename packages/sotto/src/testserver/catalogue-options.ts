/** Fixtures about EDNS: keepalive (RFC 7828), padding (RFC 7830, RFC 8467) and OPT itself (RFC 6891). */
import type { EdnsDefect, KeepaliveAnswer, PaddingAnswer, ReplyBehaviour } from "./behaviour.ts";
import type { Fixture, FixtureGroup, Transport } from "./fixture.ts";

const EVERYWHERE: readonly Transport[] = ["udp", "tcp", "tls"];
const STREAMS: readonly Transport[] = ["tcp", "tls"];

interface OptionFixture {
  readonly group: FixtureGroup;
  readonly name: string;
  readonly about: string;
  readonly requirements: readonly string[];
  readonly transports: readonly Transport[];
  readonly reply: ReplyBehaviour;
  readonly idleMs?: number;
}

/** One whose connections have an idle time of their own cannot be switched by name. */
function option({ reply, idleMs, ...rest }: OptionFixture): Fixture {
  const connection = idleMs === undefined ? {} : { idle: { afterMs: idleMs, how: "fin" as const } };
  return {
    ...rest,
    switchedBy: idleMs === undefined ? ["port", "name", "control"] : ["port", "control"],
    behaviour: { reply, connection },
    authenticates: true,
  };
}

function keepalive(
  name: string,
  about: string,
  requirements: readonly string[],
  answer: KeepaliveAnswer,
  more: { readonly idleMs?: number; readonly transports?: readonly Transport[] } = {},
): Fixture {
  const { transports = STREAMS, ...idle } = more;
  const reply = { keepalive: answer };
  return option({ group: "keepalive", name, about, requirements, transports, reply, ...idle });
}

const KEEPALIVE: readonly Fixture[] = [
  keepalive("keepalive-absent", "never sends the option", ["7828-3.2.2-d"], { values: ["absent"] }),
  keepalive("keepalive-0", "timeout 0: the client should close", ["7828-3.2.2-c"], { values: [0] }),
  keepalive("keepalive-1", "timeout 0.1 s", ["7828-3.2.2-b"], { values: [1] }, { idleMs: 100 }),
  keepalive(
    "keepalive-max",
    "timeout 65535, nearly two hours, and true",
    ["7828-3.2.2-b"],
    { values: [65_535] },
    {
      idleMs: 6_553_500,
    },
  ),
  keepalive(
    "keepalive-lies-long",
    "says 60 s and closes after 1 s",
    ["7828-3.3.2-b", "7858-3.4-d"],
    {
      values: [600],
    },
    { idleMs: 1000 },
  ),
  keepalive(
    "keepalive-lies-short",
    "says 1 s and closes after 60 s",
    ["7828-3.3.2-b"],
    { values: [10] },
    {
      idleMs: 60_000,
    },
  ),
  keepalive("keepalive-one-octet", "the option has one octet", ["7828-3.1-a"], { values: [[0x64]] }),
  keepalive("keepalive-three-octets", "the option has three octets", ["7828-3.1-a"], {
    values: [[0, 0x64, 0]],
  }),
  keepalive("keepalive-empty", "the option has no timeout, as in queries", ["7828-3.1-a"], { values: [[]] }),
  keepalive("keepalive-changes", "10 s, then 2 s, then 0", ["7828-3.2.2-b", "7828-3.4-a"], {
    values: [100, 20, 0],
    when: "edns",
  }),
  keepalive("keepalive-vanishes", "in the first reply of a connection only", ["7828-3.2.2-d"], {
    values: ["session", "absent"],
  }),
  keepalive("keepalive-unasked", "to every query with OPT", ["7828-3.3.2-a"], {
    values: ["session"],
    when: "edns",
  }),
  keepalive(
    "keepalive-udp",
    "also over UDP",
    ["7828-3.2.2-a"],
    { values: [100], when: "edns", alsoUdp: true },
    {
      transports: EVERYWHERE,
    },
  ),
];

function padding(
  name: string,
  about: string,
  requirements: readonly string[],
  answer: PaddingAnswer | "none",
  transports: readonly Transport[] = ["tls"],
): Fixture {
  return option({ group: "padding", name, about, requirements, transports, reply: { padding: answer } });
}

const PADDING: readonly Fixture[] = [
  padding("padding-none", "never pads", ["7830-4-b", "8467-4.1-b"], "none"),
  padding("padding-block-128", "pads to multiples of 128, which is for queries", ["8467-4.1-b"], {
    blockOctets: 128,
  }),
  padding("padding-too-small", "always 7 octets of padding", ["8467-4.1-b"], {
    blockOctets: 1,
    dataOctets: 7,
  }),
  padding("padding-nonzero", "padding octets are 0xff", ["7830-3-b", "7830-3-c"], {
    blockOctets: 468,
    fill: 0xff,
  }),
  padding("padding-twice", "two padding options", ["7830-3-a"], { blockOctets: 468, copies: 2 }),
  padding("padding-first", "padding stands before the keepalive option", ["8467-3-a"], {
    blockOctets: 468,
    isFirst: true,
  }),
  padding("padding-unasked", "pads every reply to a query with OPT", ["7830-4-c"], {
    blockOctets: 468,
    when: "edns",
  }),
  padding("padding-without-edns", "pads replies to queries without OPT, too", ["7830-4-d"], {
    blockOctets: 468,
    when: "always",
  }),
  padding(
    "padding-in-clear",
    "pads also over UDP and TCP",
    ["7830-6-a"],
    { blockOctets: 468, inClear: true },
    EVERYWHERE,
  ),
  padding(
    "padding-over-size",
    "4000 octets of padding, over UDP beyond what the client takes",
    ["7830-4-a"],
    {
      blockOctets: 1,
      dataOctets: 4000,
      inClear: true,
    },
    EVERYWHERE,
  ),
];

function edns(name: string, about: string, requirements: readonly string[], defect: EdnsDefect): Fixture {
  const transports = EVERYWHERE;
  return option({ group: "EDNS", name, about, requirements, transports, reply: { edns: defect } });
}

const EDNS: readonly Fixture[] = [
  edns(
    "edns-formerr",
    "FORMERR without OPT to every query with OPT",
    ["6891-6.1.1-a", "7828-3.5-a"],
    "formerr",
  ),
  edns(
    "edns-formerr-with-opt",
    "FORMERR with OPT to every query with OPT",
    ["6891-6.1.1-a"],
    "formerr-with-opt",
  ),
  edns("edns-notimp", "NOTIMP without OPT to every query with OPT", ["6891-6.1.1-a", "7828-3.5-a"], "notimp"),
  edns("edns-drop", "answers no query with OPT", ["7828-3.5-a"], "drop"),
  edns(
    "edns-drop-unknown",
    "answers no query with an option that is not registered",
    ["6891-6.1.2-a"],
    "drop-unknown-option",
  ),
  edns("edns-badvers", "BADVERS although the version is 0", ["6891-6.1.3-a"], "badvers"),
  edns("edns-echo", "sends all options of the query back, known or not", ["6891-6.1.2-a"], "echo"),
  edns("edns-no-opt", "answers rightly and without OPT", ["6891-6.1.1-a", "7828-3.2.2-d"], "no-opt"),
  edns("edns-do-cleared", "DO of the query is not in the answer", ["6891-6.1.1-a"], "do-cleared"),
  edns("edns-two-opts", "two OPT records", ["6891-6.1.1-a"], "two-opts"),
  edns("edns-version-1", "says that its EDNS version is 1", ["6891-6.1.3-a"], "version-1"),
  edns("edns-unasked", "an OPT although the query had none", ["6891-6.1.1-a", "7828-3.4-b"], "unasked"),
];

/** Fixtures about EDNS. */
export const OPTION_FIXTURES: readonly Fixture[] = [...KEEPALIVE, ...PADDING, ...EDNS];
