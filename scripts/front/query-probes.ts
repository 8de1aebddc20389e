/** Probes that look at queries and answers: pipelining, order, keepalive, padding, refusal, and what the backend learns. */
import { EdnsOptionCode, KEEPALIVE_UNIT_MS, makeKeepalive, makePadding, Rcode } from "@sotto/dns/wire";
import { FAST_NAME, SLOW_ZONE } from "./gap-backends.ts";
import type { Finding, Word } from "./gap-cell.ts";
import { optionOf, ProbeClient, type ProbeTarget, queryOctets } from "./probe-client.ts";

/** Refused by the front end's own rules, where it has some. */
export const REFUSED_NAME = "blocked.corp.example.";
export const REFUSED_CLIENT = "127.0.0.66";
const KNOWN_CLIENT = "127.0.0.77";
const PADDED_NAMES = [FAST_NAME, "other.corp.example.", "a-much-longer-name-than-the-others.corp.example."];

/** Many queries in one write are all answered. */
export async function probePipelining(target: ProbeTarget): Promise<Finding> {
  const client = await ProbeClient.open(target);
  client.send(...Array.from({ length: PIPELINED }, (_, i) => queryOctets(FAST_NAME, i + 1)));
  const replies = await client.wait(PIPELINED);
  const good = new Set(
    replies.filter(({ message }) => message.rcode === Rcode.NoError).map(({ message }) => message.id),
  ).size;
  const end = client.endedMs === undefined ? "" : `, then the connection ended (${client.endText})`;
  return {
    word: good === PIPELINED ? "full" : good > 0 ? "partial" : "none",
    evidence: [
      `${PIPELINED} queries in one write: ${good} answered${rcodesOf(client)}, the last after ${ms(replies.at(-1)?.atMs)}${end}`,
    ],
    clients: [client],
  };
}

let round = 0;

/** What is ready first is answered first, whatever was asked first. */
export async function probeOrder(target: ProbeTarget): Promise<Finding> {
  // Whoever adapts to its servers has a chance to: as long as in a running service.
  for (let i = 0; i < LEARNING_ROUNDS; i++) (await orderOnce(target)).client.close();
  const { client, order, text } = await orderOnce(target);
  const word: Word =
    order === "2 3 1"
      ? "full"
      : order.split(" ").length === 3
        ? order.startsWith("1")
          ? "none"
          : "partial"
        : "none";
  return {
    word,
    evidence: [`asked 1 (300 ms away), 2 (at once), 3 (150 ms away); got ${text}`],
    clients: [client],
  };
}

async function orderOnce(target: ProbeTarget) {
  round++;
  // Names that nobody has asked for, so that the delays are real.
  const names = [`d300-${round}.${SLOW_ZONE}`, FAST_NAME, `d150-${round}.${SLOW_ZONE}`];
  const client = await ProbeClient.open(target);
  const sentMs = client.nowMs;
  client.send(...names.map((name, i) => queryOctets(name, i + 1)));
  const replies = (await client.wait(3)).filter(({ message }) => message.rcode === Rcode.NoError);
  const order = replies.map(({ message }) => message.id).join(" ");
  const times = replies.map(({ message, atMs }) => `${message.id} at ${ms(atMs - sentMs)}`);
  return {
    client,
    order,
    text: times.length === 0 ? `nothing${rcodesOf(client)}` : `${times.join(", ")}${rcodesOf(client)}`,
  };
}

/** What the client is told of the idle time, and when the idle connection is closed. */
export async function probeKeepalive(
  target: ProbeTarget,
  situation: string,
  limitMs: number,
): Promise<Finding> {
  const client = await ProbeClient.open(target);
  client.send(queryOctets(FAST_NAME, 1, [makeKeepalive(undefined)]));
  const [reply] = await client.wait(1);
  if (reply === undefined) return { word: "none", evidence: [`${situation}: no answer`], clients: [client] };
  const data = optionOf(reply, EdnsOptionCode.TcpKeepalive);
  await client.until(() => client.endedMs !== undefined, limitMs);
  const closedMs = client.endedMs === undefined ? undefined : client.endedMs - reply.atMs;
  const closed = closedMs === undefined ? `open after ${ms(limitMs)}` : `closed after ${ms(closedMs)}`;
  if (data === undefined)
    return { word: "none", evidence: [`${situation}: nothing told, ${closed}`], clients: [client] };
  const toldMs = ((data[0] ?? 0) * 256 + (data[1] ?? 0)) * KEEPALIVE_UNIT_MS;
  const isKept =
    closedMs !== undefined &&
    closedMs >= toldMs - KEEPALIVE_EARLY_MS &&
    closedMs <= toldMs + KEEPALIVE_LATE_MS;
  const word = isKept ? "full" : "untrue";
  return { word, evidence: [`${situation}: told ${ms(toldMs)}, ${closed}`], clients: [client] };
}

