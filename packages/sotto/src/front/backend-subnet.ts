/**
 * EDNS client subnet between a client, us and a backend (RFC 7871): what the backend was told, whether it answers for that, and what
 * the client is told of the networks that its answer is for.
 */
import {
  type ClientSubnet,
  type EdnsOption,
  EdnsOptionCode,
  type MessageView,
  makeClientSubnet,
  type Parsed,
  parsed,
  problem,
  tryReadClientSubnet,
} from "@sotto/dns/wire";
import type { EdnsEdit } from "./rules/index.ts";

/** What a reply says of networks. */
export interface SubnetOfReply {
  /** For the client, which must have one exactly when it sent one (§7.2.2). */
  readonly option: EdnsOption | undefined;
  /** False: it is for a network that nobody asked for, and not for all clients. */
  readonly isForAll: boolean;
}

/** The client subnet that a backend gets: the last change of the rules counts, and without one it is the client's. */
export function subnetSent(view: MessageView, changes: readonly EdnsEdit[]): Uint8Array | undefined {
  const change =
    changes.length === 0 ? undefined : changes.findLast(({ code }) => code === EdnsOptionCode.ClientSubnet);
  if (change === undefined) return view.optionData(EdnsOptionCode.ClientSubnet);
  return change.kind === "set" ? change.data : undefined;
}

/** Reads what a backend says of it. A reply for another network than it was asked for must be dropped (§7.3), and is a problem. */
export function readSubnet(
  view: MessageView,
  changes: readonly EdnsEdit[],
  answered: Uint8Array | undefined,
): Parsed<SubnetOfReply> {
  const sent = read(subnetSent(view, changes));
  // Whoever speaks for its client by PROXY may be answered for that client's network without having asked.
  if (sent === undefined) return isTailored(answered) ? FOR_SOME : FOR_ALL;
  const reply = answered && tryReadClientSubnet(answered);
  if (reply !== undefined && !(reply.ok && answers(reply.value, sent)))
    return problem("it answers for another client subnet than it was asked for");
  // §7.3: who says nothing answers for all.
  const scopePrefixBits = reply?.value.scopePrefixBits ?? 0;
  const asked = read(view.optionData(EdnsOptionCode.ClientSubnet));
  const option =
    asked !== undefined && isWithin(asked, sent, scopePrefixBits)
      ? makeClientSubnet({ ...asked, scopePrefixBits })
      : undefined;
  return parsed({ option, isForAll: false });
}

/** Most replies: nothing is made for them. */
const FOR_ALL: Parsed<SubnetOfReply> = parsed({ option: undefined, isForAll: true });
const FOR_SOME: Parsed<SubnetOfReply> = parsed({ option: undefined, isForAll: false });

function read(data: Uint8Array | undefined): ClientSubnet | undefined {
  const subnet = data && tryReadClientSubnet(data);
  return subnet?.ok === true ? subnet.value : undefined;
}

/** A scope that is not 0, or an option that cannot be read. */
function isTailored(answered: Uint8Array | undefined): boolean {
  return answered !== undefined && answered[3] !== 0;
}

/** §7.3: family, source prefix length and address are those of the query; a query that hides them may be told some. */
function answers(reply: ClientSubnet, sent: ClientSubnet): boolean {
  if (sent.sourcePrefixBits === 0) return true;
  return (
    reply.sourcePrefixBits === sent.sourcePrefixBits &&
    reply.address.length === sent.address.length &&
    hasSameBits(reply.address, sent.address, sent.sourcePrefixBits)
  );
}

/**
 * The network that the answer is for, so many bits of what was sent, holds what the client asked for. Where a rule has sent another
 * network the client gets no option: that says less than a wrong one.
 */
function isWithin(asked: ClientSubnet, sent: ClientSubnet, bits: number): boolean {
  if (bits === 0) return true;
  return (
    asked.address.length === sent.address.length &&
    bits <= asked.address.length * 8 &&
    hasSameBits(asked.address, sent.address, bits)
  );
}

function hasSameBits(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  const whole = bits >>> 3;
  for (let i = 0; i < whole; i++) if (a[i] !== b[i]) return false;
  const rest = bits & 7;
  return rest === 0 || (((a[whole] ?? 0) ^ (b[whole] ?? 0)) & (0xff << (8 - rest)) & 0xff) === 0;
}
