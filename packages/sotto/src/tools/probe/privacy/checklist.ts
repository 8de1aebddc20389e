/**
 * BCP 232 (RFC 8932) clause by clause, judged from a configuration: what the file shows is passed or failed, what it cannot
 * show is a question to the operator. Nothing is probed here; `sotto probe server` does that.
 */
import type { Config, FrontConfig, ListenerConfig } from "../../../config/index.ts";

/** What is judged. */
export type Operated =
  | { readonly kind: "resolver"; readonly config: Config }
  | { readonly kind: "front"; readonly config: FrontConfig };

/** `ask`: the configuration cannot tell. */
export type ClauseVerdict = "pass" | "fail" | "ask";

/** One clause of the checklist. */
export interface Clause {
  /** Id of docs/rfc/bcp-232.md. */
  readonly id: string;
  readonly verdict: ClauseVerdict;
  /** Why, or what is asked; one or two sentences. */
  readonly reason: string;
}

type Judged = readonly [verdict: ClauseVerdict, reason: string];

/** All clauses in the order of the document. */
export function privacyChecklist(operated: Operated): Clause[] {
  return CLAUSES.map(([id, judge]) => {
    const [verdict, reason] = judge(operated);
    return { id, verdict, reason };
  });
}

const CLAUSES: readonly (readonly [id: string, judge: (operated: Operated) => Judged])[] = [
  ["8932-5.1.1", offersEncryption],
  ["8932-5.1.2", canBeAuthenticated],
  ["8932-5.1.2.1", renewsCertificates],
  ["8932-5.1.3.1-a", protectsFromAnalysis],
  ["8932-5.1.3.1-b", wantsNoTracking],
  ["8932-5.1.3.1-c", usesUsualPorts],
  ["8932-5.1.3.1-d", managesConnections],
  ["8932-5.1.4", validates],
  ["8932-5.1.5", isAsAvailable],
  ["8932-5.1.6", treatsAllAlike],
  ["8932-5.1.8", seesClients],
  ["8932-5.2", minimisesLogs],
  ["8932-5.3.1", tellsLittleUpstream],
  ["8932-5.3.1-opt", tellsEvenLess],
  ["8932-6", publishesStatement],
];

const isEncrypted = ({ transport }: ListenerConfig): boolean => transport === "tls" || transport === "https";

function encrypted({ config }: Operated): ListenerConfig[] {
  return config.listeners.filter(isEncrypted);
}

/** For a list in a sentence. */
function names(listeners: readonly ListenerConfig[]): string {
  return listeners
    .map(({ transport, local }) => `${transport} ${local.address} port ${local.port}`)
    .join(", ");
}

const NO_ENCRYPTION: Judged = ["fail", "no listener has transport tls or https"];

function offersEncryption(operated: Operated): Judged {
  const offered = encrypted(operated);
  return offered.length === 0 ? NO_ENCRYPTION : ["pass", `encrypted: ${names(offered)}`];
}

function canBeAuthenticated(operated: Operated): Judged {
  const offered = encrypted(operated).filter(({ usesTls }) => usesTls);
  if (offered.length === 0) return NO_ENCRYPTION;
  const without = offered.filter(({ certificates }) => certificates.length === 0);
  return without.length === 0
    ? [
        "pass",
        "every encrypted listener has a certificate; publish its name, and its pins if clients are to use them",
      ]
    : ["fail", `a certificate is made at each start, which nobody can authenticate: ${names(without)}`];
}

function renewsCertificates(operated: Operated): Judged {
  if (encrypted(operated).length === 0) return NO_ENCRYPTION;
  const watch = operated.config.tls.watchCertificatesMs;
  const reload =
    watch === undefined
      ? "renewed certificate files are read at SIGHUP only"
      : `renewed certificate files are read within ${watch / 1000} s`;
  return ["ask", `${reload}; who issues and renews them, and who is told before they expire?`];
}

function protectsFromAnalysis(operated: Operated): Judged {
  return encrypted(operated).length === 0
    ? NO_ENCRYPTION
    : ["pass", "TLS 1.2 and 1.3 only; answers to padded queries are padded to 468 octets"];
}

function wantsNoTracking({ config }: Operated): Judged {
  return config.cookies.policy === "require over udp"
    ? ["fail", "cookies.policy require-over-udp serves clients without cookies worse, over UDP"]
    : ["pass", "neither session resumption nor cookies are needed for any answer"];
}

function usesUsualPorts(operated: Operated): Judged {
  const dot = operated.config.listeners.filter(({ transport }) => transport === "tls");
  const ports = new Set(dot.map(({ local }) => local.port));
  if (!ports.has(853))
    return ["fail", dot.length === 0 ? "no listener has transport tls" : "no tls listener has port 853"];
  return ports.has(443)
    ? ["pass", "DNS over TLS on ports 853 and 443"]
    : [
        "ask",
        "DNS over TLS on port 853 only: is there another way for clients whose network blocks that port?",
      ];
}

