/** What a resolver does beyond transport: validation, extended errors, cookies, discovery, minimisation. */
import {
  decodeRdataOf,
  EdnsOptionCode,
  edeCodeToText,
  type Message,
  makeCookie,
  octetsEqual,
  Rcode,
  type ResourceRecord,
  RRType,
  SvcParamKey,
  tryReadCookie,
  tryReadExtendedError,
} from "@sotto/dns/wire";
import { Asker } from "./asker.ts";
import type { Check } from "./check.ts";
import { type Finding, found, notTestable } from "./finding.ts";
import type { ProbeTransport } from "./probe-options.ts";
import type { Answer } from "./probe-stream.ts";
import type { Prober } from "./prober.ts";
import type { Transcript } from "./transcript.ts";

/** Signed answers are long: streams first. */
const BEST: readonly ProbeTransport[] = ["tls", "tcp", "udp"];

export const RESOLVER_CHECKS: readonly Check[] = [
  {
    row: "dnssec",
    requirements: ["8932-5.1.4"],
    sends: "the signed name with DO; the wrongly signed one with DO, and once more with CD",
    over: BEST,
    on: "best",
    run: asking(dnssec),
  },
  {
    row: "extended-errors",
    requirements: ["8914-2-a", "9103-7.8-a"],
    sends: "the wrongly signed name",
    over: BEST,
    on: "best",
    run: asking(extendedErrors),
  },
  {
    row: "cookies",
    requirements: ["7873-5.2.3-a", "7873-5.3-a"],
    sends: "two queries with a cookie, the second with what the server gave",
    over: ["udp", "tcp"],
    on: "each",
    run: asking(cookies),
  },
  {
    row: "ddr",
    requirements: ["9462-6.1-a", "9462-4.2-a", "9461-5-a"],
    sends: "one query for _dns.resolver.arpa SVCB, and one for what it is an alias for",
    over: BEST,
    on: "best",
    run: asking(ddr),
  },
  {
    row: "qname-minimisation",
    requirements: ["8932-5.3.1"],
    sends: "one query for the TXT record of a name that tells how it was asked for",
    over: BEST,
    on: "best",
    run: asking(minimisation),
  },
];

function asking(look: (prober: Prober, asker: Asker) => Promise<Finding>): Check["run"] {
  return async (prober, transport, log: Transcript) => {
    const asker = new Asker(prober, transport, log);
    try {
      return await look(prober, asker);
    } finally {
      asker.close();
    }
  };
}

async function dnssec(prober: Prober, asker: Asker): Promise<Finding> {
  const { signed, bogus } = prober.options.names;
  if (signed === undefined) return notTestable("needs a signed name");
  const edns = { dnssecOk: true };
  const good = await asker.ask(prober.query({ name: signed, type: RRType.SOA, edns }));
  const toBogus = bogus === undefined ? undefined : await asker.ask(prober.query({ name: bogus, edns }));
  const unchecked =
    bogus === undefined
      ? undefined
      : await asker.ask(prober.query({ name: bogus, edns, checkingDisabled: true }));
  return judgeDnssec(good, toBogus, unchecked);
}

/** Exported for its test: answers to a signed name, to a bogus one, and to the bogus one with CD. */
export function judgeDnssec(good: Answer, bogus: Answer | undefined, unchecked: Answer | undefined): Finding {
  if (good.kind === "none") return notTestable(`the signed name got no answer: ${good.why}`);
  const { message } = good;
  if (isNoResolver(message)) return NO_RESOLVER;
  if (message.rcode !== Rcode.NoError || message.answers.length === 0)
    return notTestable(`the signed name got rcode ${message.rcode} and ${message.answers.length} records`);
  const hasSignature = message.answers.some(({ type }) => type === RRType.RRSIG);
  const gives = `${hasSignature ? "gives" : "does not give"} signatures to who asks for them`;
  if (!message.authenticData)
    return found(hasSignature ? "partial" : "none", `does not validate: no AD for a signed name; ${gives}`);
  if (bogus === undefined)
    return found(
      hasSignature ? "released" : "partial",
      `says AD for a signed name, ${gives}; no wrongly signed name was tried`,
      "likely",
    );
  if (bogus.kind === "none")
    return found(
      "partial",
      `says AD for a signed name, ${gives}; the wrongly signed name got no answer: ${bogus.why}`,
      "likely",
    );
  if (bogus.message.rcode !== Rcode.ServFail)
    return found(
      "broken",
      `says AD for a signed name, and gives rcode ${bogus.message.rcode} for a wrongly signed one`,
    );
  const isUnlocked = unchecked?.kind === "reply" && unchecked.message.rcode === Rcode.NoError;
  const said = `says AD for a signed name, SERVFAIL for a wrongly signed one, ${isUnlocked ? "which CD gives all the same" : "with CD, too"}; ${gives}`;
  return found(hasSignature ? "released" : "partial", said);
}

