/** What broken servers do, as small named functions over a query and the right answer. */
import {
  encodeMessage,
  type Message,
  MessageView,
  makeMessage,
  type Name,
  parseName,
  parseRecord,
  Rcode,
  type ResourceRecord,
  RRClass,
  RRType,
  setUint16,
  tryDecodeMessage,
} from "@sotto/dns/wire";

/** What a server does with one query. */
export interface Action {
  /** Sent in this order; none is silence. */
  readonly replies: readonly Uint8Array[];
  readonly delayMs: number;
  /** Over TCP: closes after the replies. */
  readonly closes: boolean;
}

/** `answer` is what a good server would say, undefined for messages that deserve nothing. */
export type Behaviour = (
  query: Uint8Array,
  transport: "udp" | "tcp",
  answer: Uint8Array | undefined,
) => Action;

const SILENCE: Action = { replies: [], delayMs: 0, closes: false };

function say(...replies: (Uint8Array | undefined)[]): Action {
  return { replies: replies.filter((reply) => reply !== undefined), delayMs: 0, closes: false };
}

/** Changes the right answer, or stays silent where there is none. */
function changed(change: (message: Message, view: MessageView) => Partial<Message>): Behaviour {
  return (query, _transport, answer) => {
    const view = viewOf(query);
    const message = answer === undefined ? undefined : tryDecodeMessage(answer);
    if (view === undefined || message?.ok !== true) return SILENCE;
    return say(encodeMessage({ ...message.value, ...change(message.value, view) }));
  };
}

function viewOf(query: Uint8Array): MessageView | undefined {
  const view = new MessageView();
  return view.reset(query) === undefined && view.questionCount === 1 ? view : undefined;
}

/** Answers with a response code and nothing else, without OPT. */
function onlyRcode(rcode: Rcode): Behaviour {
  return (query) => {
    const view = viewOf(query);
    if (view === undefined) return SILENCE;
    return say(
      encodeMessage(
        makeMessage({
          id: view.id,
          isResponse: true,
          recursionDesired: view.recursionDesired,
          rcode,
          questions: [view.question],
        }),
      ),
    );
  };
}

/** Milliseconds named by a label such as `d300-x` or `delay-300`; 0 when there is none. At most ten seconds. */
function delayOf(name: Name): number {
  for (const label of name.labels()) {
    const number = /^(?:d|delay-)([0-9]{1,5})(?:-.*)?$/.exec(
      String.fromCharCode(...label).toLowerCase(),
    )?.[1];
    if (number !== undefined) return Math.min(Number(number), 10_000);
  }
  return 0;
}

function referral(owner: Name, serverNames: readonly string[]): Partial<Message> {
  const authorities = serverNames.map(
    (name): ResourceRecord => ({
      owner,
      type: RRType.NS,
      class: RRClass.IN,
      ttl: 300,
      rdata: parseName(name).wire,
    }),
  );
  return { isAuthoritative: false, rcode: Rcode.NoError, answers: [], authorities, additionals: [] };
}

