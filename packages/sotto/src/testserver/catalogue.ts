/** Every fixture by name, in the order of their ports. New ones go to the end of their file's list, files to the end here. */
import { CLOSING_FIXTURES } from "./catalogue-closing.ts";
import { DNSSEC_FIXTURES } from "./catalogue-dnssec.ts";
import { MESSAGE_FIXTURES } from "./catalogue-messages.ts";
import { OPTION_FIXTURES } from "./catalogue-options.ts";
import { TLS_FIXTURES } from "./catalogue-tls.ts";
import type { Fixture } from "./fixture.ts";

/** The well-behaved server that labels of qnames can spoil; it has the first port. */
export const GOOD: Fixture = {
  name: "good",
  group: "right",
  about: "does everything right; labels of the qname under test. switch defects on for one reply",
  requirements: ["7766-5-a", "7766-7-a", "7858-3.1-d", "7828-3.3.2-b", "8467-4.1-b", "8310-4-a"],
  transports: ["udp", "tcp", "tls"],
  switchedBy: ["port"],
  behaviour: {},
  authenticates: true,
};

/** The whole catalogue. */
export const CATALOGUE: readonly Fixture[] = [
  GOOD,
  ...MESSAGE_FIXTURES,
  ...OPTION_FIXTURES,
  ...CLOSING_FIXTURES,
  ...TLS_FIXTURES,
  ...DNSSEC_FIXTURES,
];

/** A fixture by its name. */
export function fixtureOf(name: string): Fixture | undefined {
  return BY_NAME.get(name);
}

const BY_NAME: ReadonlyMap<string, Fixture> = new Map(CATALOGUE.map((fixture) => [fixture.name, fixture]));
