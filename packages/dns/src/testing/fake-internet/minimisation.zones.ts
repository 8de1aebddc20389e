/**
 * A name that tells how it was asked for (RFC 9156). The server above a zone cut should hear of the cut only; one that is asked
 * there for the TXT record of the name below it answers itself, and says so.
 */
import type { ServerText, ZoneText } from "./zone-text.ts";

/** Its TXT record begins with HOORAY or NO, as that of `qnamemintest.internet.nl` does. */
export const MINIMISATION_NAME = "how.asked.minimised.lab.";

export const MINIMISATION_SERVERS: readonly ServerText[] = [
  {
    name: "ns1.minimised.lab.",
    addresses: ["203.0.113.131"],
    zones: ["minimised.lab."],
    behaviour: "tellsOnWholeNames",
    about: "answers what it should not have been asked",
  },
  {
    name: "ns1.asked.minimised.lab.",
    addresses: ["203.0.113.132"],
    zones: ["asked.minimised.lab."],
    behaviour: "good",
    about: "the zone of a name that tells how it was asked for",
  },
];

export const MINIMISATION_ZONES: readonly ZoneText[] = [
  {
    origin: "minimised.lab.",
    text: `@ NS ns1
ns1 A 203.0.113.131
asked NS ns1.asked
ns1.asked A 203.0.113.132
`,
  },
  {
    origin: "asked.minimised.lab.",
    text: `@ NS ns1
ns1 A 203.0.113.132
how TXT "HOORAY: the server above was asked for no more than the zone cut"
`,
  },
];

/** As it stands in lab. */
export const MINIMISATION_DELEGATION = `minimised NS ns1.minimised
ns1.minimised A 203.0.113.131
`;
