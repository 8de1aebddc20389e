/** What most programs need: the stub resolver, and names for what it gives. Everything else has a subpath of its own. */
export { DnsError, type DnsErrorCode } from "@sotto/dns/runtime";
export * from "@sotto/dns/stub";
export type { Message, ResourceRecord } from "@sotto/dns/wire";
export { Rcode, RRType, recordToText } from "@sotto/dns/wire";
