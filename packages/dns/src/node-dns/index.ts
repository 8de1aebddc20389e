export {
  createDns,
  type MoreDns,
  type MorePromises,
  type NodeDns,
  type OriginAddress,
} from "./create-dns.ts";
export * from "./default-dns.ts";
// biome-ignore lint/style/noDefaultExport: programs write `import dns from "node:dns"`.
export { dns as default } from "./default-dns.ts";
export type { DnsException } from "./dns-exception.ts";
export { type InstalledDns, install } from "./install.ts";
export type { FoundAddress } from "./lookup.ts";
export type { ServiceBinding } from "./record-values.ts";
