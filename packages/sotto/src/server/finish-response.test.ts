import assert from "node:assert/strict";
import { test } from "node:test";
import type { Transport } from "@sotto/dns/transport";
import {
  EdeCode,
  EdnsOptionCode,
  type ExtendedError,
  encodeMessage,
  HeaderFlag,
  type Message,
  makeMessage,
  makePadding,
  parseRecord,
  Rcode,
  tryReadExtendedError,
  uint16At,
} from "@sotto/dns/wire";
import { bareResponse, FINISH_ROOM_OCTETS, finishResponse } from "./finish-response.ts";
import { channelOf, decode, optionOf, type QueryParts, queryOctets, viewOf } from "./queries.test-support.ts";

interface Finished {
  readonly octets: Uint8Array;
  readonly message: Message;
}

interface Case extends QueryParts {
  readonly name?: string;
  readonly transport?: Transport;
  /** Length of the one TXT record's data. */
  readonly dataOctets?: number;
  readonly reply?: Partial<Message>;
  readonly errors?: readonly ExtendedError[];
  readonly units?: number;
}

/** What a client gets who asked in that way. */
function finish(parts: Case): Finished {
  const { name, transport, dataOctets, reply, errors, units, ...query } = parts;
  const view = viewOf(queryOctets(name ?? "www.example.", query));
  const answers = dataOctets === undefined ? [parseRecord("www.example. 300 IN A 192.0.2.1")] : [];
  const rdata = new Uint8Array(dataOctets ?? 0);
  const large = { ...parseRecord("www.example. 300 IN A 192.0.2.1"), type: 65280, rdata };
  const base = encodeMessage(
    makeMessage({
      isResponse: true,
      questions: [view.question],
      answers: dataOctets === undefined ? answers : [large],
      ...reply,
    }),
  );
  const buffer = new Uint8Array(base.length + FINISH_ROOM_OCTETS + 16).fill(0xee);
  buffer.set(base);
  const channel = channelOf(transport ?? "tls", units === undefined ? {} : { units });
  const end = finishResponse(buffer, base.length, view, channel, 0, errors ?? [], undefined);
  const octets = buffer.slice(0, end);
  assert.ok(
    buffer.subarray(base.length + FINISH_ROOM_OCTETS).every((octet) => octet === 0xee),
    "wrote behind its room",
  );
  return { octets, message: decode(octets) };
}

const padded = { options: [makePadding(20)] };
const TRANSPORTS: readonly Transport[] = ["udp", "tcp", "tls", "internal"];

test("id, opcode, RD and CD are the client's, QR and RA ours, the rest the reply's", () => {
  const { message, octets } = finish({
    id: 0xbeef,
    checkingDisabled: true,
    reply: { isAuthoritative: true, rcode: Rcode.NXDomain, recursionDesired: false, reservedFlag: true },
  });
  assert.equal(message.id, 0xbeef);
  assert.ok(message.isResponse && message.recursionAvailable && message.recursionDesired);
  assert.ok(message.checkingDisabled && message.isAuthoritative);
  assert.equal(message.rcode, Rcode.NXDomain);
  assert.equal(uint16At(octets, 2) & HeaderFlag.Reserved, 0);
  assert.equal(finish({ recursionDesired: false }).message.recursionDesired, false);
});

test("the question comes back in the client's case", () => {
  const { octets } = finish({ name: "wWw.ExAmPlE." });
  assert.equal(Buffer.from(octets.subarray(12, 25)).toString("latin1"), "\x03wWw\x07ExAmPlE\0");
});

test("AD goes only to clients that set AD or DO", () => {
  const reply = { authenticData: true };
  assert.equal(finish({ reply }).message.authenticData, false);
  assert.equal(finish({ reply, edns: true }).message.authenticData, false);
  assert.equal(finish({ reply, authenticData: true }).message.authenticData, true);
  assert.equal(finish({ reply, edns: { dnssecOk: true } }).message.authenticData, true);
  assert.equal(finish({ authenticData: true }).message.authenticData, false);
});

test("an OPT answers an OPT, and only an OPT [6891-6.1.1-a 7828-3.4-b 7830-4-d]", () => {
  const errors = [{ code: EdeCode.Other, text: "why" }];
  for (const transport of TRANSPORTS) {
    assert.equal(finish({ transport, errors }).message.edns, undefined, transport);
    assert.deepEqual(
      { ...finish({ transport, edns: true }).message.edns, options: [] },
      { udpPayloadOctets: 1232, version: 0, dnssecOk: false, reservedFlags: 0, options: [] },
      transport,
    );
  }
});

