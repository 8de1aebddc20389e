/**
 * Settings of the front's access control: sets of addresses and names, rules over them, limits of each client. The table of
 * `settings.ts` for these three sections; `front-rules-load.ts` turns them into values.
 */
import {
  opcodeFromText,
  type Parsed,
  parsed,
  problem,
  rcodeFromText,
  rrClassFromText,
  rrTypeFromText,
  tryParseName,
} from "@sotto/dns/wire";
import { z } from "zod";
import { clientExceptions } from "./client-exceptions.ts";
import { duration, prefix, text, tryParsePin } from "./setting-types.ts";
import { tryParseMoment } from "./units.ts";

const RCODE_OF_HEADER_MAX = 15;

/** How sets, rules and tags are called: no dots and colons, so that nobody takes them for names or addresses. */
const label = (): z.ZodString =>
  z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_-]{0,62}$/, {
      error: ({ input }) =>
        `${JSON.stringify(input)} is no word of letters, digits, - and _, at most 63 long`,
    })
    .meta({ examples: ["ads"] });

/** Names of rules mean themselves: a `*` in them would be a label that nobody asks for. */
function tryParsePlainName(value: string): Parsed<unknown> {
  return /^\*\.|^\./.test(value)
    ? problem(
        `${JSON.stringify(value)} has a wildcard: suffixes stand for all below them, so write ${JSON.stringify(value.replace(/^\*?\.+/, ""))}`,
      )
    : tryParseName(value);
}

/** A moment in quotes, or as the number that YAML takes it for. */
const moment = (sample: string) =>
  z.union([
    text(tryParseMoment, sample),
    z.number().superRefine((value, context) => {
      const read = tryParseMoment(String(value));
      if (!read.ok) context.addIssue({ code: "custom", message: read.problem });
    }),
  ]);

function oneOfMany<T>(parse: (text: string) => T | undefined, what: string): (text: string) => Parsed<T> {
  return (value) => {
    const found = parse(value);
    return found === undefined ? problem(`${JSON.stringify(value)} is no ${what}`) : parsed(found);
  };
}

const tryParseType = oneOfMany(rrTypeFromText, "type such as AAAA or TYPE65280");
const tryParseClass = oneOfMany(rrClassFromText, "class such as IN or CH");
const tryParseOpcode = oneOfMany(opcodeFromText, "opcode such as QUERY or NOTIFY");
/** Those that fit into the header: what needs EDNS would be another one for clients without. */
function tryParseRcode(value: string): Parsed<unknown> {
  const rcode = rcodeFromText(value);
  if (rcode === undefined)
    return problem(`${JSON.stringify(value)} is no response code such as REFUSED or NXDOMAIN`);
  return rcode <= RCODE_OF_HEADER_MAX
    ? parsed(rcode)
    : problem(
        `${JSON.stringify(value)} needs EDNS, which not all clients have: one of up to ${RCODE_OF_HEADER_MAX}, such as REFUSED`,
      );
}

const plainName = (): z.ZodString => text(tryParsePlainName, "example.");

/** Minutes of `08:30`; `24:00` is the end of the day. */
export function tryParseTimeOfDay(value: string): Parsed<number> {
  const [, hours, minutes] = /^(\d\d):(\d\d)$/.exec(value) ?? [];
  const minute = Number(hours) * 60 + Number(minutes);
  return Number(minutes) < 60 && minute <= 1440
    ? parsed(minute)
    : problem(`${JSON.stringify(value)} is not a time of day such as 08:30`);
}

/** Minutes of `+05:30`. */
export function tryParseUtcOffset(value: string): Parsed<number> {
  const [, sign, hours, minutes] = /^([+-])(\d\d):(\d\d)$/.exec(value) ?? [];
  const minute = Number(hours) * 60 + Number(minutes);
  return Number(minutes) < 60 && minute <= 14 * 60
    ? parsed(sign === "-" ? -minute : minute)
    : problem(`${JSON.stringify(value)} is not a distance from UTC such as +01:00`);
}

/** Octets of an even number of hexadecimal digits, as text. */
function tryParseHex(value: string): Parsed<string> {
  return /^([0-9a-fA-F]{2}){0,512}$/.test(value)
    ? parsed(value)
    : problem(`${JSON.stringify(value)} is not up to 512 octets in hexadecimal`);
}

/** EDNS options that have names here. */
export const OPTION_NAMES: Readonly<Record<string, number>> = {
  nsid: 3,
  "client-subnet": 8,
  expire: 9,
  cookie: 10,
  keepalive: 11,
  padding: 12,
  chain: 13,
  "extended-error": 15,
  "report-channel": 18,
  "zone-version": 19,
};

