/** Fixtures about TLS: versions, ALPN, tickets, certificates, and handshakes that stop. */
import type { CertificateKind, HandshakeStop, TlsBehaviour } from "./behaviour.ts";
import type { Fixture, FixtureGroup } from "./fixture.ts";

interface TlsFixture {
  readonly requirements: readonly string[];
  readonly group?: FixtureGroup;
  /** Default false. */
  readonly authenticates?: boolean;
}

function tls(name: string, about: string, behaviour: TlsBehaviour, facts: TlsFixture): Fixture {
  return {
    name,
    group: "TLS",
    about,
    transports: ["tls"],
    switchedBy: ["port", "control"],
    behaviour: { tls: behaviour },
    authenticates: false,
    ...facts,
  };
}

const VERSIONS: readonly Fixture[] = [
  tls(
    "tls-1.0-only",
    "TLS 1.0 only",
    { versions: ["TLSv1", "TLSv1"] },
    { requirements: ["8310-9-a", "9325-3.1-a"] },
  ),
  tls(
    "tls-1.1-only",
    "TLS 1.1 only",
    { versions: ["TLSv1.1", "TLSv1.1"] },
    { requirements: ["8310-9-a", "9325-3.1-a"] },
  ),
  tls(
    "tls-1.2-only",
    "TLS 1.2 only",
    { versions: ["TLSv1.2", "TLSv1.2"] },
    {
      requirements: ["8310-9-a", "9325-3.1-a"],
      authenticates: true,
    },
  ),
  tls(
    "tls-1.3-only",
    "TLS 1.3 only",
    { versions: ["TLSv1.3", "TLSv1.3"] },
    {
      requirements: ["9325-3.1-a", "9103-7.1-a"],
      authenticates: true,
    },
  ),
];

const NEGOTIATION: readonly Fixture[] = [
  tls(
    "alpn-none",
    "knows no ALPN and ignores what is offered",
    { alpn: [] },
    {
      requirements: ["dot-alpn-a"],
      authenticates: true,
    },
  ),
  tls(
    "alpn-h2",
    "knows only h2: chooses it where it is offered, refuses clients that offer others",
    { alpn: ["h2"] },
    {
      requirements: ["dot-alpn-a", "8932-5.1.3.1-c"],
    },
  ),
  tls(
    "sni-required",
    "refuses handshakes without server name",
    { needsServerName: true },
    {
      requirements: ["9325-3.7-a"],
      authenticates: true,
    },
  ),
  tls(
    "client-certificate",
    "wants a certificate of its authority from clients",
    { wantsClientCertificate: true },
    {
      requirements: ["9103-7.5-a"],
      authenticates: true,
    },
  ),
  tls(
    "tickets-none",
    "TLS 1.2 without tickets or session ids: every handshake is a full one",
    {
      versions: ["TLSv1.2", "TLSv1.2"],
      tickets: "none",
    },
    { requirements: ["7858-3.4-f", "8310-9-c"], authenticates: true },
  ),
  tls(
    "tickets-refused",
    "hands tickets out and takes none of them",
    { tickets: "refused" },
    {
      requirements: ["7858-3.4-g", "8310-9-c"],
      authenticates: true,
    },
  ),
  tls(
    "cleartext",
    "speaks DNS in clear on the TLS port",
    { instead: "cleartext" },
    { requirements: ["7858-3.1-e"] },
  ),
  tls(
    "http",
    "speaks HTTP in clear on the TLS port",
    { instead: "http" },
    {
      requirements: ["7858-3.1-d", "7858-3.1-f"],
    },
  ),
  tls(
    "alert",
    "answers every ClientHello with the alert handshake_failure",
    { instead: "alert" },
    {
      requirements: ["7858-3.1-f", "8310-6.6-c"],
    },
  ),
];

function certificate(
  kind: CertificateKind,
  about: string,
  requirements: readonly string[],
  authenticates = false,
): Fixture {
  const facts = { requirements, authenticates, group: "certificates" as const };
  return tls(`certificate-${kind}`, about, { certificate: kind }, facts);
}

const CERTIFICATES: readonly Fixture[] = [
  certificate("wildcard", "for *.sotto.test", ["9525-6-a"], true),
  certificate("address-only", "for the IP address, without a name", ["9525-6-a", "9462-4.2-a"]),
  certificate("wrong-name", "right in all but the name", ["8310-8.1-b"]),
  certificate("name-in-cn-only", "the name stands in the subject's CN only", ["8310-8.1-b", "9525-6-a"]),
  certificate("expired", "expired yesterday", ["8310-8.1-a"]),
  certificate("not-yet-valid", "valid from tomorrow", ["8310-8.1-a"]),
  certificate("self-signed", "signed by itself: trusted by its pin, if at all", ["8310-6.6-a", "7858-4.2-b"]),
  certificate("other-authority", "signed by an authority that nobody has", ["8310-8.1-a"]),
  certificate("no-intermediate", "the intermediate certificate is not sent", ["8310-8.1-a"]),
  certificate("new-key", "right name and authority, another key than the pin that was told", [
    "7858-4.2-b",
    "8310-6.4-a",
  ]),
  certificate("client-usage", "its extended usage is for clients only", ["8310-8.1-a"]),
  certificate("sha1", "signed with RSA and SHA-1", ["9325-3.1-a"]),
  certificate("rsa-1024", "RSA with 1024 bits", ["9325-3.1-a"]),
];

const STOP_POINTS = [
  { name: "before-hello", about: "before its ServerHello", flight: 1, at: "before", versions: undefined },
  {
    name: "in-first-flight",
    about: "in the middle of its first flight",
    flight: 1,
    at: "middle",
    versions: undefined,
  },
  {
    name: "before-finished",
    about: "after its first flight, before its Finished (TLS 1.2)",
    flight: 2,
    at: "before",
    versions: ["TLSv1.2", "TLSv1.2"],
  },
  {
    name: "in-last-flight",
    about: "in the middle of its last flight (TLS 1.2)",
    flight: 2,
    at: "middle",
    versions: ["TLSv1.2", "TLSv1.2"],
  },
  {
    name: "after-handshake",
    about: "when the client's Finished came: no tickets, no answers (TLS 1.3)",
    flight: 2,
    at: "before",
    versions: ["TLSv1.3", "TLSv1.3"],
  },
] as const;

const STOP_WAYS: readonly (readonly [HandshakeStop["how"], string])[] = [
  ["silence", "falls silent"],
  ["fin", "sends FIN"],
  ["rst", "sends RST"],
];

const STOPS: readonly Fixture[] = STOP_POINTS.flatMap(({ name, about, flight, at, versions }) =>
  STOP_WAYS.map(([how, verb]) =>
    tls(
      `handshake-${name}-${how}`,
      `${verb} ${about}`,
      { stop: { flight, at, how }, ...(versions === undefined ? {} : { versions }) },
      { requirements: ["7858-3.1-f", "7858-3.4-e", "8310-6.6-c"] },
    ),
  ),
);

/** Fixtures about TLS. */
export const TLS_FIXTURES: readonly Fixture[] = [...VERSIONS, ...NEGOTIATION, ...CERTIFICATES, ...STOPS];
