/** Questions that the stub asks for itself, as upstreams take them. */
import type { Query } from "@sotto/dns/transport";
import {
  encodeMessage,
  MessageView,
  makeEdns,
  makeMessage,
  type Name,
  RRClass,
  type RRType,
} from "@sotto/dns/wire";

export function queryOf(name: Name, type: RRType, dnssecOk: boolean, checkingDisabled: boolean): Query {
  const octets = encodeMessage(
    makeMessage({
      recursionDesired: true,
      checkingDisabled,
      questions: [{ name, type, class: RRClass.IN }],
      edns: makeEdns({ dnssecOk }),
    }),
  );
  const view = new MessageView();
  view.reset(octets);
  const origin = { transport: "internal", remote: undefined, local: undefined, security: undefined } as const;
  return { octets, view, origin };
}
