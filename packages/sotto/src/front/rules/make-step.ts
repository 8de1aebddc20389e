/** From the data of an action to what is done. The table of all actions is here. */
import {
  EdeCode,
  EdnsOptionCode,
  type ExtendedError,
  edeCodeToText,
  makeClientSubnet,
  octetsToHex,
  Rcode,
  rcodeToText,
  tryParsePrefix,
} from "@sotto/dns/wire";
import type { ClientGuard, OverLimit } from "./client-guard.ts";
import { ClientMasking, prefixToText } from "./client-prefix.ts";
import { type AnswerTemplate, answerTo, tryMakeTemplate } from "./local-answer.ts";
import type { OpenVerdict } from "./open-verdict.ts";
import type { MakeBuckets } from "./rate-tables.ts";
import type { Action } from "./rule.ts";
import type { Walk } from "./walk.ts";

/** An action that is ready to be done. */
export interface Step {
  /** True when the walk ends here. Counts nothing, and bans nobody, in a trial. */
  run(walk: Walk, verdict: OpenVerdict): boolean;
  /** What it does, for people; asked before `run`. */
  words(walk: Walk): string;
}

/** What actions are made with. */
export interface StepContext {
  readonly guard: ClientGuard;
  readonly makeBuckets: MakeBuckets;
  /** For events. */
  readonly rule: string;
}

/** Throws a RangeError for data that no configuration lets through. */
export function makeStep(action: Action, context: StepContext): Step {
  switch (action.kind) {
    case "allow":
      return ending("answered as usual, no further rule is asked", (_, verdict) => {
        verdict.end = "allow";
      });
    case "refuse": {
      const errors = action.error === undefined ? [] : [action.error];
      return ending(`refused: ${rcodeToText(action.rcode)}${errorsText(errors)}`, (_, verdict) =>
        verdict.refuse(action.rcode, errors),
      );
    }
    case "drop":
      return ending("dropped without an answer", (_, verdict) => {
        verdict.end = "drop";
      });
    case "truncate":
      return truncateStep();
    case "answer":
      return answerStep(action);
    case "policy":
      return policyStep(action.error === undefined ? [] : [action.error]);
    case "route":
      return ending(`goes to pool ${action.pool}`, (_, verdict) => {
        verdict.end = "allow";
        verdict.pool = action.pool;
      });
    case "rate-limit":
      return rateLimitStep(action, context);
    default:
      return makeGoingOn(action, context);
  }
}

/** Actions after which the walk goes on. */
function makeGoingOn(
  action: Exclude<
    Action,
    { kind: "allow" | "refuse" | "drop" | "truncate" | "answer" | "policy" | "route" | "rate-limit" }
  >,
  context: StepContext,
): Step {
  switch (action.kind) {
    case "delay":
      return goingOn(`delayed by ${action.delayMs} ms`, (_, verdict) => verdict.delay(action.delayMs));
    case "set-option": {
      const { code, data } = action;
      const edit = { kind: "set", code, data } as const;
      return goingOn(`EDNS option ${code} is set to ${octetsToHex(data) || "nothing"}`, (_, verdict) =>
        verdict.edit(edit),
      );
    }
    case "strip-option": {
      const edits = action.codes.map((code) => ({ kind: "strip", code }) as const);
      return goingOn(`EDNS options are taken out: ${action.codes.join(" ")}`, (_, verdict) => {
        for (const edit of edits) verdict.edit(edit);
      });
    }
    case "set-subnet":
      return fixedSubnetStep(action.prefix);
    case "client-subnet":
      return clientSubnetStep(action.ipv4Bits, action.ipv6Bits);
    case "tag":
      return goingOn(`tagged ${action.tags.join(" ")}`, (walk, verdict) => {
        for (const tag of action.tags) walk.addTag(tag);
        verdict.tags = walk.tags;
      });
    case "log":
      return goingOn("logged", (_, verdict) => {
        verdict.loggedBy = [...verdict.loggedBy, context.rule];
      });
    case "tee":
      return goingOn(`pool ${action.pool} gets a copy`, (_, verdict) => verdict.tee(action.pool));
    case "ban":
      return banStep(action, context);
  }
}

type Doing = (walk: Walk, verdict: OpenVerdict) => void;

function ending(words: string, run: Doing): Step {
  return {
    run: (walk, verdict) => {
      run(walk, verdict);
      return true;
    },
    words: () => words,
  };
}

function goingOn(words: string, run: Doing): Step {
  return {
    run: (walk, verdict) => {
      run(walk, verdict);
      return false;
    },
    words: () => words,
  };
}

/** Over streams a truncated answer would send the client to where it is. */
function truncateStep(): Step {
  return {
    run: (walk, verdict) => truncate(walk, verdict),
    words: (walk) =>
      isUdp(walk)
        ? "answered with TC, so that it comes back over TCP"
        : "not over UDP, so that TC would say nothing",
  };
}

function truncate(walk: Walk, verdict: OpenVerdict): boolean {
  if (!isUdp(walk)) return false;
  verdict.end = "truncate";
  return true;
}

function isUdp({ subject }: Walk): boolean {
  return subject.origin.transport === "udp";
}

function answerStep({ records, rcode, ttl, error }: Extract<Action, { kind: "answer" }>): Step {
  const template = tryMakeTemplate(records, rcode, ttl);
  if (!template.ok) throw new RangeError(template.problem);
  const errors = error === undefined ? [] : [error];
  const { value } = template;
  return ending(`answered from the rule: ${templateText(value)}${errorsText(errors)}`, (walk, verdict) =>
    verdict.give(answerTo(value, walk.view), errors),
  );
}

