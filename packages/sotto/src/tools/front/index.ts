export { runFrontExplain } from "./explain.ts";
export { runFrontStatus } from "./status.ts";
