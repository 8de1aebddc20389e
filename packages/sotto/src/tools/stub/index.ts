export { runStubStatus } from "./status.ts";
