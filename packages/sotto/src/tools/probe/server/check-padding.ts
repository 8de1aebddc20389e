/** Padding of replies: when, to which block, and never in clear (RFC 7830, RFC 8467). */
import { type EdnsOption, EdnsOptionCode, type Message, makeKeepalive } from "@sotto/dns/wire";
import { Asker } from "./asker.ts";
import type { Check } from "./check.ts";
import { type Finding, found } from "./finding.ts";
import type { QueryParts } from "./probe-query.ts";
import type { Prober } from "./prober.ts";
import type { Transcript } from "./transcript.ts";

/** How one reply was padded. */
export interface PaddingSeen {
  /** Octets of the message, without its length prefix (RFC 8467 §3). */
  readonly octets: number;
  readonly options: number;
  readonly isLast: boolean;
  readonly isZero: boolean;
}

/** What the queries of one transport gave. */
export interface PaddingFacts {
  /** To padded queries for names of up to three lengths. */
  readonly asked: readonly PaddingSeen[];
  /** To a query with OPT and no padding. */
  readonly unasked: PaddingSeen | undefined;
  /** To a query without OPT. */
  readonly withoutEdns: PaddingSeen | undefined;
}

export const PADDING_CHECKS: readonly Check[] = [
  {
    row: "padding",
    requirements: [
      "7830-3-a",
      "7830-3-b",
      "7830-4-b",
      "7830-4-d",
      "7830-6-a",
      "8467-3-a",
      "8467-4.1-b",
      "8310-11.1-a",
    ],
    sends:
      "over TLS three padded queries for names of different lengths, one with OPT and one without; one padded query in clear over UDP and TCP",
    over: ["udp", "tcp", "tls"],
    on: "each",
    run: async (prober, transport, log) => {
      if (transport !== "tls") return inClear(prober, transport, log);
      const asker = new Asker(prober, transport, log);
      const facts = await overTls(prober, asker);
      asker.close();
      return typeof facts === "string" ? found("none", facts) : judgePadding(facts);
    },
  },
];

/** Padding that was not asked for over a private channel; nothing to say when there is none. */
async function inClear(
  prober: Prober,
  transport: "udp" | "tcp",
  log: Transcript,
): Promise<Finding | undefined> {
  const query = prober.query({
    name: prober.options.names.existing,
    edns: {},
    padBlockOctets: QUERY_BLOCK_OCTETS,
  });
  const answer = await prober.askOnce(transport, query, log);
  if (answer.kind === "none" || paddingOf(answer.message, answer.octets).options === 0) {
    const isOnly = !prober.target.transports.includes("tls");
    return isOnly ? found("not applicable", "nothing is padded in clear, as it should be") : undefined;
  }
  return found(
    "broken",
    "pads in clear, where it hides nothing (unless a front end speaks TLS for this server)",
  );
}

async function overTls(prober: Prober, asker: Asker): Promise<PaddingFacts | string> {
  const seen = async (parts: QueryParts): Promise<PaddingSeen | string> => {
    const answer = await asker.ask(prober.query(parts));
    return answer.kind === "none"
      ? `a query was not answered: ${answer.why}`
      : paddingOf(answer.message, answer.octets);
  };
  const asked: PaddingSeen[] = [];
  // Another option, so that padding can stand before or behind it.
  const edns = { options: [makeKeepalive(undefined)] };
  const { existing } = prober.options.names;
  for (const name of [existing, ...LABEL_OCTETS.map((octets) => prober.uniqueName(octets))]) {
    const one = await seen({ name, edns, padBlockOctets: QUERY_BLOCK_OCTETS });
    if (typeof one !== "string") asked.push(one);
    else if (asked.length === 0) return one;
    // A name that has to be looked up is not always answered; the next one would not be either.
    else break;
  }
  const unasked = await seen({ name: existing, edns: {} });
  const withoutEdns = await seen({ name: existing });
  const known = (one: PaddingSeen | string): PaddingSeen | undefined =>
    typeof one === "string" ? undefined : one;
  return { asked, unasked: known(unasked), withoutEdns: known(withoutEdns) };
}

/** How a reply is padded. */
function paddingOf(message: Message, octets: Uint8Array): PaddingSeen {
  const all = message.edns?.options ?? [];
  const isPadding = ({ code }: EdnsOption): boolean => code === EdnsOptionCode.Padding;
  const paddings = all.filter(isPadding);
  const firstAt = all.findIndex(isPadding);
  return {
    octets: octets.length,
    options: paddings.length,
    isLast: firstAt < 0 || all.slice(firstAt).every(isPadding),
    isZero: paddings.every(({ data }) => data.every((octet) => octet === 0)),
  };
}

/** Exported for its test. */
export function judgePadding({ asked, unasked, withoutEdns }: PaddingFacts): Finding {
  const padded = asked.filter(({ options }) => options > 0);
  if (padded.length === 0) return found("none", "padded queries get replies without padding");
  if ((withoutEdns?.options ?? 0) > 0) return found("broken", "pads replies to queries without OPT");
  if (padded.some(({ options }) => options > 1))
    return found("broken", "more than one padding option in a reply");
  const lengths = asked.map(({ octets }) => octets).join(", ");
  if (padded.length < asked.length)
    return found("partial", `${padded.length} of ${asked.length} replies were padded (${lengths} octets)`);
  const block = BLOCKS.find((octets) => padded.every((one) => one.octets % octets === 0));
  const policy =
    block === undefined ? `to no common block (${lengths} octets)` : `to multiples of ${block} octets`;
  const also =
    (unasked?.options ?? 0) > 0
      ? ", and also replies to queries with OPT that were not padded"
      : ", only when asked";
  if (block !== BLOCK_ADVISED_OCTETS) return found("partial", `pads ${policy}${also}; RFC 8467 advises 468`);
  if (padded.some(({ isZero }) => !isZero))
    return found("partial", `pads ${policy}, with octets that are not zero`);
  if (padded.some(({ isLast }) => !isLast))
    return found("partial", `pads ${policy}, with other options behind the padding`);
  // One length alone may fit by luck.
  return found("released", `pads ${policy}${also}`, asked.length > 1 ? "certain" : "guess");
}

/** RFC 8467 §4.1. */
const BLOCK_ADVISED_OCTETS = 468;
const QUERY_BLOCK_OCTETS = 128;
/** Tried from the first on. */
const BLOCKS: readonly number[] = [BLOCK_ADVISED_OCTETS, 512, 256, 128, 64, 32, 16];
/** One reply that fits a block by luck proves nothing. */
const LABEL_OCTETS: readonly number[] = [27, 49];
