export { controlCommands } from "./control.ts";
export type { ForwardZoneStatus, UpstreamStatus } from "./forwarders.ts";
export type { OpenListener } from "./listeners.ts";
export type { OpeningStatus, PortalStatus } from "./portal.ts";
export { type RunningServer, type StartOptions, startRecursor } from "./recursor-daemon.ts";
export type { StubStatus } from "./stub-status.ts";