async function extendedErrors(prober: Prober, asker: Asker): Promise<Finding> {
  const { bogus } = prober.options.names;
  if (bogus === undefined) return notTestable("needs a wrongly signed name");
  return judgeExtendedErrors(await asker.ask(prober.query({ name: bogus, edns: {} })));
}

/** Exported for its test: the answer to a wrongly signed name. */
export function judgeExtendedErrors(answer: Answer): Finding {
  if (answer.kind === "none") return notTestable(`the wrongly signed name got no answer: ${answer.why}`);
  const options = (answer.message.edns?.options ?? []).filter(
    ({ code }) => code === EdnsOptionCode.ExtendedError,
  );
  if (options.length === 0)
    return answer.message.rcode === Rcode.NoError
      ? notTestable("the wrongly signed name was answered: there was no error to tell")
      : found("none", `rcode ${answer.message.rcode} without a word why`);
  const told: string[] = [];
  for (const { data } of options.slice(0, ERRORS_MAX)) {
    const error = tryReadExtendedError(data);
    if (!error.ok) return found("broken", `an extended error that cannot be read: ${error.problem}`);
    const { code, text } = error.value;
    const words = [edeCodeToText(code), text === "" ? "" : JSON.stringify(text.slice(0, 200))];
    const said = words.filter((word) => word !== "").join(", ");
    told.push(said === "" ? `EDE ${code}` : `EDE ${code} (${said})`);
  }
  return found("released", `tells why: ${told.join(", ")}`);
}

async function cookies(prober: Prober, asker: Asker): Promise<Finding> {
  const { existing } = prober.options.names;
  const client = prober.runtime.random.octets(8);
  const ask = async (server: Uint8Array): Promise<Answer> =>
    asker.ask(prober.query({ name: existing, edns: { options: [makeCookie({ client, server })] } }));
  const first = await ask(new Uint8Array(0));
  if (first.kind === "none") return found("broken", `a query with a cookie was not answered: ${first.why}`);
  const given = cookieOf(first.message);
  if (given === undefined) return found("none", "gives no cookie");
  if (typeof given === "string") return found("broken", given);
  if (!octetsEqual(given.client, client))
    return found("broken", "sends another client cookie back than it got");
  if (given.server.length === 0)
    return found("broken", "sends the client's cookie back without one of its own");
  const second = await ask(given.server.slice());
  if (second.kind === "none")
    return found("broken", `a query with its own cookie was not answered: ${second.why}`);
  if (second.message.rcode === Rcode.BadCookie)
    return found("broken", "does not know its own cookie: BADCOOKIE");
  return found("released", `gives a cookie of ${given.server.length} octets, and knows it again`);
}

function cookieOf(message: Message): { client: Uint8Array; server: Uint8Array } | string | undefined {
  const option = message.edns?.options.find(({ code }) => code === EdnsOptionCode.Cookie);
  if (option === undefined) return undefined;
  const cookie = tryReadCookie(option.data);
  return cookie.ok ? cookie.value : `a cookie that cannot be read: ${cookie.problem}`;
}

async function ddr(prober: Prober, asker: Asker): Promise<Finding> {
  const ask = (name: string): Promise<Answer> => asker.ask(prober.query({ name, type: RRType.SVCB }));
  const answer = await ask("_dns.resolver.arpa");
  const alias = answer.kind === "none" ? undefined : aliasOf(answer.message);
  return judgeDesignation(answer, alias === undefined || alias === "." ? undefined : await ask(alias));
}

