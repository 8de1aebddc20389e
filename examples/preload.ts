/**
 * For programs that cannot be changed: loaded before them and before their worker threads, by NODE_OPTIONS in child processes, too.
 * `--require`, because `--import` does not reach workers that are given their program as text.
 * Run: DNS_UPSTREAMS="tls://dns.example?ip=192.0.2.53" node --conditions=source --require ./examples/preload.ts PROGRAM
 */
import { install } from "@sotto/dns/node-dns";

const upstreams = process.env["DNS_UPSTREAMS"]?.split(/\s+/).filter((text) => text !== "");
// Without upstreams a program must not run on in clear.
if (upstreams === undefined || upstreams.length === 0) throw new Error("DNS_UPSTREAMS is not set");
install({ upstreams, profile: "strict" });
