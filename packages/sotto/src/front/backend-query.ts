/**
 * A client's question as backends get it. EDNS is between two neighbours (RFC 6891 §6.2.6): the client's OPT ends here, and the
 * backend gets one of ours, with the client's DO and client subnet and with what rules set; cookies, keepalive and padding are
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
  UDP_PAYLOAD_OCTETS_DEFAULT,
} from "@sotto/dns/wire";
import type { EdnsEdit } from "./rules/index.ts";

/** The message without length prefix; id 0. Ends with its OPT record; what each connection adds to it is the backends' business. */
export function makeBackendQuery(view: MessageView, changes: readonly EdnsEdit[]): Uint8Array {
  const { questionEnd } = view;
  const subnet = changes.some(({ code }) => code === EdnsOptionCode.ClientSubnet)
    ? undefined
    : view.optionData(EdnsOptionCode.ClientSubnet);
  const optionOctets = optionOctetsOf(subnet, changes);
  const octets = new Uint8Array(questionEnd + OPT_FIXED_OCTETS + optionOctets);
  octets.set(view.octets.subarray(HEADER_OCTETS, questionEnd), HEADER_OCTETS);
  setUint16(octets, 2, view.flags & PASSED_FLAGS);
  setUint16(octets, 4, 1);
  setUint16(octets, 10, 1);
  setUint16(octets, questionEnd + 1, RRType.OPT);
  setUint16(octets, questionEnd + 3, UDP_PAYLOAD_OCTETS_DEFAULT);
  setUint16(octets, questionEnd + 7, view.dnssecOk ? 0x8000 : 0);
  setUint16(octets, questionEnd + OPT_FIXED_OCTETS - 2, optionOctets);
  let at = questionEnd + OPT_FIXED_OCTETS;
  if (subnet !== undefined) at = writeOption(octets, at, EdnsOptionCode.ClientSubnet, subnet);
  for (const change of changes)
    if (change.kind === "set") at = writeOption(octets, at, change.code, change.data);
  return octets;
}

/** Whether the answer is for this client alone: it depends on an address, or on what a rule has set. */
export function isPersonal(view: MessageView, changes: readonly EdnsEdit[]): boolean {
  if (changes.some(({ kind }) => kind === "set")) return true;
  if (view.optionOffset(EdnsOptionCode.ClientSubnet) < 0) return false;
  return !changes.some(({ code }) => code === EdnsOptionCode.ClientSubnet);
}

function optionOctetsOf(subnet: Uint8Array | undefined, changes: readonly EdnsEdit[]): number {
  let octets = subnet === undefined ? 0 : OPTION_HEADER_OCTETS + subnet.length;
  for (const change of changes)
    if (change.kind === "set") octets += OPTION_HEADER_OCTETS + change.data.length;
  return octets;
}

function writeOption(octets: Uint8Array, at: number, code: number, data: Uint8Array): number {
  setUint16(octets, at, code);
  setUint16(octets, at + 2, data.length);
  octets.set(data, at + OPTION_HEADER_OCTETS);
  return at + OPTION_HEADER_OCTETS + data.length;
}

/** RD, CD, and AD, which in a query asks for AD in the reply (RFC 6840 §5.7). */
const PASSED_FLAGS = HeaderFlag.RecursionDesired | HeaderFlag.CheckingDisabled | HeaderFlag.AuthenticData;
