export { buildPipeline } from "./pipeline.ts";
export { QueryService } from "./query-service.ts";
