export { AUTH_NAME } from "./certificates.ts";
export type { ClientHello } from "./client-hello.ts";
export type { Transport } from "./fixture.ts";
export type { ConnectionRecord } from "./observations.ts";
export { runTestServer } from "./run-testserver.ts";
export { TestServer } from "./test-server.ts";
