import type { Events } from "@sotto/dns/runtime";
import type { QueryChannel } from "@sotto/dns/transport";
import { type MessageView, rrTypeToText } from "@sotto/dns/wire";
import type { Verdict } from "./rules/index.ts";

/** The line that rules want of a query; `poolOfAll` gets those that no rule routes. */
export function publishQuery(
  events: Events,
  { loggedBy, end, rule, pool, tags }: Verdict,
  { question }: MessageView,
  { origin }: QueryChannel,
  poolOfAll: string,
): void {
  const goesOn = end === "pass" || end === "allow";
  events.publish("front.query", {
    name: question.name.toString(),
    type: rrTypeToText(question.type),
    client: origin.remote?.address,
    transport: origin.transport,
    rules: [...loggedBy],
    end,
    endedBy: rule,
    pool: goesOn ? (pool ?? poolOfAll) : undefined,
    tags: [...tags],
  });
}