/** A code or a name. */
export const option = z
  .union([z.number().int().min(1).max(65_535), z.enum(Object.keys(OPTION_NAMES) as [string, ...string[]])])
  .meta({ description: "Number of an EDNS option, or nsid, client-subnet, cookie, …" });

const set = z.strictObject({
  name: label().meta({ description: "By which rules call it." }),
  kind: z.enum(["addresses", "names"]).meta({ description: "What is in it." }),
  file: z.string().optional().meta({
    description:
      "File with the entries. It is read again when it has changed and been at rest for a second; a broken or emptied one leaves the old entries in force.",
  }),
  entries: z.array(z.string()).default([]).meta({
    description: "The entries, instead of a file: prefixes, or lines as a file of that format has them.",
  }),
  format: z.enum(["domains", "hosts", "rpz"]).default("domains").meta({
    description:
      "Form of a list of names. domains: a name a line, also *.name and ||name^; hosts: address and names; rpz: a response policy zone, triggers by query name.",
  }),
  match: z.enum(["exact", "suffix"]).optional().meta({
    description:
      "Whether names of domains and hosts stand for what is below them, too. Default: suffix for domains, exact for hosts.",
  }),
});

const masks = z.strictObject({
  ipv4: z.number().int().min(0).max(32).default(32).meta({ description: "Bits that make a client, IPv4." }),
  ipv6: z.number().int().min(0).max(128).default(56).meta({ description: "Bits that make a client, IPv6." }),
  exceptions: clientExceptions("the rate"),
});

const perSecond = z.number().min(0.001).max(10_000_000).meta({ description: "Queries per second." });
const burst = z.number().min(1).max(100_000_000).optional().meta({
  description: "Queries at once after a pause. Default: those of one second, at least one.",
});
const ownMasks = masks.optional().meta({ description: "What makes a client here. Default: clients.masks." });

const range = (
  most: number,
  what: string,
): z.ZodObject<{ min: z.ZodOptional<z.ZodNumber>; max: z.ZodOptional<z.ZodNumber> }> =>
  z
    .strictObject({
      min: z.number().int().min(0).max(most).optional().meta({ description: "At least." }),
      max: z.number().int().min(0).max(most).optional().meta({ description: "At most." }),
    })
    .meta({ description: what });

