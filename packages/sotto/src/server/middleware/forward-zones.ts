/** Names that other servers resolve: the longest zone at or above the name decides, without one the query goes on. */
import type { Middleware, Responder } from "@sotto/dns/transport";
import { isMetaType, type MessageView, type Name, RRClass, RRType } from "@sotto/dns/wire";

/** One zone and whoever answers for it. */
export interface ForwardZone {
  readonly name: Name;
  readonly responder: Responder;
}

export interface ForwardZonesOptions {
  readonly zones: readonly ForwardZone[];
  /** `what the recursor cannot`: other classes and meta types only; the recursor asks the forwarders for the rest. */
  readonly which: "all" | "what the recursor cannot";
}

/** Sends queries at and below the zones to their responders. */
export function forwardZones({ zones, which }: ForwardZonesOptions): Middleware {
  const byKey = new Map(zones.map((zone) => [zone.name.key, zone.responder]));
  return (next) => {
    if (byKey.size === 0) return next;
    return {
      respond: (query, context) => {
        const { view } = query;
        const isRecursors =
          view.qclass === RRClass.IN && (view.qtype === RRType.ANY || !isMetaType(view.qtype));
        if (which === "what the recursor cannot" && isRecursors) return next.respond(query, context);
        for (let name = firstZone(view); ; name = name.parent()) {
          const responder = byKey.get(name.key);
          if (responder !== undefined) return responder.respond(query, context);
          if (name.isRoot) return next.respond(query, context);
        }
      },
    };
  };
}

/** A DS record belongs to the zone above its owner (RFC 4035 §3.1.4.1). */
function firstZone(view: MessageView): Name {
  return view.qtype === RRType.DS ? view.qname.parent() : view.qname;
}
