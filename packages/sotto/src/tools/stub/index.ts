export { type PortalCommand, runStubPortal } from "./portal.ts";
export { runStubStatus } from "./status.ts";
