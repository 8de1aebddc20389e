/** Where the hosts file comes from. The system's is read again when it was changed, as getaddrinfo does: programs run for months. */
import { systemFileStamp, systemHosts } from "@sotto/dns/runtime/node";
import { type Hosts, NO_HOSTS, parseHosts } from "./hosts-file.ts";

/** Gives the hosts as they are now. */
export function hostsReader(source: "system" | "none" | { readonly text: string } = "system"): () => Hosts {
  if (source === "none") return () => NO_HOSTS;
  if (source !== "system") {
    const given = parseHosts(source.text);
    return () => given;
  }
  let stamp = systemFileStamp("hosts");
  let hosts = parseHosts(systemHosts());
  return () => {
    const now = systemFileStamp("hosts");
    if (now === stamp) return hosts;
    stamp = now;
    hosts = parseHosts(systemHosts());
    return hosts;
  };
}
