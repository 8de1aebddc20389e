/** The programs of the recovery runs: Debian's servers for DNS over TLS, and the stubs that ask them. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { CertificatePair } from "../../packages/sotto/src/operations/index.ts";
import { onServer } from "./recovery-network.ts";

/** Every name has this address, with a TTL of 0, so that no cache stands in for a connection. */
export const ANSWER = "192.0.2.80";
/** What certificates are for. */
export const AUTH_NAME = "dns.example";

type Command = readonly [program: string, ...args: string[]];

interface ServerFiles {
  readonly folder: string;
  readonly certificate: string;
  readonly key: string;
}

/** Over TLS, and in clear, where nobody may be tempted. */
type ServerSetup = (address: string, files: ServerFiles, idleMs: number | undefined) => Command;

const unbound: ServerSetup = (address, { folder, certificate, key }, idleMs) => {
  const file = join(folder, "unbound.conf");
  writeFileSync(
    file,
    `server:
  directory: "${folder}"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  interface: ${address}@853
  interface: ${address}@53
  access-control: 0.0.0.0/0 allow
  tls-port: 853
  tls-service-key: "${key}"
  tls-service-pem: "${certificate}"
  ${idleMs === undefined ? "" : `tcp-idle-timeout: ${idleMs}`}
  module-config: "iterator"
  local-zone: "." redirect
  local-data: ". 0 IN A ${ANSWER}"
remote-control:
  control-enable: no
`,
  );
  return ["/usr/sbin/unbound", "-d", "-p", "-c", file];
};

const kresd: ServerSetup = (address, { folder, certificate, key }) => {
  const file = join(folder, "kresd.conf");
  writeFileSync(
    file,
    `net.listen('${address}', 853, { kind = 'tls' })
net.listen('${address}', 53, { kind = 'dns' })
net.tls('${certificate}', '${key}')
net.ipv6 = false
trust_anchors.remove('.')
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('priming')
modules.unload('detect_time_skew')
modules.unload('detect_time_jump')
cache.size = 10 * MB
policy.add(policy.all(policy.ANSWER({ [kres.type.A] = { rdata = kres.str2ip('${ANSWER}'), ttl = 0 } })))
`,
  );
  mkdirSync(join(folder, "run"), { recursive: true });
  return ["/usr/sbin/kresd", "-n", "-c", file, join(folder, "run")];
};

const dnsdist: ServerSetup = (address, { folder, certificate, key }, idleMs) => {
  const file = join(folder, "dnsdist.conf");
  writeFileSync(
    file,
    `addTLSLocal('${address}:853', '${certificate}', '${key}', { provider = 'openssl', maxInFlight = 100 })
setLocal('${address}:53')
setACL({ '0.0.0.0/0' })
setSecurityPollSuffix('')
${idleMs === undefined ? "" : `setTCPRecvTimeout(${Math.ceil(idleMs / 1000)})`}
addAction(AllRule(), SpoofAction('${ANSWER}', { ttl = 0 }))
`,
  );
  return ["/usr/bin/dnsdist", "--supervised", "--disable-syslog", "-C", file];
};

const SERVERS = { unbound, kresd, dnsdist } as const;
export type ServerName = keyof typeof SERVERS;
export const SERVER_NAMES: readonly ServerName[] = ["unbound", "kresd", "dnsdist"];

/** A program that runs in its own process; ends with the namespaces at the latest. */
export class Program {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #reloads: boolean;
  #output = "";