const conditions = {
  client: z
    .strictObject({
      prefixes: z.array(prefix()).default([]).meta({ description: "Prefixes or addresses." }),
      sets: z.array(label()).default([]).meta({ description: "Sets of addresses." }),
    })
    .meta({ description: "The client's address is in one of these." }),
  certificate: z
    .strictObject({
      names: z.array(z.string()).default([]).meta({
        description: "DNS names or addresses, one of which a client certificate from a known authority has.",
      }),
      pins: z
        .array(text(tryParsePin, "sha256:…"))
        .default([])
        .meta({ description: "SPKI pins (RFC 7858 §4.2), one of which the client's key has." }),
      verdict: z.enum(["allowed", "denied", "none"]).optional().meta({
        description: "What the listener's client-certificates made of it.",
      }),
    })
    .meta({
      description:
        "About the client's certificate. A resumed TLS session shows none again: there only verdict is known. Empty: there is one.",
    }),
  listener: z.array(z.string()).min(1).meta({ description: "Names of listeners." }),
  transport: z
    .array(z.enum(["udp", "tcp", "tls", "https"]))
    .min(1)
    .meta({ description: "How the query came." }),
  "tls-version": z
    .array(z.enum(["TLSv1.2", "TLSv1.3"]))
    .min(1)
    .meta({ description: "Version of TLS." }),
  alpn: z.array(z.string()).min(1).meta({ description: "Protocol that TLS agreed on, such as dot or h2." }),
  name: z
    .strictObject({
      sets: z.array(label()).default([]).meta({ description: "Sets of names." }),
      suffixes: z.array(plainName()).default([]).meta({ description: "Names and all below them." }),
      exact: z.array(plainName()).default([]).meta({ description: "Names alone." }),
    })
    .meta({ description: "The name that is asked for is in one of these." }),
  type: z.array(text(tryParseType, "AAAA")).min(1).meta({ description: "Types that are asked for." }),
  class: z.array(text(tryParseClass, "IN")).min(1).meta({ description: "Classes." }),
  opcode: z
    .array(text(tryParseOpcode, "QUERY"))
    .min(1)
    .meta({ description: "Opcodes. Others than QUERY are answered NOTIMP before any rule." }),
  flags: z
    .strictObject({
      rd: z.boolean().optional().meta({ description: "Recursion desired." }),
      cd: z.boolean().optional().meta({ description: "Checking disabled." }),
      ad: z.boolean().optional().meta({ description: "Authentic data." }),
      do: z.boolean().optional().meta({ description: "DNSSEC OK (EDNS)." }),
    })
    .meta({ description: "Flags that must be set (true) or clear (false)." }),
  edns: z
    .strictObject({
      present: z.boolean().optional().meta({ description: "Whether there is EDNS at all." }),
      options: z.array(option).default([]).meta({ description: "One of these options is there." }),
      "payload-min": z.number().int().min(0).max(65_535).default(0).meta({
        description: "Least UDP payload size, octets; 512 without EDNS.",
      }),
      "payload-max": z.number().int().min(0).max(65_535).default(65_535).meta({
        description: "Largest UDP payload size, octets.",
      }),
    })
    .meta({ description: "About EDNS (RFC 6891)." }),
  "client-rate": z
    .strictObject({ "per-second": perSecond, burst, masks: ownMasks })
    .meta({ description: "The client asks more than this." }),
  "name-rate": z
    .strictObject({
      "per-second": perSecond,
      burst,
      labels: z.number().int().min(0).max(127).default(0).meta({
        description:
          "Labels from the right that are counted as one name, such as 2 for example.com. 0: the whole name.",
      }),
    })
    .meta({ description: "The name is asked for more often than this, by whomever." }),
  pool: z
    .strictObject({
      name: z.string().meta({ description: "A pool of backends." }),
      state: z
        .enum(["down", "saturated"])
        .meta({ description: "down: no backend is up; saturated: all places are taken." }),
    })
    .meta({ description: "State of a pool." }),
  time: z
    .strictObject({
      days: z
        .array(z.enum(["sun", "mon", "tue", "wed", "thu", "fri", "sat"]))
        .default([])
        .meta({
          description: "Days of the week; a night belongs to the day on which it begins. Empty: all.",
        }),
      from: text(tryParseTimeOfDay, "08:00").optional().meta({ description: "Begin of the time of day." }),
      to: text(tryParseTimeOfDay, "18:00").optional().meta({
        description: "Its end; before `from` it is on the next day.",
      }),
      "utc-offset": text(tryParseUtcOffset, "+01:00").default("+00:00").meta({
        description: "Whose days and times these are; there is no summer time.",
      }),
      after: moment("20261123120000").optional().meta({ description: "First moment, YYYYMMDDHHMMSS, UTC." }),
      before: moment("20261224000000").optional().meta({ description: "First moment after it, UTC." }),
    })
    .meta({ description: "When." }),
  tag: z.array(label()).min(1).meta({ description: "Tags, one of which an earlier rule has set." }),
  "name-length": range(254, "Octets of the name on the wire, without the root."),
  labels: range(127, "Number of labels of the name."),
  chance: z
    .number()
    .min(0)
    .max(1)
    .meta({ description: "Part of the queries that chance takes, such as 0.01." }),
};

const plain = z.strictObject(conditions).partial();
const whenSettings = plain
  .extend({
    not: plain.optional().meta({ description: "Not all of these hold." }),
    any: z.array(plain).min(1).optional().meta({ description: "One of these holds." }),
  })
  .meta({ description: "What must hold, all of it; lists mean one of. Empty: all queries." });

const ede = z.number().int().min(0).max(65_535).optional().meta({
  description: "Code of an extended error that tells why (RFC 8914), such as 15, blocked, or 18, prohibited.",
});
const edeText = z.string().max(128).optional().meta({ description: "Its text for people." });
const isDone = (description: string): z.ZodOptional<z.ZodLiteral<true>> =>
  z.literal(true).optional().meta({ description });

