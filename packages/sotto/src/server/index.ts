export { AccessList, type AccessOptions } from "./middleware/access-list.ts";
export type { ForwardZone } from "./middleware/forward-zones.ts";
export type { LocalZonesOptions } from "./middleware/local-zones.ts";
export { privateRecords } from "./middleware/private-addresses.ts";
export type { ServerIdentity } from "./middleware/server-identity.ts";
export { type OutcomeCounters, OutcomeTally, type QueryOutcome, TALLY_CELLS } from "./outcome-counters.ts";
export { buildPipeline, type PipelineParts } from "./pipeline.ts";
export { QueryService, type QueryServiceOptions } from "./query-service.ts";
export type { ServerCookiesOptions } from "./server-cookies.ts";
