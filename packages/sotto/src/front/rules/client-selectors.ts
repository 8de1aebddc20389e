/** Selectors about who asks, and over what. */
import { certifiesName } from "@sotto/dns/transport";
import { addressSetOf } from "./address-list.ts";
import type { CertificateSelector, Selector } from "./rule.ts";
import { compared, type Matcher, oneOf, type SelectorContext } from "./selector.ts";
import type { Walk } from "./walk.ts";

/** Throws a RangeError for prefixes and sets that are none. */
export function clientMatcher(
  { prefixes, sets }: Extract<Selector, { kind: "client" }>,
  context: SelectorContext,
): Matcher {
  const own = addressSetOf(prefixes, "rule");
  if (!own.ok || own.value.report.bad > 0)
    throw new RangeError(`not all are prefixes: ${prefixes.join(", ")}`);
  const trie = own.value.prefixes;
  const places = sets.map((name) => context.sets.addresses(name));
  return {
    holds({ client }) {
      if (client.length === 0) return false;
      if (trie.longest(client) !== 0) return true;
      for (const place of places) if (place.loaded.prefixes.longest(client) !== 0) return true;
      return false;
    },
    words: (walk, isHeld) =>
      `client ${walk.clientText} is ${isHeld ? "" : "not "}in ${oneOf([...prefixes, ...sets])}`,
  };
}

export function certificateMatcher({ names, pins, verdict }: CertificateSelector): Matcher {
  const wanted = [
    ...(names.length > 0 ? [`name ${oneOf(names)}`] : []),
    ...(pins.length > 0 ? [`pin ${oneOf(pins)}`] : []),
    ...(verdict === undefined ? [] : [`verdict ${verdict}`]),
  ].join(" and ");
  return {
    holds({ subject: { origin } }) {
      if (verdict !== undefined && (origin.clientVerdict ?? "none") !== verdict) return false;
      if (names.length === 0 && pins.length === 0)
        return verdict !== undefined || (origin.security?.peerChain.length ?? 0) > 0;
      const leaf = origin.security?.peerChain[0];
      if (leaf === undefined) return false;
      if (pins.length > 0 && !pins.includes(leaf.spkiSha256)) return false;
      if (names.length === 0) return true;
      // Whoever signs his own certificate can write any name into it.
      return origin.security?.chainProblem === undefined && names.some((name) => certifiesName(leaf, name));
    },
    words: (walk, isHeld) => {
      const found = certificateText(walk);
      return isHeld
        ? `client certificate is ${found}`
        : `client certificate is ${found}, wanted ${wanted || "any"}`;
    },
  };
}

function certificateText({ subject: { origin } }: Walk): string {
  const leaf = origin.security?.peerChain[0];
  const names = leaf?.subjectAltNames.slice(0, NAMES_SHOWN_MAX).join(" ") ?? "";
  const path = origin.security?.chainProblem === undefined ? "" : `, ${origin.security.chainProblem}`;
  const told = leaf === undefined ? "none" : `${names || leaf.subject}${path}`;
  return `${told} (${origin.clientVerdict ?? "no verdict"})`;
}

export function listenerMatcher({ names }: Extract<Selector, { kind: "listener" }>): Matcher {
  return {
    holds: ({ subject }) => names.includes(subject.listener),
    words: ({ subject }, isHeld) => compared("listener", subject.listener, oneOf(names), isHeld),
  };
}

export function transportMatcher({ transports }: Extract<Selector, { kind: "transport" }>): Matcher {
  return {
    holds: ({ subject }) => transports.includes(subject.origin.transport),
    words: ({ subject }, isHeld) =>
      compared("transport", subject.origin.transport, oneOf(transports), isHeld),
  };
}

export function tlsVersionMatcher({ versions }: Extract<Selector, { kind: "tls-version" }>): Matcher {
  return {
    holds: ({ subject: { origin } }) =>
      origin.security !== undefined && versions.includes(origin.security.protocol),
    words: ({ subject: { origin } }, isHeld) =>
      compared("TLS version", origin.security?.protocol ?? "none", oneOf(versions), isHeld),
  };
}

export function alpnMatcher({ protocols }: Extract<Selector, { kind: "alpn" }>): Matcher {
  return {
    holds: ({ subject: { origin } }) =>
      origin.security?.alpn !== undefined && protocols.includes(origin.security.alpn),
    words: ({ subject: { origin } }, isHeld) =>
      compared("ALPN protocol", origin.security?.alpn ?? "none", oneOf(protocols), isHeld),
  };
}

const NAMES_SHOWN_MAX = 4;
