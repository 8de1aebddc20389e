/**
 * The configurations of the peers, alike in what matters: one thread, answers from warm caches, no validation, no logging of queries,
 * no limit that the load would meet, idle connections kept.
 */
import type { Endpoints, Site } from "./servers.ts";
import { ZONE } from "./zone.ts";

export function unboundConfig(site: Site, { address, port, tlsPort }: Endpoints): string {
  // It reserves a descriptor for each TCP slot and listener: with many slots it gets the one listener that is used.
  const clear = site.only === "tls" ? "" : `  interface: ${address}@${port}\n`;
  return `server:
  directory: "${site.folder}"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  log-queries: no
  num-threads: 1
${clear}  interface: ${address}@${tlsPort}
  tls-port: ${tlsPort}
  tls-service-key: "${site.keyFile}"
  tls-service-pem: "${site.certificateFile}"
  incoming-num-tcp: ${site.connectionsMax}
  tcp-idle-timeout: 600000
  edns-tcp-keepalive: yes
  edns-tcp-keepalive-timeout: 600000
  outgoing-range: 4096
  num-queries-per-thread: 4096
  msg-cache-size: 256m
  rrset-cache-size: 512m
  so-rcvbuf: 4m
  so-sndbuf: 4m
  module-config: "iterator"
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  do-ip6: no
  ratelimit: 0
  ip-ratelimit: 0
remote-control:
  control-enable: no
stub-zone:
  name: "${ZONE}"
  stub-addr: ${site.authority.address}@${site.authority.port}
`;
}

export function namedConfig(site: Site, { address, port, tlsPort }: Endpoints): string {
  return `options {
  directory "${site.folder}";
  pid-file none;
  session-keyfile none;
  lock-file none;
  managed-keys-directory "${site.folder}";
  listen-on port ${port} { ${address}; };
  listen-on port ${tlsPort} tls bench { ${address}; };
  listen-on-v6 { none; };
  allow-query { any; };
  allow-recursion { any; };
  allow-query-cache { any; };
  recursion yes;
  dnssec-validation no;
  minimal-responses yes;
  empty-zones-enable no;
  querylog no;
  tcp-clients ${site.connectionsMax};
  tcp-listen-queue 4096;
  recursive-clients 20000;
  tcp-idle-timeout 1200;
  tcp-keepalive-timeout 6000;
  tcp-advertised-timeout 6000;
  max-cache-size 1g;
  clients-per-query 0;
  max-clients-per-query 0;
};
tls bench { cert-file "${site.certificateFile}"; key-file "${site.keyFile}"; };
controls { };
logging { category default { null; }; category queries { null; }; };
zone "${ZONE}" { type forward; forward only; forwarders { ${site.authority.address} port ${site.authority.port}; }; };
`;
}

/** With STUB it keeps answers for five seconds only, whatever their TTL, but for its least TTL. */
export function kresdConfig(site: Site, { address, port, tlsPort }: Endpoints): string {
  return `net.listen('${address}', ${port}, { kind = 'dns' })
net.listen('${address}', ${tlsPort}, { kind = 'tls' })
net.tls('${site.certificateFile}', '${site.keyFile}')
net.ipv6 = false
net.tcp_pipeline(1000)
net.tcp_in_idle(600000)
log_level('notice')
trust_anchors.remove('.')
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('priming')
modules.unload('detect_time_skew')
modules.unload('detect_time_jump')
cache.size = 512 * MB
cache.min_ttl(86400)
policy.add(policy.suffix(policy.STUB({ '${site.authority.address}@${site.authority.port}' }), policy.todnames({ '${ZONE}.' })))
`;
}

export function pdnsConfig(site: Site, { address, port }: Endpoints): string {
  return `local-address=${address}:${port}
socket-dir=${site.folder}
daemon=no
write-pid=no
disable-syslog=yes
loglevel=4
quiet=yes
log-common-errors=no
threads=1
pdns-distributes-queries=no
distributor-threads=0
dnssec=off
hint-file=no
security-poll-suffix=
allow-from=127.0.0.0/8
dont-query=
forward-zones=${ZONE}=${site.authority.address}:${site.authority.port}
max-tcp-clients=${site.connectionsMax}
max-tcp-per-client=0
max-tcp-queries-per-connection=0
max-concurrent-requests-per-tcp-connection=1000
client-tcp-timeout=600
max-mthreads=16000
max-cache-entries=2000000
max-packetcache-entries=1000000
packetcache-ttl=86400
statistics-interval=0
edns-outgoing-bufsize=1232
network-timeout=3000
`;
}

export function dnsdistConfig(site: Site, { address, port, tlsPort }: Endpoints): string {
  const listener = "tcpListenQueueSize = 4096, maxInFlight = 1000";
  return `setLocal('${address}:${port}', { ${listener} })
addTLSLocal('${address}:${tlsPort}', '${site.certificateFile}', '${site.keyFile}', { provider = 'openssl', ${listener} })
setACL({ '127.0.0.0/8' })
setSecurityPollSuffix('')
setMaxTCPClientThreads(1)
setMaxTCPQueriesPerConnection(0)
setMaxTCPConnectionDuration(0)
setMaxTCPConnectionsPerClient(0)
setMaxTCPQueuedConnections(20000)
setTCPRecvTimeout(600)
setTCPSendTimeout(10)
setVerboseHealthChecks(false)
newServer({ address = '${site.authority.address}:${site.authority.port}', name = 'bench', checkName = '${ZONE}.', checkType = 'SOA', maxInFlight = 1000 })
getPool(''):setCache(newPacketCache(1000000, { maxTTL = 86400, numberOfShards = 1 }))
`;
}

/** The zone file stands in the folder. */
export function nsdConfig(site: Site, { address, port }: Endpoints): string {
  return `server:
  server-count: 1
  ip-address: ${address}@${port}
  username: ""
  chroot: ""
  zonesdir: "${site.folder}"
  database: ""
  pidfile: "${site.folder}/nsd.pid"
  xfrdfile: "${site.folder}/xfrd.state"
  zonelistfile: "${site.folder}/zone.list"
  xfrdir: "${site.folder}"
  logfile: "${site.folder}/nsd.log"
  tcp-count: 1000
  tcp-query-count: 0
  tcp-timeout: 600
  send-buffer-size: 4194304
  receive-buffer-size: 4194304
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: ${ZONE}
  zonefile: ${ZONE}.zone
`;
}
