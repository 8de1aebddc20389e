/** Fixtures for validators: names of the signed part of the fake internet, which every server of the catalogue serves. */
import type { Fixture } from "./fixture.ts";

function zone(name: string, about: string, question: string, requirements: readonly string[]): Fixture {
  return {
    name: `dnssec-${name}`,
    group: "DNSSEC",
    about,
    requirements,
    transports: ["udp", "tcp", "tls"],
    switchedBy: ["name"],
    behaviour: {},
    question,
  };
}

const CHECK = ["4035-4-a"];
const DENIAL = ["4035-4-a", "5155-a"];

/** Fixtures for validators; what a validator has to make of each stands in its description. */
export const DNSSEC_FIXTURES: readonly Fixture[] = [
  zone("secure", "secure: ECDSA P-256, NSEC", "www.alg13.dnssec. A", CHECK),
  zone("secure-rsa", "secure: RSA with SHA-256", "www.alg8.dnssec. A", CHECK),
  zone("secure-ed25519", "secure: Ed25519", "www.alg15.dnssec. A", CHECK),
  zone("wildcard", "secure: made from a wildcard", "any.wild.alg13.dnssec. A", ["4035-4-a"]),
  zone("denied-nsec", "secure: NXDOMAIN with NSEC", "nothing.alg13.dnssec. A", DENIAL),
  zone("denied-nsec3", "secure: NXDOMAIN with NSEC3", "nothing.alg13hashed.dnssec. A", DENIAL),
  zone("insecure", "insecure: a delegation without DS", "www.plain.dnssec. A", ["4035-4-a"]),
  zone("unknown-algorithm", "insecure: an algorithm that nobody knows", "www.alg200.dnssec. A", ["4035-4-a"]),
  zone("iterations-2500", "insecure or SERVFAIL: 2500 NSEC3 iterations", "nothing.rounds2500.dnssec. A", [
    "9276-a",
  ]),
  zone("bogus-expired", "bogus: signatures have expired", "www.expired.dnssec. A", CHECK),
  zone("bogus-early", "bogus: signatures are not yet valid", "www.early.dnssec. A", CHECK),
  zone("bogus-wrong-key", "bogus: signed with another key", "www.wrongkey.dnssec. A", CHECK),
  zone("bogus-unsigned", "bogus: the signatures are missing", "www.unsigned.dnssec. A", CHECK),
  zone("bogus-ds", "bogus: DS of another key", "www.wrongds.dnssec. A", ["4035-4-a"]),
];
