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

/** The client's query with another name and type. */
export function queryFor({ view, origin }: Query, name: Name, type: RRType): Query {
  const octets = encodeMessage(
    makeMessage({
      id: view.id,
      recursionDesired: view.recursionDesired,
      checkingDisabled: view.checkingDisabled,
      authenticData: view.authenticData,
      questions: [{ name, type, class: RRClass.IN }],
      edns: view.hasEdns ? makeEdns({ dnssecOk: view.dnssecOk }) : undefined,
    }),
  );
  const other = new MessageView();
  other.reset(octets);
  return { octets, view: other, origin };
}