test("DO is copied, other EDNS flags and options are not", () => {
  const options = [{ code: 65001, data: Uint8Array.of(1) }];
  const { edns } = finish({ edns: { dnssecOk: true, reservedFlags: 0x2aaa, options } }).message;
  assert.equal(edns?.dnssecOk, true);
  assert.equal(edns?.reservedFlags, 0);
  assert.deepEqual(
    edns?.options.map((option) => option.code),
    [EdnsOptionCode.TcpKeepalive],
  );
});

test("keepalive tells the session's own timeout on TCP and TLS, asked for or not [7828-3.3.2-a 7828-3.3.2-b]", () => {
  for (const transport of ["tcp", "tls"] as const) {
    for (const units of [0, 1, 100, 65535]) {
      const { message } = finish({ transport, edns: true, units });
      const data = optionOf(message, EdnsOptionCode.TcpKeepalive);
      assert.deepEqual([...(data ?? [])], [units >>> 8, units & 255], `${transport} ${units}`);
    }
  }
});

test("keepalive does not exist on UDP, not even for those who ask [7828-3.3.1-a]", () => {
  const options = [{ code: EdnsOptionCode.TcpKeepalive, data: new Uint8Array(0) }];
  const { message } = finish({ transport: "udp", edns: { options } });
  assert.deepEqual(message.edns?.options, []);
});

test("padded queries over TLS get answers of a multiple of 468 octets [7830-4-b 8467-4.1-b 8310-11.1-a 8467-4.2-a]", () => {
  for (let dataOctets = 0; dataOctets < 1500; dataOctets += 7) {
    const { octets, message } = finish({ dataOctets, edns: padded });
    assert.equal(octets.length % 468, 0, `${dataOctets} octets of data`);
    const padding = optionOf(message, EdnsOptionCode.Padding);
    assert.ok((padding?.length ?? 999) < 468, `${dataOctets} octets of data`);
  }
});

test("the step to the next block comes where the message does not fit, TCP's length left aside [8467-3-b 8467-4.1-c]", () => {
  const bare = finish({ dataOctets: 0, edns: true }).octets.length;
  const fitting = 468 - bare - 4;
  assert.equal(finish({ dataOctets: fitting, edns: padded }).octets.length, 468);
  assert.equal(finish({ dataOctets: fitting + 1, edns: padded }).octets.length, 936);
  assert.deepEqual(
    optionOf(finish({ dataOctets: fitting, edns: padded }).message, EdnsOptionCode.Padding)?.length,
    0,
  );
});

test("padding is the last option and all zeros [8467-3-a 7830-3-b 7830-3-a]", () => {
  const errors = [{ code: EdeCode.Prohibited, text: "no" }];
  const { message } = finish({ edns: { options: [makePadding(0), makePadding(3)] }, errors });
  assert.deepEqual(
    message.edns?.options.map((option) => option.code),
    [EdnsOptionCode.TcpKeepalive, EdnsOptionCode.ExtendedError, EdnsOptionCode.Padding],
  );
  assert.ok(message.edns?.options[2]?.data.every((octet) => octet === 0));
});

test("queries that are not padded get no padding", () => {
  assert.equal(optionOf(finish({ edns: true }).message, EdnsOptionCode.Padding), undefined);
});

test("nothing is padded in clear [7830-6-a]", () => {
  for (const transport of ["udp", "tcp"] as const) {
    const { message } = finish({ transport, edns: padded });
    assert.equal(optionOf(message, EdnsOptionCode.Padding), undefined, transport);
  }
});

test("padding never takes a message over 65535 octets, and gives way when not even the option fits [8467-4.1-c]", () => {
  const bare = finish({ dataOctets: 0, edns: true }).octets.length;
  for (const spare of [10, 5, 4, 3, 0]) {
    const { octets, message } = finish({ dataOctets: 65535 - bare - spare, edns: padded });
    assert.equal(message.rcode, Rcode.NoError);
    assert.equal(optionOf(message, EdnsOptionCode.Padding)?.length, spare >= 4 ? spare - 4 : undefined);
    assert.equal(octets.length, spare >= 4 ? 65535 : 65535 - spare);
  }
});