/** Answers to padded queries are of the recommended sizes, others are not padded. */
export async function probePadding(target: ProbeTarget): Promise<Finding> {
  const client = await ProbeClient.open(target);
  for (const [i, name] of PADDED_NAMES.entries()) {
    client.send(queryOctets(name, i + 1, [makePadding(20)]));
    await client.wait(i + 1);
  }
  const padded = [...client.replies];
  client.send(queryOctets(FAST_NAME, 9, []));
  const plain = (await client.wait(padded.length + 1))[padded.length];
  const sizes = padded.map(({ octets }) => octets.length);
  const withOption = padded.filter((one) => optionOf(one, EdnsOptionCode.Padding) !== undefined).length;
  const isFull =
    padded.length === PADDED_NAMES.length &&
    withOption === padded.length &&
    sizes.every((size) => size % BLOCK_OCTETS === 0) &&
    plain !== undefined &&
    optionOf(plain, EdnsOptionCode.Padding) === undefined;
  return {
    word: isFull ? "full" : withOption > 0 ? "partial" : "none",
    evidence: [
      `three padded queries: answers of ${sizes.join(", ") || "no"} octets, ${withOption} with option 12; one not padded: ${plain?.octets.length ?? "no"} octets`,
    ],
    clients: [client],
  };
}

const BLOCK_OCTETS = 468;

/** A name and a client are refused by an answer, and the rest of the same connection goes on. */
export async function probeAccess(target: ProbeTarget): Promise<Finding> {
  const client = await ProbeClient.open(target);
  client.send(queryOctets(REFUSED_NAME, 1, []));
  await client.wait(1);
  client.send(queryOctets(FAST_NAME, 2, []));
  await client.wait(2);
  const [blocked, other] = [replyTo(client, 1), replyTo(client, 2)];
  const byName = blocked?.message.rcode === Rcode.Refused && other?.message.rcode === Rcode.NoError;
  const evidence = [
    `a refused name: ${outcome(client, 1)}; another on the same connection: ${outcome(client, 2)}`,
  ];
  const clients = [client];
  let byClient: "answer" | "connection" | "none" = "none";
  try {
    const stranger = await ProbeClient.open(target, { localAddress: REFUSED_CLIENT });
    clients.push(stranger);
    stranger.send(queryOctets(FAST_NAME, 3, []));
    const reply = (await stranger.wait(1))[0];
    if (reply?.message.rcode === Rcode.Refused) byClient = "answer";
    else if (reply === undefined) byClient = "connection";
    evidence.push(`a refused client address: ${outcome(stranger, 3)}`);
  } catch (problem) {
    byClient = "connection";
    evidence.push(
      `a refused client address: ${problem instanceof Error ? problem.message : "no connection"}`,
    );
  }
  const isServing = other?.message.rcode === Rcode.NoError || blocked?.message.rcode === Rcode.NoError;
  const isSome = byName || byClient === "answer" || (byClient === "connection" && isServing);
  const word: Word = byName && byClient === "answer" ? "full" : isSome ? "partial" : "none";
  return { word, evidence, clients };
}

/** What the backend says of who asks. */
export async function probeAddress(
  target: ProbeTarget,
  clientOf: (name: string) => string | undefined,
): Promise<Finding> {
  round++;
  const name = `who-${round}.${SLOW_ZONE}`;
  const client = await ProbeClient.open(target, { localAddress: KNOWN_CLIENT });
  client.send(queryOctets(name, 1, []));
  await client.wait(1);
  const said = clientOf(name);
  const isNamed = said?.includes(KNOWN_CLIENT) === true || said?.includes(KNOWN_CLIENT_SUBNET) === true;
  const isAnswered = replyTo(client, 1)?.message.rcode === Rcode.NoError;
  const word: Word = isNamed && isAnswered ? "full" : "none";
  return {
    word,
    evidence: [
      `a client at ${KNOWN_CLIENT}: ${outcome(client, 1)}; the backend: ${said ?? "has seen no query"}`,
    ],
    clients: [client],
  };
}

/** Family 1 and the first octets of the address, as the client subnet option has them. */
const KNOWN_CLIENT_SUBNET = "00017f0000";

function replyTo({ replies }: ProbeClient, id: number) {
  return replies.find(({ message }) => message.id === id);
}

function outcome(client: ProbeClient, id: number): string {
  const reply = replyTo(client, id);
  if (reply === undefined) return client.endedMs === undefined ? "no answer" : `no answer, ${client.endText}`;
  const error = optionOf(reply, EdnsOptionCode.ExtendedError);
  const code = error === undefined ? "" : ` with extended error ${(error[0] ?? 0) * 256 + (error[1] ?? 0)}`;
  return `${RCODE_NAMES[reply.message.rcode] ?? `rcode ${reply.message.rcode}`}${code}`;
}

/** Response codes other than NOERROR, for a sentence. */
function rcodesOf({ replies }: ProbeClient): string {
  const bad = replies.filter(({ message }) => message.rcode !== Rcode.NoError);
  if (bad.length === 0) return "";
  return ` (${bad.length} ${RCODE_NAMES[bad[0]?.message.rcode ?? 0] ?? "other"})`;
}

export function ms(value: number | undefined): string {
  return value === undefined ? "never" : `${Math.round(value)} ms`;
}

const RCODE_NAMES: Readonly<Record<number, string>> = {
  0: "NOERROR",
  2: "SERVFAIL",
  3: "NXDOMAIN",
  5: "REFUSED",
};
const PIPELINED = 20;
const LEARNING_ROUNDS = 3;
/** A promise is kept when the connection is closed not much before it, and soon after. */
const KEEPALIVE_EARLY_MS = 100;
const KEEPALIVE_LATE_MS = 1000;
