/**
 * One TCP connection or TLS session of a fixture: reads queries, sends replies and closes as its behaviour says. It keeps to
 * none of the rules for servers by itself, except that it never throws and that all it holds is bounded.
 */
import type { Clock, Timer } from "@sotto/dns/runtime";
import { concatOctets, FrameReader, MessageView } from "@sotto/dns/wire";
import type { Answers } from "./answers.ts";
import { BATCH_MS, type Behaviour, type End, IDLE_MS, type ReplyBehaviour } from "./behaviour.ts";
import { startExactTimer } from "./exact-timer.ts";
import type { Transport } from "./fixture.ts";
import { makeReply } from "./make-reply.ts";
import type { Observed } from "./observations.ts";
import type { Wire } from "./wire-end.ts";
import { HOLD_MS, type WriteStep, writeSteps } from "./write-steps.ts";

/** What a session works with. */
export interface SessionParts {
  readonly transport: Transport;
  readonly behaviour: Behaviour;
  readonly answers: Answers;
  /** What the labels of a question ask for, on top of the behaviour. */
  readonly behaviourOf: (view: MessageView) => Behaviour;
  readonly observed: Observed;
  readonly clock: Clock;
}

/** A query that waits for its turn. */
interface Waiting {
  readonly view: MessageView;
  readonly problem: string | undefined;
}

export class StreamSession {
  readonly #parts: SessionParts;
  readonly #wire: Wire;
  readonly #frames = new FrameReader();
  readonly #timers = new Set<Timer>();
  readonly #idle: { readonly afterMs: number; readonly how: End };
  #idleTimer: Timer | undefined;
  /** For orders other than `any`. */
  readonly #waiting: Waiting[] = [];
  #isBatchOpen = false;
  readonly #steps: WriteStep[] = [];
  /** Of {@link #steps}. */
  #stepOctets = 0;
  #isWriting = false;
  #held: Uint8Array | undefined;
  #inFlight = 0;
  #answers = 0;
  #lastReply: Uint8Array | undefined;
  #endWhenWritten: End | undefined;
  /** Nothing is read or said any more. */
  #isOver = false;
  #hasClientEnded = false;

  constructor(wire: Wire, parts: SessionParts) {
    this.#wire = wire;
    this.#parts = parts;
    this.#idle = parts.behaviour.connection?.idle ?? { afterMs: IDLE_MS, how: "fin" };
    this.#restartIdle();
  }