  constructor([program, ...args]: Command, folder: string, reloads = false) {
    this.#reloads = reloads;
    this.#child = spawn(program, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    this.#ended = new Promise((resolve) => {
      this.#child.once("close", () => resolve());
      this.#child.once("error", (problem) => {
        this.#output += String(problem);
        resolve();
      });
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString("latin1")).slice(-OUTPUT_LENGTH_MAX);
      });
  }

  /** The last of what it printed. */
  get output(): string {
    return this.#output;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Has it read its configuration again. */
  reload(): void {
    if (this.#reloads) this.#child.kill("SIGHUP");
  }

  /** Ends it, by force if need be, and waits for that. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#child.kill("SIGCONT");
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 3000);
    await this.#ended;
    clearTimeout(timer);
  }
}

/** One of Debian's servers, which can end and begin again with another certificate. */
export class Server {
  readonly address: string;
  readonly #name: ServerName;
  readonly #folder: string;
  readonly #idleMs: number | undefined;
  #program: Program | undefined;

  constructor(name: ServerName, address: string, folder: string, idleMs?: number) {
    this.#name = name;
    this.address = address;
    this.#folder = folder;
    this.#idleMs = idleMs;
    mkdirSync(folder, { recursive: true });
  }

  /** Starts it and waits until it accepts connections. */
  async start({ certificatePem, keyPem }: CertificatePair): Promise<void> {
    const certificate = join(this.#folder, "certificate.pem");
    const key = join(this.#folder, "key.pem");
    writeFileSync(certificate, certificatePem);
    writeFileSync(key, keyPem);
    const command = SERVERS[this.#name](
      this.address,
      { folder: this.#folder, certificate, key },
      this.#idleMs,
    );
    const program = new Program(onServer(command), this.#folder);
    this.#program = program;
    await until(
      () => accepts(this.address),
      () => `${this.#name} does not accept connections:\n${program.output}`,
    );
  }

  signal(signal: NodeJS.Signals): void {
    this.#program?.signal(signal);
  }

  async end(signal?: NodeJS.Signals): Promise<void> {
    await this.#program?.end(signal);
    this.#program = undefined;
  }
}

/** How stubs know their upstreams. */
export interface StubPlan {
  readonly addresses: readonly string[];
  readonly authorityFile: string;
  /** Base64; none: by name alone. */
  readonly pins: readonly string[];
  readonly folder: string;
}

const SOTTO = [process.execPath, "--conditions=source", "--disable-warning=ExperimentalWarning"] as const;

type StubSetup = (port: number, plan: StubPlan) => Command;

const sotto: StubSetup = (port, { addresses, authorityFile, pins, folder }) => {
  const file = join(folder, "stub.yaml");
  const pinList = pins.map((pin) => `"sha256:${pin}"`).join(", ");
  writeFileSync(
    file,
    `listen: [{ transport: udp, address: 127.0.0.1, port: ${port} }]
stub:
  profile: strict
  upstreams:
${addresses.map((address) => `    - { address: ${address}, name: ${AUTH_NAME}, authorities: ${authorityFile}, pins: [${pinList}] }`).join("\n")}
dnssec: { validation: false }
`,
  );
  const program = join(import.meta.dirname, "../../packages/sotto/src/bin/sotto.ts");
  return [...SOTTO, program, "stub", "--config", file];
};

/** As Debian's stubby.yml has it, but for addresses, name and authority. */
const stubby: StubSetup = (port, { addresses, authorityFile, pins, folder }) => {
  const file = join(folder, "stubby.yml");
  const pinset = pins.map((pin) => `      - digest: "sha256"\n        value: ${pin}\n`).join("");
  writeFileSync(
    file,
    `resolution_type: GETDNS_RESOLUTION_STUB
dns_transport_list:
  - GETDNS_TRANSPORT_TLS
tls_authentication: GETDNS_AUTHENTICATION_REQUIRED
tls_query_padding_blocksize: 128
edns_client_subnet_private: 1
round_robin_upstreams: 1
idle_timeout: 10000
tls_ca_file: "${authorityFile}"
appdata_dir: "${folder}"
listen_addresses:
  - 127.0.0.1@${port}
upstream_recursive_servers:
${addresses.map((address) => `  - address_data: ${address}\n    tls_auth_name: "${AUTH_NAME}"\n${pinset === "" ? "" : `    tls_pubkey_pinset:\n${pinset}`}`).join("")}`,
  );
  return ["/usr/bin/stubby", "-C", file];
};

const library: StubSetup = (port, { addresses, authorityFile, pins }) => [
  ...SOTTO,
  join(import.meta.dirname, "recovery-library.ts"),
  JSON.stringify({ port, addresses, authorityFile, pins, name: AUTH_NAME }),
];

const STUBS = { "sotto stub": sotto, StubResolver: library, stubby } as const;
export type StubName = keyof typeof STUBS;
export const STUB_NAMES: readonly StubName[] = ["sotto stub", "StubResolver", "stubby"];

/** Starts a stub that listens on a port of 127.0.0.1. */
export function startStub(name: StubName, port: number, plan: StubPlan): Program {
  mkdirSync(plan.folder, { recursive: true });
  return new Program(STUBS[name](port, plan), plan.folder, name === "sotto stub");
}

/** Waits until something is so; throws when that takes too long. */
export async function until(isSo: () => Promise<boolean>, otherwise: () => string): Promise<void> {
  for (const endMs = performance.now() + READY_MS_MAX; ; await delay(20)) {
    if (await isSo()) return;
    if (performance.now() > endMs) throw new Error(otherwise());
  }
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function accepts(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: 853 });
    const tell = (does: boolean) => (): void => {
      socket.destroy();
      resolve(does);
    };
    socket.once("connect", tell(true)).once("error", tell(false)).setTimeout(500, tell(false));
  });
}

/** A machine that is busy with other things takes long to start a program. */
const READY_MS_MAX = 60_000;
const OUTPUT_LENGTH_MAX = 20_000;
