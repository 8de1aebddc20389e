import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type EdnsOption,
  EdnsOptionCode,
  encodeMessage,
  MESSAGE_OCTETS_MAX,
  MessageView,
  makeEdns,
  makeKeepalive,
  makeMessage,
  parseName,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import { Answers } from "./answers.ts";
import type { ReplyBehaviour } from "./behaviour.ts";
import { CATALOGUE, fixtureOf } from "./catalogue.ts";
import { makeReply } from "./make-reply.ts";
import { behaviourOfName } from "./name-switches.ts";

const answers = new Answers(Date.UTC(2026, 0, 1));

/** What a connection over TLS gets for a TXT query. */
function replies(qname: string, options: readonly EdnsOption[], behaviour: ReplyBehaviour): Uint8Array[] {
  const questions = [{ name: parseName(qname), type: RRType.TXT, class: RRClass.IN }];
  const view = new MessageView();
  const problem = view.reset(encodeMessage(makeMessage({ questions, edns: makeEdns({ options }) })).slice());
  const named = behaviourOfName(view.qname, fixtureOf).reply;
  const context = { transport: "tls", answersBefore: 0, idleMs: 10_000, lastReply: undefined } as const;
  return makeReply(view, answers.answer(view, problem), { ...behaviour, ...named }, context);
}

const PADDING: EdnsOption = { code: EdnsOptionCode.Padding, data: new Uint8Array(20) };

// A padded query for size-65535.test. ended the whole server: there was no room for the padding option, and its length came out
// as -4. Options and octets that defects add had the same fault.
test("no fixture makes more of the longest reply than a message can hold [1035-4.2.2-a]", () => {
  for (const { name, behaviour } of CATALOGUE)
    for (const octets of [65_535, 65_532, 65_528, 65_500])
      for (const options of [[], [makeKeepalive(undefined), PADDING]])
        for (const reply of replies(`size-${octets}.test.`, options, behaviour.reply ?? {}))
          assert.ok(reply.length <= MESSAGE_OCTETS_MAX, `${name}, ${octets}: ${reply.length}`);
});

test("options that fill a message are not sent back beside those of the server [1035-4.2.2-a]", () => {
  for (let octets = 65_400; octets <= 65_450; octets++) {
    const filler = { code: 100, data: new Uint8Array(octets) };
    const [reply] = replies("www.test.", [makeKeepalive(undefined), PADDING, filler], { edns: "echo" });
    assert.ok(reply !== undefined && reply.length <= MESSAGE_OCTETS_MAX, `${octets}: ${reply?.length}`);
  }
});
