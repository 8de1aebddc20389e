import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeMessage, MessageView, makeMessage, type Question, RRType } from "@sotto/dns/wire";
import { questionOf } from "./client-fakes.test-support.ts";
import { echoesQuestion, hasQuestion } from "./reply-match.ts";

function messageOf(questions: readonly Question[]): Uint8Array {
  return encodeMessage(makeMessage({ questions }));
}

function viewOf(questions: readonly Question[]): MessageView {
  const view = new MessageView();
  assert.equal(view.reset(messageOf(questions)), undefined);
  return view;
}

test("a reply is a query's when its only question is the same but for the case of letters [rfc7766#7]", () => {
  const asked = questionOf("www.example.");
  const rows: readonly (readonly [what: string, questions: readonly Question[], isIts: boolean])[] = [
    ["the same", [asked], true],
    ["other case", [questionOf("WWW.eXample.")], true],
    ["another name of the same length", [questionOf("wwx.example.")], false],
    ["other labels of the same length", [questionOf("www-example.")], false],
    ["a shorter name", [questionOf("example.")], false],
    ["a longer name", [questionOf("a.www.example.")], false],
    ["another type", [questionOf("www.example.", RRType.AAAA)], false],
    // 0x41 and 0x61, which as letters would be the same.
    ["another type whose octets are letters", [questionOf("www.example.", 0x61)], false],
    ["another class", [{ ...asked, class: 3 }], false],
    ["none", [], false],
    ["two", [asked, asked], false],
  ];
  for (const [what, questions, isIts] of rows) {
    assert.equal(hasQuestion(viewOf(questions), asked), isIts, what);
    assert.equal(echoesQuestion(viewOf(questions), messageOf([asked])), isIts, what);
  }
  assert.ok(!echoesQuestion(viewOf([questionOf("a.", 0x61)]), messageOf([questionOf("a.", 0x41)])));
});