const actions = z.strictObject({
  allow: isDone("Answers as usual; no further rule is asked."),
  refuse: z
    .strictObject({
      rcode: text(tryParseRcode, "REFUSED").default("REFUSED").meta({ description: "Response code." }),
      ede,
      text: edeText,
    })
    .optional()
    .meta({ description: "Answers with a response code and no records." }),
  drop: isDone("Does not answer."),
  truncate: isDone(
    "Over UDP answers with TC, which sends the client to TCP; over streams nothing is done and the next rule asked.",
  ),
  answer: z
    .strictObject({
      records: z.array(z.string()).default([]).meta({
        description:
          "Records in zone file form with owner @, such as `@ 300 A 192.0.2.1`. None of the asked type: NODATA. What an alias leads to is asked in the first pool, and both are the answer.",
      }),
      rcode: text(tryParseRcode, "NXDOMAIN").default("NOERROR").meta({ description: "Response code." }),
      ttl: duration()
        .default("60s")
        .meta({ description: "For records without one, and for negative answers." }),
      ede,
      text: edeText,
    })
    .optional()
    .meta({ description: "Answers from here." }),
  policy: z.strictObject({ ede, text: edeText }).optional().meta({
    description:
      "Does what the set says in which the name was found (rpz): NXDOMAIN, NODATA, drop, TCP only, pass, records. Other sets: NXDOMAIN.",
  }),
  route: z.string().optional().meta({ description: "Asks this pool; no further rule is asked." }),
  "rate-limit": z
    .strictObject({
      "per-second": perSecond,
      burst,
      masks: ownMasks,
      action: z.enum(["refuse", "drop", "truncate"]).default("refuse").meta({
        description: "What a client gets that asks more. truncate does nothing over streams.",
      }),
    })
    .optional()
    .meta({
      description: "Ends the walk for clients that ask more than this; for others the next rule is asked.",
    }),
  delay: duration().optional().meta({
    description:
      "Answers later, whatever the answer is, but for zone transfers; all rules together at most 5s, and for at most half of the 50,000 queries that can wait.",
  }),
  "set-options": z
    .array(
      z.strictObject({
        option: option,
        data: text(tryParseHex, "00ff").default("").meta({ description: "Octets in hexadecimal." }),
      }),
    )
    .default([])
    .meta({ description: "EDNS options towards the backend, in place of the client's." }),
  "strip-options": z
    .array(option)
    .default([])
    .meta({ description: "EDNS options that backends do not get." }),
  "client-subnet": z
    .strictObject({
      set: z.union([z.enum(["client", "strip"]), prefix()]).meta({
        description: "client: the client's prefix; strip: none; or a fixed prefix, such as 0.0.0.0/0.",
      }),
      ipv4: z
        .number()
        .int()
        .min(0)
        .max(32)
        .default(24)
        .meta({ description: "Bits of an IPv4 client (RFC 7871 §11.1)." }),
      ipv6: z.number().int().min(0).max(128).default(56).meta({ description: "Bits of an IPv6 client." }),
    })
    .optional()
    .meta({ description: "EDNS client subnet towards the backend." }),
  tag: z.array(label()).default([]).meta({ description: "Tags that later rules can ask for." }),
  log: isDone("Writes a line, whatever becomes of the query."),
  tee: z.array(z.string()).default([]).meta({
    description:
      "Pools that get a copy of the query, whatever becomes of it, and whose answers nobody waits for. Zone transfers are not copied.",
  }),
  ban: z
    .strictObject({
      for: duration()
        .default("1m")
        .meta({ description: "Length of the first ban; each one after it is twice as long." }),
      max: duration()
        .default("1h")
        .meta({ description: "Longest ban, and how long it takes until all is forgotten." }),
      masks: ownMasks,
    })
    .optional()
    .meta({ description: "The client gets nothing for a while." }),
});

const rule = z.strictObject({
  name: label().meta({ description: "For counters, logs and `sotto front explain`." }),
  when: whenSettings.prefault({}),
  // biome-ignore lint/suspicious/noThenProperty: the word of the file; it is never a function, so nobody takes it for a promise.
  then: actions.meta({
    description:
      "What is done; at most one of allow, refuse, drop, truncate, answer, policy, route, rate-limit.",
  }),
});

const clients = z.strictObject({
  masks: masks.prefault({}).meta({ description: "What makes a client." }),
  "queries-per-second": z.number().min(0).default(0).meta({
    description: "Queries per second of one client. 0: no limit.",
  }),
  burst: burst,
  "over-limit": z.enum(["refuse", "drop", "truncate"]).default("refuse").meta({
    description: "What a client gets that asks more. truncate does nothing over streams.",
  }),
  "ban-after": z.number().int().min(0).default(0).meta({
    description: "Queries over the limit within a minute after which the client is banned. 0: never.",
  }),
  "ban-for": duration()
    .default("1m")
    .meta({ description: "Length of the first ban; each one after it is twice as long." }),
  "ban-max": duration().default("1h").meta({
    description: "Longest ban, and how long it takes until all is forgotten.",
  }),
  banned: z.enum(["refuse", "drop"]).default("drop").meta({ description: "What banned clients get." }),
});

/** The three sections, to be put into the settings of `sotto front`. */
export const frontRuleSections = {
  sets: z
    .array(set)
    .max(1000)
    .default([])
    .meta({ description: "Sets of addresses and names that rules can ask for." }),
  rules: z.array(rule).max(1000).default([]).meta({
    description: "Access control: rules in order, the first that ends the walk decides.",
  }),
  clients: clients.prefault({}).meta({ description: "Limits of each client, before all rules." }),
};

const sections = z.strictObject(frontRuleSections);
/** The checked sections. */
export type FrontRuleSettings = z.infer<typeof sections>;
export type RuleSettings = FrontRuleSettings["rules"][number];
export type ConditionSettings = z.infer<typeof plain>;
export type WhenSettings = RuleSettings["when"];
