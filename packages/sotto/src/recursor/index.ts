export { AnchorKeeper, type AnchorKeeperOptions } from "./anchor-keeper.ts";
export { AuthorityEncryption, type EncryptionCounters } from "./authority-encryption.ts";
export { EncryptingExchange } from "./encrypting-exchange.ts";
export { Recursor, type RecursorOptions, type RecursorUse } from "./recursor.ts";
export { ROOT_HINTS, type RootHint } from "./root-hints.ts";
export type { AddressFamily } from "./server-selection.ts";
export type { FailedEvent, StepEvent } from "./trace.ts";
