export { runTestServer } from "./run-testserver.ts";
