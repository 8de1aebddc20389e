/**
 * Zones below dnssec. that make resolvers work: colliding keys and signatures, denials deep below a costly zone, delegations
 * without addresses, chains without end. Nothing is built until it is asked for.
 */
import type { SigningFlawName } from "./signing-flaws.ts";
import { csk, type ZoneText } from "./zone-text.ts";

type AttackShape = Omit<ZoneText, "origin">;

const HOST = "@ NS host.nic.dnssec.\n";
const lines = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => `${line(i)}\n`).join("");

function crowded(flaw: SigningFlawName, algorithm: number): AttackShape {
  return {
    text: `${HOST}*.x A 203.0.113.230\n*.y TXT "never right"\n`,
    signing: { keys: csk(algorithm), denial: "nsec", flaw },
  };
}

/** Delegations and aliases in chains: as many as papers use. */
const CHAIN = 1000;
/** Names of servers in one delegation: what fits into a referral over TCP. */
const NAMES_OF_SERVERS = 135;

/** Zones by label below dnssec. */
export const ATTACK_ZONES: Readonly<Record<string, AttackShape>> = {
  /** KeyTrap (CVE-2023-50387): every key has the tag of every signature. */
  keytrap: crowded("crowd of keys", 8),
  /** 500 wrong signatures beside every set. */
  sigs500: crowded("crowd of signatures", 13),
  /** CVE-2023-50868: the deepest names, the most rounds that are still computed. */
  encloser: {
    text: `${HOST}www A 203.0.113.231\n`,
    signing: { keys: csk(13), denial: { iterations: 150, salt: "aabbccddeeff0011" } },
  },
  /** NXNSAttack (CVE-2020-8616): names of servers that do not exist, in a zone of somebody else. */
  nxns: {
    text: `${HOST}${lines(50, (n) => lines(NAMES_OF_SERVERS, (i) => `d${n} NS n${n}x${i}.victim.dnssec.`))}`,
  },
  victim: { text: `${HOST}www A 203.0.113.232\n` },
  /** TsuNAME: zones that are served by each other. */
  tsuname: { text: `${HOST}${lines(50, (n) => `a${n} NS ns.b${n}\nb${n} NS ns.a${n}`)}` },
  /** Each zone is served by a name in the next. */
  chainns: { text: `${HOST}${lines(CHAIN, (i) => `d${i} NS ns.d${i + 1}`)}` },
  /** CAMP: each alias leads to the next, each behind more labels. */
  aliases: { text: `${HOST}${lines(CHAIN, (i) => `c${i} CNAME c${i + 1}`)}` },
};