/** Behaviours by name; the server table refers to them. */
export const BEHAVIOURS = {
  good: (_query, _transport, answer) => say(answer),
  /** Answers after the time that the name says. */
  slow: (query, _transport, answer) => ({
    ...say(answer),
    delayMs: delayOf(viewOf(query)?.qname ?? parseName(".")),
  }),
  /** Always takes a second and a half. */
  sluggish: (_query, _transport, answer) => ({ ...say(answer), delayMs: 1500 }),
  dead: () => SILENCE,
  refuses: onlyRcode(Rcode.Refused),
  servfail: onlyRcode(Rcode.ServFail),
  notimp: onlyRcode(Rcode.NotImp),
  /** Knows the data and says it without authority, as a lame server's cache would. */
  unauthoritative: changed(() => ({ isAuthoritative: false, answers: [], authorities: [] })),
  /** Refers to the root, as old lame servers did. */
  upward: changed(() => referral(parseName("."), ["a.root-servers.lab."])),
  /** Refers to the zone that it should answer for. */
  selfReferral: changed((_message, view) => referral(view.qname.suffix(2), ["ns1.selfref.lab."])),
  /** FORMERR to every query with EDNS. */
  ednsFormerr: (query, transport, answer) =>
    viewOf(query)?.hasEdns === true ? onlyRcode(Rcode.FormErr)(query, transport, answer) : say(answer),
  /** Silent to every query with EDNS. */
  ednsDrop: (query, _transport, answer) => (viewOf(query)?.hasEdns === true ? SILENCE : say(answer)),
  /** Answers as if the query had no EDNS. */
  ednsIgnore: changed(() => ({ edns: undefined })),
  badvers: (query, _transport, answer) => {
    const view = viewOf(query);
    if (view?.hasEdns !== true) return say(answer);
    return say(
      encodeMessage(
        makeMessage({
          id: view.id,
          isResponse: true,
          rcode: Rcode.BadVers,
          questions: [view.question],
          edns: view.edns,
        }),
      ),
    );
  },
  /** TC over UDP whatever the size. */
  alwaysTruncated: (query, transport, answer) => {
    if (transport === "tcp") return say(answer);
    return changed(() => ({ isTruncated: true, answers: [], authorities: [], additionals: [] }))(
      query,
      transport,
      answer,
    );
  },
  /** TC over UDP, and nothing over TCP. */
  truncatedWithoutTcp: (query, transport, answer) => {
    if (transport === "tcp") return { replies: [], delayMs: 0, closes: true };
    return changed(() => ({ isTruncated: true, answers: [], authorities: [], additionals: [] }))(
      query,
      transport,
      answer,
    );
  },
  /** Closes TCP connections after each answer. */
  closesAfterAnswer: (_query, transport, answer) => ({ ...say(answer), closes: transport === "tcp" }),
  /** Another id first, then the right reply. */
  wrongIdFirst: (_query, _transport, answer) => {
    if (answer === undefined) return SILENCE;
    const wrong = answer.slice();
    setUint16(wrong, 0, ((wrong[0] ?? 0) << 8) ^ 0x5a5a);
    return say(wrong, answer);
  },
  /** Answers another question than the one asked. */
  wrongQuestion: changed((message) => ({
    questions: message.questions.map((question) => ({ ...question, name: parseName("other.example.") })),
  })),
  /** Adds records of names that are none of its business. */
  poisons: changed((message) => ({
    authorities: [
      ...message.authorities,
      {
        owner: parseName("example."),
        type: RRType.NS,
        class: RRClass.IN,
        ttl: 86_400,
        rdata: parseName("ns.evil.lab.").wire,
      },
    ],
    additionals: [
      ...message.additionals,
      {
        owner: parseName("www.shop.example."),
        type: RRType.A,
        class: RRClass.IN,
        ttl: 86_400,
        rdata: Uint8Array.of(203, 0, 113, 66),
      },
    ],
  })),
  /** Octets that are no message behind the right id. */
  garbage: (query) =>
    say(Uint8Array.from([...query.subarray(0, 2), 0x84, 0, 0, 1, 0, 9, 0, 0, 0, 0, 0xc0, 0x0c, 1, 2, 3])),
  /** Cuts its replies in the middle of a record. */
  cut: (_query, _transport, answer) => say(answer?.subarray(0, answer.length - 3)),
  /** Turns the letters of its replies into capitals. */
  shouts: changed((message) => ({
    answers: message.answers.map((record) => ({ ...record, owner: capitals(record.owner) })),
  })),
  /** Refers every query to twenty servers whose names do not exist (NXNSAttack). */
  nxns: changed((_message, view) =>
    referral(
      view.qname.suffix(2),
      Array.from({ length: 20 }, (_, i) => `x${i}-${view.qname.labelCount}.victim.example.`),
    ),
  ),
  /** Refers each query one label further down, to itself. */
  endless: changed((_message, view) => {
    const deeper = view.qname.suffix(Math.min(view.qname.labelCount, 12));
    return referral(deeper, ["ns1.endless.lab."]);
  }),
  /** Asked for text below a zone cut, it answers itself instead of referring there: it should have heard of the cut only. */
  tellsOnWholeNames: changed((message, view) => {
    const cut = message.isAuthoritative ? undefined : message.authorities[0]?.owner;
    if (view.qtype !== RRType.TXT || cut === undefined || view.qname.equals(cut)) return {};
    const answers = [
      parseRecord(`${view.qname.toString()} 60 IN TXT "NO: the server above was asked for the whole name"`),
    ];
    return { isAuthoritative: true, answers, authorities: [], additionals: [] };
  }),
} as const satisfies Readonly<Record<string, Behaviour>>;

export type BehaviourName = keyof typeof BEHAVIOURS;

function capitals(name: Name): Name {
  const upper = parseName(name.toString().toUpperCase());
  return upper;
}