/** Exported for its test: answers to the name of discovery, and to what it is an alias for where it is one. */
export function judgeDesignation(answer: Answer, ofAlias: Answer | undefined): Finding {
  if (answer.kind === "none") return notTestable(`the name of discovery was not answered: ${answer.why}`);
  const { message } = answer;
  const alias = aliasOf(message);
  if (alias !== undefined && ofAlias !== undefined) return judgeAlias(alias, ofAlias);
  if (alias === ".") return found("none", "says that there is no encrypted resolver");
  if (svcbOf(message).length > 0) return judgeServices(message);
  // It had to look the name up and could not, as without the internet; that tells nothing of itself.
  if (message.rcode === Rcode.ServFail)
    return notTestable("the name of discovery could not be looked up: rcode 2");
  return found("none", `names no encrypted resolver: rcode ${message.rcode}, no SVCB record`);
}

function judgeAlias(alias: string, answer: Answer): Finding {
  const by = `names its encrypted self by the alias ${alias}`;
  if (answer.kind === "none") return notTestable(`${by}, which was not answered: ${answer.why}`);
  const { rcode } = answer.message;
  if (svcbOf(answer.message).length > 0) return judgeServices(answer.message);
  if (rcode === Rcode.NoError || rcode === Rcode.NXDomain)
    return found("broken", `${by}, which has no SVCB record: rcode ${rcode}`);
  return notTestable(`${by}, which could not be looked up: rcode ${rcode}`);
}

/** What a server names by an alias only (RFC 9460 §2.4.2); undefined: it names something, or nothing. */
function aliasOf(message: Message): string | undefined {
  const records = svcbOf(message).map(({ rdata }) => decodeRdataOf("SVCB", rdata));
  const [first] = records;
  const isAlias = records.every((one) => one.ok && one.value.priority === 0);
  return isAlias && first?.ok === true ? first.value.target.toString() : undefined;
}

function svcbOf({ answers }: Message): readonly ResourceRecord[] {
  return answers.filter(({ type }) => type === RRType.SVCB).slice(0, SVCB_MAX);
}

function judgeServices(message: Message): Finding {
  const told: string[] = [];
  for (const { rdata } of svcbOf(message)) {
    const fields = decodeRdataOf("SVCB", rdata);
    if (!fields.ok) return found("broken", `an SVCB record that cannot be read: ${fields.problem}`);
    const { priority, target, params } = fields.value;
    // The alias that led here.
    if (priority === 0) continue;
    if (!params.some(({ key }) => key === SvcParamKey.alpn))
      return found("broken", `names ${target.toString()} without protocols: such a record is of no use`);
    told.push(target.toString());
  }
  return told.length > 0
    ? found("released", `names ${told.join(", ")} as its encrypted self`)
    : notTestable("names its encrypted self by one alias after another");
}

async function minimisation(prober: Prober, asker: Asker): Promise<Finding> {
  const { minimised } = prober.options.names;
  if (minimised === undefined) return notTestable("needs a name that tells how it was asked for");
  return judgeMinimisation(minimised, await asker.ask(prober.query({ name: minimised, type: RRType.TXT })));
}

/** Exported for its test: the answer to a name whose TXT record says how it was asked for. */
export function judgeMinimisation(name: string, answer: Answer): Finding {
  if (answer.kind === "none") return notTestable(`${name} got no answer: ${answer.why}`);
  if (isNoResolver(answer.message)) return NO_RESOLVER;
  const text = answer.message.answers
    .filter(({ type }) => type === RRType.TXT)
    .map(({ rdata }) => new TextDecoder("latin1").decode(rdata.subarray(1)))
    .join(" ");
  if (/^HOORAY/i.test(text))
    return found("released", "asks other servers for no more of a name than they need");
  if (/^NO\b/i.test(text)) return found("none", "asks other servers for whole names");
  return notTestable(
    `${name} told nothing: rcode ${answer.message.rcode}, ${answer.message.answers.length} records`,
  );
}

/** An authority asks nobody. One that is a resolver, too, and refuses this client only, says so with RA (RFC 1035 §4.1.1). */
function isNoResolver({ rcode, recursionAvailable }: Message): boolean {
  return rcode === Rcode.Refused && !recursionAvailable;
}

const NO_RESOLVER = found("not applicable", "is no resolver: REFUSED, without RA");

/** Extended errors of one answer that are looked at: what was wrong, and that it is known from before, are two (RFC 8914 §2). */
const ERRORS_MAX = 8;
/** Designated resolvers that are looked at. */
const SVCB_MAX = 8;
