export { AccessList, type AccessOptions } from "./middleware/access-list.ts";
export type { ForwardZone } from "./middleware/forward-zones.ts";
export type { LocalZonesOptions } from "./middleware/local-zones.ts";
export type { ServerIdentity } from "./middleware/server-identity.ts";
export type { OutcomeCounters, QueryOutcome } from "./outcome-counters.ts";
export { buildPipeline, type PipelineParts } from "./pipeline.ts";
export { QueryService, type QueryServiceOptions } from "./query-service.ts";
