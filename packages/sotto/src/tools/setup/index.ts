export { runStubSetup } from "./setup.ts";
