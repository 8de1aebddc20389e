import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { ProgramIo } from "../operations/index.ts";
import { runCheck } from "./check.ts";
import { runShow } from "./show.ts";

/** Every key of Stubby's file and of its servers, as its documentation has them, each with a value that it gives. */
const EVERY_KEY = `resolution_type: GETDNS_RESOLUTION_STUB
dns_transport_list:
  - GETDNS_TRANSPORT_TLS
tls_authentication: GETDNS_AUTHENTICATION_REQUIRED
tls_query_padding_blocksize: 128
edns_client_subnet_private : 1
idle_timeout: 9000
tls_connection_retries: 5
tls_backoff_time: 900
limit_outstanding_queries: 100
timeout: 2500
tls_ca_path: "/etc/ssl/certs/"
tls_cipher_list: "EECDH+AESGCM:EECDH+CHACHA20"
tls_ciphersuites: "TLS_AES_256_GCM_SHA384"
tls_min_version: GETDNS_TLS1_2
tls_max_version: GETDNS_TLS1_3
round_robin_upstreams: 1
appdata_dir: "/var/cache/stubby"
trust_anchors_backoff_time: 2500
dnssec_trust_anchors: "/etc/unbound/getdns-root.key"
dnssec: GETDNS_EXTENSION_TRUE
dnssec_return_status: GETDNS_EXTENSION_TRUE
log_level: GETDNS_LOG_ERR
listen_addresses:
  - 127.0.0.1@5353
  -  0::1@5353
upstream_recursive_servers:
  - address_data: 192.0.2.1
    tls_auth_name: "dns.example"
    tls_port: 8853
    tls_pubkey_pinset:
      - digest: "sha256"
        value: 62lKu9HsDVbyiPenApnc4sfmSYTHOVfFgL3pyB+cBL4=
      - digest: "sha256"
        value: foxZRnIh9gZpWnl+zEiKa0EJ2rdCGroMWm02gaxSc9Q=
  - address_data: 2001:db8::1
    tls_auth_name: "dns.example"
`;

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function say(run: (io: ProgramIo) => Promise<number>): Promise<Said> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await run({
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    onSignal: () => () => undefined,
  });
  return { code, out: out.join(""), err: err.join("") };
}

function fileOf(context: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "sotto-show-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "stubby.yml");
  writeFileSync(file, text);
  return file;
}

const show = (file: string): Promise<Said> => say((io) => runShow(["--effective", "--config", file], io));

test("stubby.yml with every documented key is shown as our own file, which means the same", async (context) => {
  const shown = await show(fileOf(context, EVERY_KEY));
  assert.equal(shown.code, 0, shown.err);
  for (const line of [
    "profile: strict",
    "choice: round-robin",
    "try-timeout: 2500ms",
    "idle-timeout: 9000ms",
  ])
    assert.match(shown.out, new RegExp(`^ +${line}$`, "m"), line);
  assert.match(shown.out, /- address: 192\.0\.2\.1\n +transport: tls\n +port: 8853\n +name: dns\.example\n/);
  assert.match(shown.out, /^dnssec:\n {2}validation: true$/m);
  assert.doesNotMatch(shown.err, /is no key of Stubby/);
  assert.match(shown.err, /stubby\.yml:13: tls_cipher_list: is passed over: .*\(warning\)$/m);
  const again = await show(fileOf(context, shown.out));
  assert.deepEqual([again.code, again.err, again.out], [0, "", shown.out]);
});

test("keys that nobody knows are told with their line, and the rest is shown", async (context) => {
  const file = fileOf(context, `tls_authentification: 1\n${EVERY_KEY}`);
  const shown = await show(file);
  assert.equal(shown.code, 0);
  assert.match(shown.err, /stubby\.yml:1: tls_authentification: is no key of Stubby that is known here/);
  assert.match(shown.out, /profile: strict/);
});

test("a check takes files of a stub, and tells what will hurt one day [7858-4.2-a]", async (context) => {
  const pin = "pin=sha256:62lKu9HsDVbyiPenApnc4sfmSYTHOVfFgL3pyB+cBL4=";
  const file = fileOf(context, `stub:\n  upstreams:\n    - tls://dns.example?ip=192.0.2.1&${pin}\n`);
  const checked = await say((io) => runCheck([file], io));
  assert.deepEqual([checked.code, checked.out], [0, `${file}: ok\n`]);
  assert.match(checked.err, /stubby\.yml:3: stub\.upstreams\[0\]: has one pin: .*\(warning\)\n$/);
});
