/**
 * EDNS options that go through the front end as they are, because the configuration of a pool says so: those about the data, such as
 * zone versions (RFC 9660) or report channels (RFC 9567). All others are between neighbours (RFC 6891 §6.2.6).
 */
import type { EdnsOption, MessageView } from "@sotto/dns/wire";
import type { EdnsEdit } from "./rules/index.ts";

/** Those of a message that have such a code, as many as there is room for. */
export function passedOptions(view: MessageView, codes: ReadonlySet<number>): readonly EdnsOption[] {
  if (codes.size === 0 || !view.hasEdns) return NOTHING;
  const passed: EdnsOption[] = [];
  let octets = 0;
  for (const option of view.options()) {
    if (!codes.has(option.code)) continue;
    octets += option.data.length;
    if (passed.length >= PASSED_MAX || octets > PASSED_OCTETS_MAX) break;
    passed.push(option);
  }
  return passed;
}

/** The client's, without those that the rules have changed. */
export function clientOptions(
  view: MessageView,
  changes: readonly EdnsEdit[],
  codes: ReadonlySet<number>,
): readonly EdnsOption[] {
  const passed = passedOptions(view, codes);
  if (passed.length === 0) return passed;
  return passed.filter(({ code }) => !changes.some((change) => change.code === code));
}

const NOTHING: readonly EdnsOption[] = [];
/** Of one message. */
const PASSED_MAX = 8;
/** Of all of them together: what is left of a datagram without truncating everything (`FINISH_ROOM_OCTETS` has room for it). */
const PASSED_OCTETS_MAX = 512;