  /** Octets from the client. */
  receive(octets: Uint8Array): void {
    let isFirst = true;
    this.#frames.push(octets, (message) => {
      if (this.#isOver) return false;
      this.#query(message.slice(), isFirst);
      isFirst = false;
      return !this.#isOver;
    });
  }

  /** The client will send nothing more; what it asked is still answered (RFC 7766 §6.2.4 speaks of whole closes only). */
  clientEnded(): void {
    this.#hasClientEnded = true;
    this.#parts.observed.end("client-fin");
    // A silent connection is still given back with its client.
    if (this.#isOver) this.#wire.end("fin");
    else this.#endWhenDone();
  }

  /** The connection is gone. */
  closed(): void {
    this.#isOver = true;
    this.#idleTimer?.cancel();
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#steps.length = 0;
    this.#waiting.length = 0;
  }

  /** Ends it now, by its own or somebody's wish. */
  end(how: End): void {
    if (this.#isOver) return;
    this.closed();
    const { observed } = this.#parts;
    if (how === "silence") observed.note("own", "silence");
    else observed.end("server");
    this.#wire.end(how);
  }

  #query(octets: Uint8Array, isFirstOfChunk: boolean): void {
    const { observed, behaviour } = this.#parts;
    const view = new MessageView();
    const problem = view.reset(octets);
    observed.noteQuery(view, problem, this.#inFlight);
    const { atFirstQuery, order } = behaviour.connection ?? {};
    if (atFirstQuery !== undefined) {
      this.end(atFirstQuery);
      return;
    }
    if (this.#inFlight >= IN_FLIGHT_MAX) {
      observed.note("own", `more than ${IN_FLIGHT_MAX} queries in flight`);
      this.end("rst");
      return;
    }
    if (order === "first-only" && !(isFirstOfChunk && this.#inFlight === 0)) {
      observed.note("own", "ignored: not the first");
      return;
    }
    this.#inFlight++;
    this.#idleTimer?.cancel();
    const query = { view, problem };
    if (order === "arrival") this.#inTurn(query);
    else if (order === "reversed") this.#intoBatch(query);
    else this.#answer(query, () => undefined);
  }

  #inTurn(query: Waiting): void {
    this.#waiting.push(query);
    if (this.#waiting.length === 1) this.#nextInTurn();
  }

  #nextInTurn(): void {
    const [query] = this.#waiting;
    if (query === undefined) return;
    this.#answer(query, () => {
      this.#waiting.shift();
      this.#nextInTurn();
    });
  }

  #intoBatch(query: Waiting): void {
    this.#waiting.push(query);
    if (this.#isBatchOpen) return;
    this.#isBatchOpen = true;
    this.#later("testserver-batch", BATCH_MS, () => {
      this.#isBatchOpen = false;
      for (const one of this.#waiting.splice(0).reverse()) this.#answer(one, () => undefined);
    });
  }

  /** After its delay, if it has one; `done` is called when the reply has been handed to the writer. */
  #answer({ view, problem }: Waiting, done: () => void): void {
    const { behaviour, behaviourOf } = this.#parts;
    const named = problem === undefined ? behaviourOf(view).reply : undefined;
    const reply: ReplyBehaviour = { ...behaviour.reply, ...named };
    const act = (): void => {
      this.#reply(view, problem, reply);
      done();
    };
    if (reply.delayMs === undefined || reply.delayMs === 0) act();
    else this.#later("testserver-delay", reply.delayMs, act);
  }

  #reply(view: MessageView, problem: string | undefined, behaviour: ReplyBehaviour): void {
    if (this.#isOver) return;
    const { answers, observed, transport } = this.#parts;
    const messages = makeReply(view, answers.answer(view, problem), behaviour, {
      transport,
      answersBefore: this.#answers,
      idleMs: this.#idle.afterMs,
      lastReply: this.#lastReply,
    });
    this.#inFlight--;
    if (messages.length === 0) observed.note("own", "no reply");
    else this.#answers++;
    this.#lastReply = messages.at(-1);
    for (const message of messages) observed.noteAnswer(message.length);
    for (const step of writeSteps(behaviour.framing, messages)) {
      this.#steps.push(step);
      this.#stepOctets += step.octets.length;
    }
    if (this.#steps.length > STEPS_MAX || this.#stepOctets > UNREAD_OCTETS_MAX) {
      observed.note("own", "the client asks faster than it can be answered");
      this.end("rst");
      return;
    }
    this.#write();
    const { afterAnswers } = this.#parts.behaviour.connection ?? {};
    const isLast = afterAnswers !== undefined && this.#answers >= afterAnswers.count;
    const endsBy = behaviour.endsBy ?? (isLast ? afterAnswers.how : undefined);
    if (endsBy !== undefined) this.#endAfterWriting(endsBy);
    else this.#endWhenDone();
  }

  #endAfterWriting(how: End): void {
    this.#endWhenWritten ??= how;
    this.#endIfWritten();
  }

  #endIfWritten(): void {
    const how = this.#endWhenWritten;
    if (how !== undefined && !this.#isWriting && this.#held === undefined) this.end(how);
  }

  #endWhenDone(): void {
    if (this.#isOver || this.#inFlight > 0) return;
    if (this.#hasClientEnded) this.#endAfterWriting("fin");
    else this.#restartIdle();
  }

  #write(): void {
    if (this.#isWriting) return;
    for (let step = this.#steps.shift(); step !== undefined && !this.#isOver; step = this.#steps.shift()) {
      this.#stepOctets -= step.octets.length;
      if (step.isHeld && this.#held === undefined) {
        this.#hold(step.octets);
        continue;
      }
      const held = this.#held;
      this.#held = undefined;
      this.#wire.write(held === undefined ? step.octets : concatOctets([held, step.octets]));
      if (this.#wire.waitingOctets > UNREAD_OCTETS_MAX) {
        this.#parts.observed.note("own", "the client does not read");
        this.end("rst");
        return;
      }
      if (step.pauseMs === 0) continue;
      this.#isWriting = true;
      this.#later("testserver-segment", step.pauseMs, () => {
        this.#isWriting = false;
        this.#write();
        this.#endIfWritten();
      });
      return;
    }
  }

  #hold(octets: Uint8Array): void {
    this.#held = octets;
    this.#later("testserver-hold", HOLD_MS, () => {
      if (this.#held !== octets || this.#isOver) return;
      this.#held = undefined;
      this.#wire.write(octets);
      this.#endIfWritten();
    });
  }

  #restartIdle(): void {
    this.#idleTimer?.cancel();
    const { afterMs, how } = this.#idle;
    const { clock } = this.#parts;
    this.#idleTimer = startExactTimer(clock, "testserver-idle", afterMs, () => this.end(how));
  }

  #later(name: string, delayMs: number, run: () => void): void {
    const timer = startExactTimer(this.#parts.clock, name, delayMs, () => {
      this.#timers.delete(timer);
      run();
    });
    this.#timers.add(timer);
  }
}

/** More than a client that is in its senses has; what comes beyond is answered by RST. */
const IN_FLIGHT_MAX = 500;
/** Segments that wait for their turn; a reply octet by octet has up to 513. */
const STEPS_MAX = 250_000;
/** Replies that the client does not take, and those that wait to be written, octets. */
const UNREAD_OCTETS_MAX = 4 * 1024 * 1024;
