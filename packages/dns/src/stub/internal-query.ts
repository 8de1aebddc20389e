/** Questions that the stub asks for itself, as upstreams take them. */
import type { Query } from "@sotto/dns/transport";
import { encodeQuery, MessageView, makeEdns, type Name, RRClass, type RRType } from "@sotto/dns/wire";

export function queryOf(name: Name, type: RRType, dnssecOk: boolean, checkingDisabled: boolean): Query {
  const octets = encodeQuery({
    question: { name, type, class: RRClass.IN },
    recursionDesired: true,
    checkingDisabled,
    authenticData: false,
    edns: dnssecOk ? WITH_DNSSEC : WITHOUT_DNSSEC,
  });
  const view = new MessageView();
  view.reset(octets, name);
  return { octets, view, origin: ORIGIN };
}

const WITH_DNSSEC = makeEdns({ dnssecOk: true });
const WITHOUT_DNSSEC = makeEdns();
const ORIGIN = { transport: "internal", remote: undefined, local: undefined, security: undefined } as const;
