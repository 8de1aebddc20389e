export { controlCommands } from "./control.ts";
export type { ForwardZoneStatus, UpstreamStatus } from "./forwarders.ts";
export { checkFrontSets } from "./front-check.ts";
export { frontCommands } from "./front-commands.ts";
export { type FrontStatus, type RunningFront, startFront } from "./front-daemon.ts";
export { explainFront, type SupposedQuery } from "./front-explain.ts";
export { startFrontWorkers } from "./front-group.ts";
export type { FrontPoolStatus } from "./front-pools.ts";
export type { OpenListener } from "./listeners.ts";
export type { OpeningStatus, PortalStatus } from "./portal.ts";
export { type RunningServer, type StartOptions, startRecursor } from "./recursor-daemon.ts";
export { startWorkers } from "./resolver-group.ts";
export type { SteeredFront } from "./steered-front.ts";
export type { SteeredServer } from "./steered-server.ts";
export type { StubStatus } from "./stub-status.ts";
export { WorkerEvents } from "./worker-events.ts";
export type { WorkerGroupOptions } from "./worker-group.ts";
export type {
  ClosableConnection,
  GivenConnection,
  ToldBans,
  WorkerCall,
  WorkerStart,
} from "./worker-messages.ts";
export { WorkerServer } from "./worker-server.ts";
