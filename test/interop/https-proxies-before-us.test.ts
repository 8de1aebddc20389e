/** nginx and haproxy before an https listener: they end TLS and name the client in a field, or pass TLS through with a PROXY header. */
import assert from "node:assert/strict";
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { AUTH_NAME, LOCAL_DATA, NAMES, startServerFrom, writeIdentity } from "./our-server.ts";
import { freePort, peerTest, runCommand, startPeer, temporaryFolder } from "./peers.ts";

/** Who may ask; the proxy itself, 127.0.0.1, may not. */
const CLIENT = "127.0.0.5";

/** Writes the configuration of a proxy on `port` before ours, and gives its command. */
type Proxy = (folder: string, port: number, ours: number) => readonly string[];

const nginx: Proxy = (folder, port, ours) => {
  const file = join(folder, "nginx.conf");
  writeFileSync(
    file,
    `daemon off;
pid ${folder}/nginx.pid;
error_log stderr;
worker_processes 1;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  upstream ours { server 127.0.0.1:${ours}; keepalive 4; }
  server {
    listen 127.0.0.1:${port} ssl http2;
    ssl_certificate ${folder}/server.pem; ssl_certificate_key ${folder}/server.key;
    location / {
      proxy_pass http://ours;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}
`,
  );
  return ["/usr/sbin/nginx", "-c", file];
};

/** With `passes` TLS goes through, behind a PROXY header; else it ends here and HTTP/2 goes on in clear. */
const haproxy =
  (passes: boolean): Proxy =>
  (folder, port, ours) => {
    const file = join(folder, "haproxy.cfg");
    const pem = join(folder, "combined.pem");
    copyFileSync(join(folder, "server.pem"), pem);
    appendFileSync(pem, readFileSync(join(folder, "server.key")));
    writeFileSync(
      file,
      `global
  maxconn 100
defaults
  mode ${passes ? "tcp" : "http"}
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend doh
  bind 127.0.0.1:${port} ${passes ? "" : `ssl crt ${pem} alpn h2,http/1.1`}
  ${passes ? "" : "option forwardfor"}
  default_backend ours
backend ours
  server s 127.0.0.1:${ours} ${passes ? "send-proxy-v2" : "proto h2"}
`,
    );
    return ["/usr/sbin/haproxy", "-db", "-f", file];
  };

async function check(context: TestContext, proxy: Proxy, listener: string): Promise<void> {
  const folder = temporaryFolder(context);
  await writeIdentity(folder);
  const server = await startServerFrom(
    context,
    folder,
    `listen: [{ transport: https, address: 127.0.0.1, port: 0, ${listener} }]
access: { allow: [${CLIENT}/32] }
${LOCAL_DATA}
`,
  );
  const port = await freePort();
  const [program = "", ...args] = proxy(folder, port, server.listeners[0]?.local.port ?? 0);
  const url = `https://127.0.0.1:${port}/dns-query`;
  const peer = await startPeer(program, args, async () => {
    const probe = await runCommand("curl", ["--silent", "--insecure", "--output", "/dev/null", url]);
    return probe.code === 0;
  });
  context.after(() => peer.stop());
  const to = ["@127.0.0.1", "-p", String(port), "+https", `+tls-ca=${join(folder, "ca.pem")}`];
  const ask = (from: string, name: string) =>
    runCommand("kdig", [...to, `+tls-hostname=${AUTH_NAME}`, "-b", from, "+padding", name]);
  for (const [i, name] of NAMES.slice(0, 3).entries()) {
    const { stdout, stderr } = await ask(CLIENT, name);
    assert.match(stdout, new RegExp(`192\\.0\\.2\\.${i + 1}\\n`), stderr);
    assert.match(stdout, /;; Received 468 B/);
  }
  for (const other of ["127.0.0.1", "127.0.0.6"])
    assert.match((await ask(other, NAMES[0] ?? "")).stdout, /status: REFUSED/, other);
}

const BEHIND = "tls: off, proxy: { from: [127.0.0.1], place: http-header }";

peerTest("behind nginx, which asks us by HTTP/1.1 in clear", ["nginx", "kdig", "curl"], (context) =>
  check(context, nginx, BEHIND),
);

peerTest("behind haproxy, which asks us by HTTP/2 in clear", ["haproxy", "kdig", "curl"], (context) =>
  check(context, haproxy(false), BEHIND),
);

peerTest(
  "behind haproxy, which passes TLS through with a PROXY header",
  ["haproxy", "kdig", "curl"],
  (context) =>
    check(context, haproxy(true), "proxy: { from: [127.0.0.1] }, certificate: server.pem, key: server.key"),
);