test("over UDP an answer over the client's size, or 1232 octets, is TC without records [9715-3-a 6891-6.2.3-a]", () => {
  const withoutData = finish({ transport: "udp", dataOctets: 0 }).octets.length;
  const rows: readonly (readonly [number | undefined, number])[] = [
    [undefined, 512],
    [0, 512],
    [511, 512],
    [512, 512],
    [800, 800],
    [1232, 1232],
    [1233, 1232],
    [65535, 1232],
  ];
  for (const [udpPayloadOctets, limit] of rows) {
    const edns = udpPayloadOctets === undefined ? {} : { edns: { udpPayloadOctets } };
    const room = limit - withoutData - (udpPayloadOctets === undefined ? 0 : 11);
    const whole = finish({ transport: "udp", dataOctets: room, ...edns });
    assert.equal(whole.octets.length, limit, `payload ${udpPayloadOctets}`);
    assert.equal(whole.message.isTruncated, false);
    const cut = finish({ transport: "udp", dataOctets: room + 1, ...edns });
    assert.ok(cut.message.isTruncated, `payload ${udpPayloadOctets}`);
    assert.deepEqual(cut.message.answers, []);
    assert.equal(cut.message.questions.length, 1);
    assert.equal(cut.message.edns === undefined, udpPayloadOctets === undefined);
  }
});

test("reasons give way before records do, as far as needed", () => {
  const errors = [
    { code: EdeCode.StaleAnswer, text: "x".repeat(100) },
    { code: EdeCode.NetworkError, text: "y" },
  ];
  const bare = finish({ transport: "udp", dataOctets: 0, edns: true }).octets.length;
  for (const [spare, count] of [
    [0, 0],
    [5, 0],
    [6, 1],
    [106, 1],
    [113, 2],
  ] as const) {
    const { message, octets } = finish({
      transport: "udp",
      dataOctets: 1232 - bare - spare,
      edns: { udpPayloadOctets: 1232 },
      errors,
    });
    assert.equal(message.isTruncated, false, `${spare} spare`);
    assert.equal(message.edns?.options.length, count, `${spare} spare`);
    assert.ok(octets.length <= 1232);
  }
});

test("extended errors are few and short, and cut between characters", () => {
  const errors = Array.from({ length: 9 }, (_, i) => ({ code: i, text: "é".repeat(200) }));
  const { message } = finish({ edns: true, errors });
  const texts = (message.edns?.options ?? [])
    .filter((option) => option.code === EdnsOptionCode.ExtendedError)
    .map((option) => tryReadExtendedError(option.data));
  assert.equal(texts.length, 4);
  for (const [code, text] of texts.entries())
    assert.deepEqual(text, { ok: true, value: { code, text: "é".repeat(64) } });
});

test("over TCP and TLS there is no TC: what cannot fit into any message is a failure", () => {
  const bare = finish({ dataOctets: 0 }).octets.length;
  for (const transport of ["tcp", "tls"] as const) {
    assert.equal(finish({ transport, dataOctets: 65535 - bare }).octets.length, 65535);
    const { message } = finish({ transport, dataOctets: 65535 - bare, edns: padded });
    assert.equal(message.isTruncated, false);
    assert.equal(message.rcode, Rcode.ServFail);
    assert.deepEqual(message.answers, []);
    assert.ok(optionOf(message, EdnsOptionCode.ExtendedError));
    const cut = finish({ transport, edns: true, reply: { isTruncated: true } });
    assert.equal(cut.message.isTruncated, false);
    assert.equal(cut.message.rcode, Rcode.ServFail);
  }
});

test("a bare answer has the question when it can be read, and twelve bits of response code with EDNS", () => {
  const ask = (octets: Uint8Array, rcode: number): Message => {
    const view = viewOf(octets);
    return decode(bareResponse(view, channelOf("udp"), rcode, []));
  };
  const known = ask(queryOctets("www.example.", { edns: { version: 1 } }), Rcode.BadVers);
  assert.equal(known.rcode, Rcode.BadVers);
  assert.equal(known.questions.length, 1);
  assert.equal(known.edns?.version, 0);
  const none = ask(queryOctets("www.example.", { questions: [] }), Rcode.FormErr);
  assert.deepEqual(none.questions, []);
  const longest = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}.`;
  const errors = Array.from({ length: 4 }, () => ({ code: 0, text: "x".repeat(300) }));
  const view = viewOf(queryOctets(longest, { edns: padded }));
  const large = bareResponse(view, channelOf("tls"), Rcode.Refused, errors);
  assert.equal(large.length % 468, 0);
  assert.equal(decode(large).questions[0]?.name.toString(), longest);
});
