/** Networks whose clients are counted otherwise, in the words of the file: the same for limits of connections and of queries. */
import { CLIENT_EXCEPTIONS_MAX } from "@sotto/dns/transport";
import { z } from "zod";
import { prefix } from "./setting-types.ts";

/** A list of them; `limited` says what a factor is for. */
export const clientExceptions = (limited: string) =>
  z
    .array(
      z.strictObject({
        prefix: prefix().meta({ description: "Whose clients are counted otherwise; the longest counts." }),
        bits: z
          .number()
          .int()
          .min(0)
          .max(128)
          .optional()
          .meta({ description: "Bits that make a client there." }),
        factor: z
          .number()
          .min(0.001)
          .max(1_000_000)
          .optional()
          .meta({
            description: `So many times ${limited}: for the addresses of a carrier's NAT, behind which many share one.`,
          }),
      }),
    )
    .max(CLIENT_EXCEPTIONS_MAX)
    .default([])
    .meta({ description: "Networks of their own kind, such as those behind carrier-grade NAT." });
