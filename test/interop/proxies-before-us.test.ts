/**
 * TLS front ends and load balancers before our server: by the PROXY protocol it knows the real clients, which access control
 * shows. Clients come from 127.0.0.7 (allowed) and 127.0.0.8 (not); the proxies' own 127.0.0.1 may ask nothing itself.
 */
import assert from "node:assert/strict";
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { LOCAL_DATA, type OurServer, startOurServer, startServerFrom } from "./our-server.ts";
import { freePort, peerTest, runCommand, startPeer } from "./peers.ts";

const ACCESS = "access: { allow: [127.0.0.7/32] }";
const NAME = "n1.corp.example";

/** Asks from an address; `how` are kdig's options for port and transport. */
async function askFrom(address: string, how: readonly string[]): Promise<string> {
  const result = await runCommand("kdig", ["@127.0.0.1", "-b", address, "+time=3", "+retry=0", ...how, NAME]);
  return result.stdout + result.stderr;
}

/** The allowed client gets its answer, the other one REFUSED with extended error 18. */
async function assertClientsAreKnown(what: string, how: readonly string[]): Promise<void> {
  const allowed = await askFrom("127.0.0.7", [...how, "+edns"]);
  assert.match(allowed, /status: NOERROR/, `${what}: ${allowed}`);
  assert.match(allowed, /192\.0\.2\.1\b/, what);
  const denied = await askFrom("127.0.0.8", [...how, "+edns"]);
  assert.match(denied, /status: REFUSED/, `${what}: ${denied}`);
  assert.match(denied, /EDE: 18|Prohibited/, `${what}: ${denied}`);
}

/** Until the proxy takes connections to which our server answers at all. */
function isUp(how: readonly string[]): () => Promise<boolean> {
  return async () => /status: (NOERROR|REFUSED)/.test(await askFrom("127.0.0.7", how));
}

const proxied = (place?: string): string =>
  `, proxy: { from: [127.0.0.1]${place === undefined ? "" : `, place: ${place}`} }`;

/** A certificate and its key in one file, as haproxy wants it. */
function combined({ folder, certificateFile, keyFile }: OurServer): string {
  const file = join(folder, "combined.pem");
  copyFileSync(certificateFile, file);
  appendFileSync(file, readFileSync(keyFile));
  return file;
}

peerTest(
  "haproxy, PROXY v2: TLS passed through with the header before it, and TLS ended there [8932-5.1.8]",
  ["haproxy", "kdig"],
  async (context) => {
    const ours = await startOurServer(context, { more: proxied(), settings: ACCESS });
    const [pass, ended] = [await freePort(), await freePort()];
    const file = join(ours.folder, "haproxy.cfg");
    writeFileSync(
      file,
      `global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend pass
  bind 127.0.0.1:${pass}
  default_backend sotto-tls
backend sotto-tls
  server s 127.0.0.1:${ours.port("tls")} send-proxy-v2
frontend ended
  bind 127.0.0.1:${ended} ssl crt ${combined(ours)} alpn dot
  default_backend sotto-tcp
backend sotto-tcp
  server s 127.0.0.1:${ours.port("tcp")} send-proxy-v2
`,
    );
    const peer = await startPeer(
      "/usr/sbin/haproxy",
      ["-db", "-f", file],
      isUp(["+tls", "-p", String(pass)]),
    );
    try {
      for (const [what, port] of [
        ["passed through", pass],
        ["ended", ended],
      ] as const)
        await assertClientsAreKnown(what, [
          "+tls",
          `+tls-ca=${ours.caFile}`,
          "+tls-hostname=dns.example",
          "-p",
          String(port),
        ]);
    } finally {
      await peer.stop();
    }
  },
);

peerTest("nginx, PROXY v1: TLS ended there, and TLS passed through", ["nginx", "kdig"], async (context) => {
  const ours = await startOurServer(context, { more: proxied(), settings: ACCESS });
  const [ended, pass] = [await freePort(), await freePort()];
  const file = join(ours.folder, "nginx.conf");
  writeFileSync(
    file,
    `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
pid ${ours.folder}/nginx.pid;
error_log stderr;
worker_processes 1;
events { worker_connections 64; }
stream {
  proxy_protocol on;
  server { listen 127.0.0.1:${ended} ssl; ssl_certificate ${ours.certificateFile}; ssl_certificate_key ${ours.keyFile}; proxy_pass 127.0.0.1:${ours.port("tcp")}; }
  server { listen 127.0.0.1:${pass}; proxy_pass 127.0.0.1:${ours.port("tls")}; }
}
`,
  );
  const peer = await startPeer("/usr/sbin/nginx", ["-c", file], isUp(["+tls", "-p", String(ended)]));
  try {
    for (const [what, port] of [
      ["ended", ended],
      ["passed through", pass],
    ] as const)
      await assertClientsAreKnown(what, ["+tls", "-p", String(port)]);
  } finally {
    await peer.stop();
  }
});

peerTest("stunnel, PROXY v1", ["stunnel4", "kdig"], async (context) => {
  const ours = await startOurServer(context, { more: proxied(), settings: ACCESS });
  const port = await freePort();
  const file = join(ours.folder, "stunnel.conf");
  writeFileSync(
    file,
    `foreground = yes
pid =
[dot]
accept = 127.0.0.1:${port}
connect = 127.0.0.1:${ours.port("tcp")}
cert = ${ours.certificateFile}
key = ${ours.keyFile}
protocol = proxy
`,
  );
  const peer = await startPeer("/usr/bin/stunnel4", [file], isUp(["+tls", "-p", String(port)]));
  try {
    await assertClientsAreKnown("ended", ["+tls", "-p", String(port)]);
  } finally {
    await peer.stop();
  }
});

for (const [what, place, backend] of [
  ["UDP and TCP", undefined, ""],
  ["TLS, with the header inside", "inside-tls", ", tls = 'openssl', validateCertificates = false"],
] as const) {
  peerTest(`dnsdist, PROXY v2 over ${what}`, ["dnsdist", "kdig"], async (context) => {
    // The inside of TLS can only be meant on the TLS listener: the others have none.
    const ours = await startOurServer(context, { more: proxied(), settings: ACCESS });
    const tls = place === undefined ? undefined : await startInsideTls(context, ours);
    const port = await freePort();
    const file = join(ours.folder, "dnsdist.conf");
    const backendPort = tls ?? ours.port("udp");
    writeFileSync(
      file,
      `setLocal('127.0.0.1:${port}', { maxInFlight = 100 })
setACL({ '127.0.0.0/8' })
setSecurityPollSuffix('')
newServer({ address = '127.0.0.1:${backendPort}', useProxyProtocol = true, healthCheckMode = 'up', maxInFlight = 100${backend} }):setUp()
`,
    );
    const args = ["--supervised", "--disable-syslog", "-C", file];
    const peer = await startPeer("/usr/bin/dnsdist", args, isUp(["-p", String(port)]));
    try {
      await assertClientsAreKnown("UDP to dnsdist", ["-p", String(port)]);
      await assertClientsAreKnown("TCP to dnsdist", ["+tcp", "-p", String(port)]);
    } finally {
      await peer.stop();
    }
  });
}

/** A second server whose TLS listener expects the header inside. */
async function startInsideTls(context: TestContext, { folder }: OurServer): Promise<number> {
  const listener = `{ transport: tls, address: 127.0.0.1, port: 0, certificate: server.pem, key: server.key${proxied("inside-tls")} }`;
  const server = await startServerFrom(context, folder, `listen: [${listener}]\n${LOCAL_DATA}\n${ACCESS}\n`);
  return server.listeners[0]?.local.port ?? 0;
}
