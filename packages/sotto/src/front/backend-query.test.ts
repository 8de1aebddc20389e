import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EdnsOptionCode,
  encodeMessage,
  type MessageView,
  makeClientSubnet,
  makeEdns,
  makeMessage,
  makePadding,
  parseName,
  RRClass,
  RRType,
  tryDecodeMessage,
  tryViewMessage,
} from "@sotto/dns/wire";
import { isPersonal, makeBackendQuery } from "./backend-query.ts";

const subnet = makeClientSubnet({
  address: Uint8Array.of(192, 0, 2, 0),
  sourcePrefixBits: 24,
  scopePrefixBits: 0,
});

function viewOf(options: Parameters<typeof makeEdns>[0] | undefined): MessageView {
  const octets = encodeMessage(
    makeMessage({
      id: 77,
      recursionDesired: true,
      checkingDisabled: true,
      questions: [{ name: parseName("WWW.Example."), type: RRType.AAAA, class: RRClass.IN }],
      edns: options === undefined ? undefined : makeEdns(options),
    }),
  );
  const view = tryViewMessage(octets);
  assert.ok(view.ok);
  return view.value;
}

const NONE: ReadonlySet<number> = new Set();

function sent(view: MessageView, changes: Parameters<typeof makeBackendQuery>[1] = [], passed = NONE) {
  const message = tryDecodeMessage(makeBackendQuery(view, changes, passed));
  assert.ok(message.ok);
  return message.value;
}

test("question, case and flags go along, what was between the client and us does not", () => {
  const cookie = { code: EdnsOptionCode.Cookie, data: new Uint8Array(8) };
  const keepalive = { code: EdnsOptionCode.TcpKeepalive, data: new Uint8Array(0) };
  const view = viewOf({ dnssecOk: true, options: [cookie, keepalive, subnet, makePadding(100)] });
  const message = sent(view);
  assert.equal(message.id, 0);
  assert.equal(message.recursionDesired, true);
  assert.equal(message.checkingDisabled, true);
  assert.equal(message.questions[0]?.name.toString(), "WWW.Example.");
  assert.equal(message.edns?.dnssecOk, true);
  assert.deepEqual(
    message.edns?.options.map(({ code }) => code),
    [EdnsOptionCode.ClientSubnet],
  );
});

test("backends get EDNS whether the client has it or not", () => {
  const { edns } = sent(viewOf(undefined));
  assert.equal(edns?.dnssecOk, false);
  assert.equal(edns?.udpPayloadOctets, 1232);
});

// Whoever asked first without AD had an answer without it kept for all who wanted to know.
test("backends are always asked for AD, since their answer is for all", () => {
  assert.equal(sent(viewOf(undefined)).authenticData, true);
});

test("rules set and strip options", () => {
  const view = viewOf({ options: [subnet] });
  const other = { kind: "set", code: 65001, data: Uint8Array.of(1, 2, 3) } as const;
  const strip = { kind: "strip", code: EdnsOptionCode.ClientSubnet } as const;
  assert.deepEqual(
    sent(view, [strip, other]).edns?.options.map(({ code, data }) => [code, [...data]]),
    [[65001, [1, 2, 3]]],
  );
  const set = { kind: "set", code: EdnsOptionCode.ClientSubnet, data: Uint8Array.of(0, 1, 0, 0) } as const;
  assert.deepEqual(
    sent(view, [set]).edns?.options.map(({ data }) => [...data]),
    [[0, 1, 0, 0]],
  );
});

test("of several changes of one option the last one counts", () => {
  const view = viewOf({ options: [subnet] });
  const set = (octet: number) => ({ kind: "set", code: 65001, data: Uint8Array.of(octet) }) as const;
  const strip = { kind: "strip", code: 65001 } as const;
  const other = { kind: "set", code: 65002, data: Uint8Array.of(9) } as const;
  const options = (...changes: Parameters<typeof makeBackendQuery>[1]) =>
    sent(view, changes)
      .edns?.options.filter(({ code }) => code !== EdnsOptionCode.ClientSubnet)
      .map(({ code, data }) => [code, ...data]);
  assert.deepEqual(options(set(1), other, set(2)), [
    [65002, 9],
    [65001, 2],
  ]);
  assert.deepEqual(options(set(1), strip), []);
  assert.deepEqual(options(strip, set(1)), [[65001, 1]]);
  assert.equal(isPersonal(viewOf({}), [set(1), strip], NONE), false);
});

test("answers that depend on the client are not for others", () => {
  const strip = { kind: "strip", code: EdnsOptionCode.ClientSubnet } as const;
  assert.equal(isPersonal(viewOf(undefined), [], NONE), false);
  assert.equal(isPersonal(viewOf({ options: [subnet] }), [], NONE), true);
  assert.equal(isPersonal(viewOf({ options: [subnet] }), [strip], NONE), false);
  assert.equal(isPersonal(viewOf({}), [{ kind: "set", code: 3, data: new Uint8Array(0) }], NONE), true);
});

test("options that a pool passes go along, as the client sent them, unless a rule says otherwise", () => {
  const passed = new Set([EdnsOptionCode.ZoneVersion, 65001]);
  const option = (code: number, octets = 1) => ({ code, data: new Uint8Array(octets) });
  const view = viewOf({ options: [option(EdnsOptionCode.ZoneVersion, 0), option(65002), option(65001)] });
  const codes = (message: ReturnType<typeof sent>) => message.edns?.options.map(({ code }) => code);
  assert.deepEqual(codes(sent(view, [], passed)), [EdnsOptionCode.ZoneVersion, 65001]);
  assert.deepEqual(codes(sent(view, [])), []);
  const strip = { kind: "strip", code: 65001 } as const;
  assert.deepEqual(codes(sent(view, [strip], passed)), [EdnsOptionCode.ZoneVersion]);
  assert.equal(isPersonal(view, [], passed), true);
  assert.equal(isPersonal(viewOf({ options: [option(65002)] }), [], passed), false);
  const many = viewOf({ options: Array.from({ length: 20 }, () => option(65001)) });
  assert.equal(sent(many, [], passed).edns?.options.length, 8);
  const large = viewOf({ options: [option(65001, 500), option(65001, 500)] });
  assert.equal(sent(large, [], passed).edns?.options.length, 1);
});
