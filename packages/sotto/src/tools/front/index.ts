export { runFrontBans } from "./bans.ts";
export { runFrontExplain } from "./explain.ts";
export { runFrontStatus } from "./status.ts";