function templateText({ rcode, records, below }: AnswerTemplate): string {
  if (below !== undefined) return `an alias to the name with ${below.name.toString()} behind it`;
  if (records.length > 0)
    return `${records.length} record${records.length === 1 ? "" : "s"} of its type or none`;
  return rcode === Rcode.NoError ? "NODATA" : rcodeToText(rcode);
}

/** Does what the list says that the `names` selector of the rule found the name in. */
function policyStep(errors: readonly ExtendedError[]): Step {
  const nxdomain = tryMakeTemplate([], Rcode.NXDomain, LISTED_TTL_SECONDS);
  if (!nxdomain.ok) throw new RangeError(nxdomain.problem);
  return {
    run(walk, verdict) {
      const { policy } = walk;
      switch (policy.kind) {
        case "none":
          return false;
        case "pass":
          verdict.end = "allow";
          return true;
        case "drop":
          verdict.end = "drop";
          return true;
        case "truncate":
          return truncate(walk, verdict);
        case "listed":
          verdict.give(answerTo(nxdomain.value, walk.view), errors);
          return true;
        case "answer":
          verdict.give(answerTo(policy.answer, walk.view), errors);
          return true;
      }
    },
    words: ({ policy, list }) => {
      const said =
        policy.kind === "answer"
          ? templateText(policy.answer)
          : policy.kind === "listed"
            ? "NXDOMAIN"
            : policy.kind;
      return `what ${list} says: ${said}`;
    },
  };
}

function rateLimitStep(
  { perSecond, burst, masks, overLimit }: Extract<Action, { kind: "rate-limit" }>,
  { makeBuckets }: StepContext,
): Step {
  const buckets = makeBuckets({ perSecond, burst });
  const masking = new ClientMasking(masks);
  const errors: readonly ExtendedError[] = [
    { code: EdeCode.Prohibited, text: `more than ${perSecond} queries per second` },
  ];
  const isUnder = (walk: Walk, isTrial: boolean): boolean => {
    const { client } = walk;
    if (client.length === 0) return true;
    buckets.key(client, 0, masking.bits(client));
    const factor = masking.factor(client);
    const { nowMs } = walk.subject;
    return isTrial ? buckets.peek(nowMs, factor) >= 1 : buckets.take(nowMs, factor);
  };
  return {
    run: (walk, verdict) => !isUnder(walk, walk.isTrial) && endOverLimit(overLimit, walk, verdict, errors),
    words: (walk) =>
      isUnder(walk, true)
        ? `client is within ${perSecond} queries a second`
        : `client asks more than ${perSecond} queries a second: ${overLimit}`,
  };
}

/** What a client gets that asks too much. False: it is not over UDP, and TC would say nothing. */
export function endOverLimit(
  overLimit: OverLimit,
  walk: Walk,
  verdict: OpenVerdict,
  errors: readonly ExtendedError[],
): boolean {
  if (overLimit === "truncate") return truncate(walk, verdict);
  if (overLimit === "drop") verdict.end = "drop";
  else verdict.refuse(Rcode.Refused, errors);
  return true;
}

/** Throws a RangeError when the text is no prefix. */
function fixedSubnetStep(text: string): Step {
  const prefix = tryParsePrefix(text);
  if (!prefix.ok) throw new RangeError(prefix.problem);
  const { octets: address, bits } = prefix.value;
  const { code, data } = makeClientSubnet({ address, sourcePrefixBits: bits, scopePrefixBits: 0 });
  const edit = { kind: "set", code, data } as const;
  return goingOn(`client subnet is set to ${text}`, (_, verdict) => verdict.edit(edit));
}

/** RFC 7871 §11.1 wants no more than 24 and 56 bits. */
function clientSubnetStep(ipv4Bits: number, ipv6Bits: number): Step {
  const bitsOf = (address: Uint8Array): number => (address.length === 4 ? ipv4Bits : ipv6Bits);
  return {
    run(walk, verdict) {
      const { client: address } = walk;
      if (address.length === 0 || hidesItsSubnet(walk)) return false;
      const subnet = { address, sourcePrefixBits: bitsOf(address), scopePrefixBits: 0 };
      verdict.edit({ kind: "set", code: EdnsOptionCode.ClientSubnet, data: makeClientSubnet(subnet).data });
      return false;
    },
    words: (walk) =>
      walk.client.length === 0
        ? "there is no client whose subnet could be set"
        : hidesItsSubnet(walk)
          ? "client subnet stays as it is: the client wants none to be told"
          : `client subnet is set to ${prefixToText(walk.client, bitsOf(walk.client))}`,
  };
}

/** RFC 7871 §7.1.2: for a query with source prefix length 0 nothing of the client's address must be told to anybody. */
function hidesItsSubnet({ subject: { view } }: Walk): boolean {
  return view.optionData(EdnsOptionCode.ClientSubnet)?.[2] === 0;
}

function banStep({ terms, masks }: Extract<Action, { kind: "ban" }>, { guard, rule }: StepContext): Step {
  const masking = new ClientMasking(masks);
  return {
    run(walk) {
      const { client, isTrial } = walk;
      if (client.length > 0 && !isTrial)
        guard.ban(client, masking.bits(client), terms, walk.subject.nowMs, `rule ${rule}`);
      return false;
    },
    words: ({ client }) =>
      client.length === 0
        ? "there is no client who could be banned"
        : `${prefixToText(client, masking.bits(client))} is banned for ${terms.forMs} ms or longer`,
  };
}

function errorsText(errors: readonly ExtendedError[]): string {
  return errors
    .map(
      ({ code, text }) =>
        `, extended error ${code} (${edeCodeToText(code)}${text === "" ? "" : `: ${text}`})`,
    )
    .join("");
}

/** For how long a client may keep that a listed name does not exist: lists change. */
const LISTED_TTL_SECONDS = 60;
