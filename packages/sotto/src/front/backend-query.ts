/**
 * A client's question as backends get it. EDNS is between two neighbours (RFC 6891 §6.2.6): the client's OPT ends here, and the
 * backend gets one of ours, with the client's DO and client subnet, with options that its pool passes, and with what rules set; cookies, keepalive and padding are
 * each side's own.
 */
import {
  EdnsOptionCode,
  HEADER_OCTETS,
  HeaderFlag,
  type MessageView,
  OPT_FIXED_OCTETS,
  OPTION_HEADER_OCTETS,
  RRType,
  setUint16,
  tryReadClientSubnet,
  UDP_PAYLOAD_OCTETS_DEFAULT,
} from "@sotto/dns/wire";
import { subnetSent } from "./backend-subnet.ts";
import { clientOptions } from "./passed-options.ts";
import type { EdnsEdit } from "./rules/index.ts";

/** The message without length prefix, with those of the client's options that are `passed`; id 0. Ends with its OPT record; what each connection adds to it is the backends' business. */
export function makeBackendQuery(
  view: MessageView,
  changes: readonly EdnsEdit[],
  passed: ReadonlySet<number>,
): Uint8Array {
  const { questionEnd } = view;
  const subnet = subnetSent(view, changes);
  const added: Omit<SetOption, "kind">[] = changes.filter(isSetForGood);
  if (passed.size > 0) added.push(...clientOptions(view, changes, passed));
  const isOwn = subnet !== undefined && !added.some(({ code }) => code === EdnsOptionCode.ClientSubnet);
  if (isOwn) added.unshift({ code: EdnsOptionCode.ClientSubnet, data: subnet });
  const optionOctets = optionOctetsOf(added);
  const octets = new Uint8Array(questionEnd + OPT_FIXED_OCTETS + optionOctets);
  // A view moves up to 64 octets, which V8 keeps on its own heap, to memory of their own.
  for (let i = HEADER_OCTETS; i < questionEnd; i++) octets[i] = view.octets[i] ?? 0;
  setUint16(octets, 2, (view.flags & PASSED_FLAGS) | HeaderFlag.AuthenticData);
  setUint16(octets, 4, 1);
  setUint16(octets, 10, 1);
  setUint16(octets, questionEnd + 1, RRType.OPT);
  setUint16(octets, questionEnd + 3, UDP_PAYLOAD_OCTETS_DEFAULT);
  setUint16(octets, questionEnd + 7, view.dnssecOk ? 0x8000 : 0);
  setUint16(octets, questionEnd + OPT_FIXED_OCTETS - 2, optionOctets);
  let at = questionEnd + OPT_FIXED_OCTETS;
  for (const { code, data } of added) at = writeOption(octets, at, code, data);
  return octets;
}

/** Whether the answer is for this client alone: it depends on an address, or on what a rule has set. */
export function isPersonal(
  view: MessageView,
  changes: readonly EdnsEdit[],
  passed: ReadonlySet<number>,
): boolean {
  if (changes.some(isSetForGood) || clientOptions(view, changes, passed).length > 0) return true;
  if (view.optionOffset(EdnsOptionCode.ClientSubnet) < 0) return false;
  return !changes.some(({ code }) => code === EdnsOptionCode.ClientSubnet);
}

/** A client subnet that is none (RFC 7871 §7.1.2 wants FORMERR): its length is a stranger's, up to that of a message. */
export function hasBadSubnet(view: MessageView): boolean {
  const subnet = view.optionData(EdnsOptionCode.ClientSubnet);
  return subnet !== undefined && !tryReadClientSubnet(subnet).ok;
}

type SetOption = Extract<EdnsEdit, { kind: "set" }>;

/** Sets an option that no later change sets or strips: changes are made in their order. */
function isSetForGood(change: EdnsEdit, index: number, changes: readonly EdnsEdit[]): change is SetOption {
  return change.kind === "set" && changes.findLastIndex(({ code }) => code === change.code) === index;
}

function optionOctetsOf(added: readonly Pick<SetOption, "data">[]): number {
  let octets = 0;
  for (const { data } of added) octets += OPTION_HEADER_OCTETS + data.length;
  return octets;
}

function writeOption(octets: Uint8Array, at: number, code: number, data: Uint8Array): number {
  setUint16(octets, at, code);
  setUint16(octets, at + 2, data.length);
  octets.set(data, at + OPTION_HEADER_OCTETS);
  return at + OPTION_HEADER_OCTETS + data.length;
}

/**
 * RD and CD. AD, which asks for AD in the reply (RFC 6840 §5.7), is always set: the reply may be kept for all, and those who do not want to
 * know are not told.
 */
const PASSED_FLAGS = HeaderFlag.RecursionDesired | HeaderFlag.CheckingDisabled;
