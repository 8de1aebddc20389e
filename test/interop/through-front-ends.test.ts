/**
 * Our client and our forwarder ask through TLS front ends: nginx, haproxy and stunnel before Debian's unbound, which sees TCP.
 * Stubby is the other way round: it listens in clear and asks over TLS.
 */
import assert from "node:assert/strict";
import { appendFileSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { ask } from "./ask-json.ts";
import { startServerFrom } from "./our-server.ts";
import { freePort, peerTest, runCommand, startPeer, temporaryFolder } from "./peers.ts";
import { type ForeignServer, startForeignServer } from "./servers.ts";

/** Writes the configuration of a front end that ends TLS on `port`, and gives its command. */
type FrontEnd = (server: ForeignServer, folder: string, port: number) => readonly string[];

const certificate = (folder: string): string => join(folder, "unbound", "cert.pem");
const key = (folder: string): string => join(folder, "unbound", "key.pem");

const nginx: FrontEnd = (server, folder, port) => {
  const file = join(folder, "nginx.conf");
  writeFileSync(
    file,
    `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
pid ${folder}/nginx.pid;
error_log stderr;
worker_processes 1;
events { worker_connections 64; }
stream {
  server { listen 127.0.0.1:${port} ssl; ssl_certificate ${certificate(folder)}; ssl_certificate_key ${key(folder)}; proxy_pass 127.0.0.1:${server.port}; }
}
`,
  );
  return ["/usr/sbin/nginx", "-c", file];
};

const haproxy: FrontEnd = (server, folder, port) => {
  const file = join(folder, "haproxy.cfg");
  const pem = join(folder, "combined.pem");
  copyFileSync(certificate(folder), pem);
  appendFileSync(pem, readFileSync(key(folder)));
  writeFileSync(
    file,
    `global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend dot
  bind 127.0.0.1:${port} ssl crt ${pem} alpn dot
  default_backend unbound
backend unbound
  server s 127.0.0.1:${server.port}
`,
  );
  return ["/usr/sbin/haproxy", "-db", "-f", file];
};

const stunnel: FrontEnd = (server, folder, port) => {
  const file = join(folder, "stunnel.conf");
  writeFileSync(
    file,
    `foreground = yes
pid =
[dot]
accept = 127.0.0.1:${port}
connect = 127.0.0.1:${server.port}
cert = ${certificate(folder)}
key = ${key(folder)}
`,
  );
  return ["/usr/bin/stunnel4", file];
};

/** Four names by name, on one authenticated connection; nothing for another name or another key. */
async function checkClient(server: ForeignServer, port: number): Promise<void> {
  const strict = ["+tls", `+tls-ca=${server.caFile}`];
  const names = ["www.interop.example", "mail.interop.example", "MX", "alias.interop.example"];
  for (const mode of ["+keepopen", "+pipeline"]) {
    const good = await ask(port, [...strict, `+tls-hostname=${server.authName}`, mode, ...names]);
    assert.equal(good.code, 0, good.stderr);
    assert.deepEqual(good.replies.map(({ message }) => message.answerRRs?.length).sort(), [1, 2, 3], mode);
    for (const { exchange } of good.replies) assert.equal(exchange.protection, "authenticated");
    if (mode === "+keepopen")
      assert.deepEqual(
        good.replies.map(({ exchange }) => exchange.connectionReused),
        [false, true, true],
      );
  }
  for (const claim of [[...strict, "+tls-hostname=other.example"], [`+tls-pin=${"A".repeat(43)}=`]])
    assert.equal((await ask(port, [...claim, "www.interop.example"])).code, 20);
}

/** A server of ours that forwards everything to `upstream`, asked with kdig; gives what kdig printed. */
async function askForwarder(context: TestContext, folder: string, upstream: string): Promise<string> {
  const port = await freePort();
  const settings = `listen:\n  - { transport: udp, address: 127.0.0.1, port: ${port} }\nforward-zones:\n  - { name: ., upstreams: ["${upstream}"] }\ndnssec: { validation: false }\n`;
  await startServerFrom(context, folder, settings);
  const args = ["@127.0.0.1", "-p", String(port), "+time=8", "+retry=0", "+noedns", "+ignore"];
  return (await runCommand("kdig", [...args, "www.interop.example", "mail.interop.example", "MX"])).stdout;
}

for (const [name, program, frontEnd] of [
  ["nginx", "nginx", nginx],
  ["haproxy", "haproxy", haproxy],
  ["stunnel", "stunnel4", stunnel],
] as const) {
  peerTest(
    `client and forwarder ask unbound through ${name}, authenticated [8310-6.6-c]`,
    [program, "unbound", "kdig"],
    async (context) => {
      const folder = temporaryFolder(context);
      const server = await startForeignServer("unbound", folder);
      try {
        const port = await freePort();
        const [command = "", ...args] = frontEnd(server, folder, port);
        const peer = await startPeer(command, args, async () => {
          return (await ask(port, ["+tls", "+time=1", "+tries=1", "www.interop.example"])).code === 0;
        });
        try {
          await checkClient(server, port);
          const pin = `?pin=sha256:${server.pin}`;
          const good = await askForwarder(context, folder, `tls://127.0.0.1:${port}${pin}`);
          assert.match(good, /192\.0\.2\.1\b[\s\S]*10 www\.interop\.example\./);
          const wrong = await askForwarder(
            context,
            folder,
            `tls://127.0.0.1:${port}?pin=sha256:${"A".repeat(43)}=`,
          );
          assert.equal(wrong.match(/status: SERVFAIL/g)?.length, 2, wrong);
        } finally {
          await peer.stop();
        }
      } finally {
        await server.peer.stop();
      }
    },
  );
}

peerTest(
  "client and forwarder ask stubby over UDP and TCP, which asks unbound over TLS",
  ["stubby", "unbound", "kdig"],
  async (context) => {
    const folder = temporaryFolder(context);
    const server = await startForeignServer("unbound", folder);
    try {
      const port = await freePort();
      mkdirSync(join(folder, "stubby"));
      const file = join(folder, "stubby.yml");
      writeFileSync(
        file,
        `resolution_type: GETDNS_RESOLUTION_STUB
dns_transport_list: [ GETDNS_TRANSPORT_TLS ]
tls_authentication: GETDNS_AUTHENTICATION_REQUIRED
idle_timeout: 9000
appdata_dir: "${folder}/stubby"
listen_addresses: [ 127.0.0.1@${port} ]
upstream_recursive_servers:
  - address_data: 127.0.0.1
    tls_port: ${server.tlsPort}
    tls_pubkey_pinset: [ { digest: "sha256", value: ${server.pin} } ]
`,
      );
      const peer = await startPeer("/usr/bin/stubby", ["-C", file], async () => {
        return (await ask(port, ["+time=1", "+tries=1", "www.interop.example"])).code === 0;
      });
      try {
        const names = ["www.interop.example", "alias.interop.example"];
        for (const how of ["+notcp", "+tcp"]) {
          const { replies } = await ask(port, [how, "+keepopen", ...names]);
          assert.deepEqual(
            replies.map(({ message }) => message.answerRRs?.length),
            [2, 3],
            how,
          );
        }
        for (const transport of ["udp", "tcp"]) {
          const forwarded = await askForwarder(context, folder, `${transport}://127.0.0.1:${port}`);
          assert.match(forwarded, /192\.0\.2\.1\b[\s\S]*10 www\.interop\.example\./, transport);
        }
      } finally {
        await peer.stop();
      }
    } finally {
      await server.peer.stop();
    }
  },
);