function managesConnections(operated: Operated): Judged {
  return encrypted(operated).length === 0
    ? NO_ENCRYPTION
    : [
        "pass",
        "answers leave in the order in which they are ready; edns-tcp-keepalive tells each session's timer",
      ];
}

function validates(operated: Operated): Judged {
  if (operated.kind === "front")
    return ["ask", "the front end passes on what its backends say: do they validate, all of them?"];
  const { validation, anchors, published, negativeAnchors } = operated.config.dnssec;
  if (!validation || anchors.length + published.length === 0)
    return ["fail", "dnssec.validation is off, or has no trust anchor"];
  return negativeAnchors.length === 0
    ? ["pass", "answers are validated, and DNSSEC records given to who asks for them"]
    : ["ask", `nothing is validated below ${negativeAnchors.join(", ")}: for how long?`];
}

function isAsAvailable(operated: Operated): Judged {
  const offered = encrypted(operated);
  if (offered.length === 0) return NO_ENCRYPTION;
  const covered = new Set(offered.map(({ local }) => local.address));
  const clearOnly = operated.config.listeners.filter(
    (listener) => !isEncrypted(listener) && !covered.has(listener.local.address),
  );
  if (clearOnly.length > 0) return ["fail", `in clear only: ${names(clearOnly)}`];
  return [
    "ask",
    "every address answers encrypted, with limits on connections, rates and times: is the encrypted service watched as the clear one is?",
  ];
}

function treatsAllAlike({ kind, config }: Operated): Judged {
  const apart = config.listeners.filter(({ clientCertificates }) => clientCertificates !== undefined);
  if (apart.length > 0)
    return ["ask", `client certificates decide on ${names(apart)}: do both sides get the same?`];
  return kind === "front"
    ? ["ask", "do rules that look at the listener or the transport treat clear and encrypted queries alike?"]
    : ["pass", "all listeners share filters, validation and cache"];
}

function seesClients({ config }: Operated): Judged {
  const behind = config.listeners.filter(({ usesTls, transport }) => !usesTls && transport === "https");
  return behind.length === 0
    ? ["pass", "TLS ends here, where clients are known to access lists and limits"]
    : ["pass", `a proxy ends TLS before ${names(behind)} and tells the clients' addresses`];
}

function minimisesLogs(operated: Operated): Judged {
  return operated.config.log.level === "debug"
    ? ["fail", "log.level is debug, which writes more than operation needs"]
    : [
        "ask",
        `${queryLogText(operated)}; how long is the log kept that the service manager collects, and who may read it? Do dumps, captures or exports hold addresses?`,
      ];
}

/** What is written or sent away of queries, as far as the configuration decides. */
export function queryLogText(operated: Operated): string {
  const rules = operated.kind === "front" ? operated.config.rules : [];
  const logging = rules.filter(({ actions }) => actions.some(({ kind }) => kind === "log"));
  const copies = rules.flatMap(({ name, actions }) =>
    actions.flatMap((action) => (action.kind === "tee" ? [`${name} to ${action.pool}`] : [])),
  );
  const facts = [
    logging.length === 0
      ? "queries are not logged by the server"
      : `rules log queries: ${logging.map(({ name }) => name).join(", ")}`,
    ...(copies.length === 0 ? [] : [`rules send copies of queries: ${copies.join(", ")}`]),
  ];
  return facts.join("; ");
}

function tellsLittleUpstream(operated: Operated): Judged {
  if (operated.kind === "front")
    return ["ask", "does a rule add a client subnet, and do the backends minimise names and send none?"];
  const { resolver, forwardZones } = operated.config;
  const all = forwardZones.find(({ name }) => name.toString() === ".");
  if (all !== undefined)
    return all.hidesClientSubnet
      ? [
          "ask",
          "everything is forwarded, with the wish that no client subnet is sent on: what is agreed with who is asked?",
        ]
      : ["fail", "everything is forwarded without hide-client-subnet"];
  return resolver.qnameMinimisation === "off"
    ? ["fail", "resolver.qname-minimisation is off"]
    : ["pass", `names are minimised (${resolver.qnameMinimisation}); no client subnet is ever sent`];
}

function tellsEvenLess(operated: Operated): Judged {
  if (operated.kind === "front") return ["ask", "is up to the backends"];
  const { aggressiveDenial, nxdomainCut } = operated.config.cache;
  const { validation } = operated.config.dnssec;
  return aggressiveDenial && nxdomainCut && validation
    ? ["pass", "denials answer for the names that they cover; a local copy of the root is not offered"]
    : ["fail", "cache.aggressive-denial and cache.nxdomain-cut are on only together with dnssec.validation"];
}

function publishesStatement(): Judged {
  return ["ask", "where do clients find the privacy statement? `--statement` writes its skeleton"];
}
