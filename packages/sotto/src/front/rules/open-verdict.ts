/** The verdict while it is made: one object for all queries. */
import { type ExtendedError, Rcode } from "@sotto/dns/wire";
import type { LocalAnswer } from "./local-answer.ts";
import type { EdnsEdit, Verdict, VerdictEnd } from "./verdict.ts";

/** See the head of this file. Lists are made when something comes into them. */
export class OpenVerdict implements Verdict {
  end: VerdictEnd = "pass";
  rule: string | undefined = undefined;
  rcode: Rcode = Rcode.NoError;
  errors: readonly ExtendedError[] = NO_ERRORS;
  answer: LocalAnswer | undefined = undefined;
  pool: string | undefined = undefined;
  delayMs = 0;
  edits: readonly EdnsEdit[] = NO_EDITS;
  tags: readonly string[] = NO_TEXTS;
  loggedBy: readonly string[] = NO_TEXTS;
  tees: readonly string[] = NO_TEXTS;

  reset(): void {
    this.end = "pass";
    this.rule = undefined;
    this.rcode = Rcode.NoError;
    this.errors = NO_ERRORS;
    this.answer = undefined;
    this.pool = undefined;
    this.delayMs = 0;
    this.edits = NO_EDITS;
    this.tags = NO_TEXTS;
    this.loggedBy = NO_TEXTS;
    this.tees = NO_TEXTS;
  }

  refuse(rcode: Rcode, errors: readonly ExtendedError[]): void {
    this.end = "refuse";
    this.rcode = rcode;
    this.errors = errors;
  }

  give(answer: LocalAnswer, errors: readonly ExtendedError[]): void {
    this.end = "answer";
    this.rcode = answer.rcode;
    this.answer = answer;
    this.errors = errors;
  }

  delay(delayMs: number): void {
    this.delayMs = Math.min(DELAY_MS_MAX, this.delayMs + delayMs);
  }

  edit(edit: EdnsEdit): void {
    this.edits = [...this.edits, edit];
  }

  tee(pool: string): void {
    if (!this.tees.includes(pool)) this.tees = [...this.tees, pool];
  }
}

/** Longest delay of all rules together: whoever waits holds a place, and clients give up after five seconds. */
const DELAY_MS_MAX = 5000;

const NO_ERRORS: readonly ExtendedError[] = [];
const NO_EDITS: readonly EdnsEdit[] = [];
const NO_TEXTS: readonly string[] = [];
