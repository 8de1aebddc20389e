/** Command lines and configuration of clients that many have. */
import { type Parsed, parsed, problem } from "@sotto/dns/wire";
import type { ClientPlan, UseTemplates } from "./client-plan.ts";
import type { CommandTemplate } from "./command-template.ts";

/** The plan for a preset; `sotto` is how this program itself is started. */
export function planOfPreset(name: string, sotto: readonly string[]): Parsed<ClientPlan> {
  const make = Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined;
  if (make === undefined)
    return problem(`no preset is called ${JSON.stringify(name)}; there are ${PRESET_NAMES.join(", ")}`);
  return parsed({ title: name, isComplete: true, ...make(sotto) });
}

type Preset = Pick<ClientPlan, "isDaemon" | "uses" | "fastOpen">;

const PRESETS: Readonly<Record<string, (sotto: readonly string[]) => Preset>> = {
  kdig: () => {
    const kdig = "kdig @{address} +time=2 +retry=1 -p";
    return {
      isDaemon: false,
      uses: {
        udp: both(`${kdig} {port} {qnames}`, `${kdig} {port} +cookie +subnet=0.0.0.0/0 {qnames}`),
        tcp: both(`${kdig} {port} +tcp {qnames}`, `${kdig} {port} +tcp +keepopen {qnames}`),
        tls: both(
          `${kdig} {tls-port} +tls {qnames}`,
          `${kdig} {tls-port} +tls +keepopen +alignment=128 {qnames}`,
        ),
        strict: one(`${kdig} {tls-port} +tls +tls-ca={ca-file} +tls-hostname={name} +keepopen {qnames}`),
        pinned: one(`${kdig} {tls-port} +tls +tls-pin={pin} {qnames}`),
      },
      fastOpen: command(`${kdig} {port} +tcp +fastopen {qnames}`),
    };
  },
  dig: () => {
    const dig = "dig @{address} +time=2 +tries=2 -p";
    const more = "+keepopen +keepalive";
    return {
      isDaemon: false,
      uses: {
        udp: both(`${dig} {port} {qnames}`, `${dig} {port} +cookie +subnet=0/0 {qnames}`),
        tcp: both(`${dig} {port} +tcp {qnames}`, `${dig} {port} +tcp ${more} {qnames}`),
        tls: both(`${dig} {tls-port} +tls {qnames}`, `${dig} {tls-port} +tls ${more} +padding=128 {qnames}`),
        strict: one(`${dig} {tls-port} +tls +tls-ca={ca-file} +tls-hostname={name} ${more} {qnames}`),
      },
    };
  },
  drill: () => ({
    isDaemon: false,
    uses: {
      udp: both("drill -p {port} {qname} @{address}", "drill -a -p {port} {qname} @{address}"),
      tcp: one("drill -t -p {port} {qname} @{address}"),
    },
  }),
  delv: () => ({
    isDaemon: false,
    uses: {
      udp: one("delv -i @{address} -p {port} {qname}"),
      tcp: one("delv -i +tcp @{address} -p {port} {qname}"),
    },
  }),
  getdns_query: () => {
    // Asynchronous and in one batch, or the tool would wait for each answer, which the library does not.
    const query = "getdns_query -s -t 3000 -j -F {qname-file} -a -B";
    const more = "-e 2000";
    const tls = "@{address}@{port}#{tls-port}~{name}";
    const environment = { SSL_CERT_FILE: "{ca-file}" };
    return {
      isDaemon: false,
      uses: {
        udp: both(`${query} -u @{address}@{port}`, `${query} -u -c +edns_cookies @{address}@{port}`),
        tcp: both(`${query} -O @{address}@{port}`, `${query} -O ${more} @{address}@{port}`),
        tls: both(`${query} -L -n ${tls}`, `${query} -L -n -c -P 1 ${more} ${tls}`),
        strict: one(`${query} -L -m -P 1 ${more} ${tls}`, { environment }),
        pinned: one(`${query} -L -m -P 1 ${more} @{address}@{port}#{tls-port} -K pin-sha256="{pin}"`),
      },
    };
  },
  stubby: () => ({
    isDaemon: true,
    uses: {
      udp: stubby("GETDNS_TRANSPORT_UDP, GETDNS_TRANSPORT_TCP", "NONE", "port: {port}"),
      strict: stubby("GETDNS_TRANSPORT_TLS", "REQUIRED", 'tls_port: {tls-port}\n    tls_auth_name: "{name}"'),
      pinned: stubby(
        "GETDNS_TRANSPORT_TLS",
        "REQUIRED",
        'tls_port: {tls-port}\n    tls_pubkey_pinset:\n      - digest: "sha256"\n        value: {pin}',
      ),
    },
  }),
  "sotto-query": (sotto) => sottoQuery(sotto, true),
  // As it is asked by those who want all that it can do.
  "sotto-query-full": (sotto) => sottoQuery(sotto, false),
  "sotto-stub": (sotto) => sottoStubs(sotto, ""),
  // For systems and servers where Fast Open is wanted: what the setting does without it being switched on for one row.
  "sotto-stub-fast-open": (sotto) => sottoStubs(sotto, FAST_OPEN_SETTING),
};

/** What `--preset` takes. */
export const PRESET_NAMES: readonly string[] = Object.keys(PRESETS);

/** A line without quoting; `own` takes the place of nothing and stands before it. */
function command(
  line: string,
  more: Omit<CommandTemplate, "argv"> = {},
  own: readonly string[] = [],
): CommandTemplate {
  return { argv: [...own, ...line.split(" ")], ...more };
}

function one(line: string, more: Omit<CommandTemplate, "argv"> = {}): UseTemplates {
  return { full: command(line, more) };
}

function both(plain: string, full: string): UseTemplates {
  return { full: command(full), plain: command(plain) };
}

/** Longer than what servers promise in the runs: who closes earlier has listened to the server. */
const IDLE_MS = 9000;

function stubby(transports: string, authentication: string, upstream: string): UseTemplates {
  return one("stubby -C {config-folder}/stubby.yml", {
    files: {
      "stubby.yml": `resolution_type: GETDNS_RESOLUTION_STUB
dns_transport_list: [ ${transports} ]
tls_authentication: GETDNS_AUTHENTICATION_${authentication}
tls_query_padding_blocksize: 128
edns_client_subnet_private: 1
idle_timeout: ${IDLE_MS}
timeout: 3000
tls_ca_file: "{ca-file}"
appdata_dir: "{config-folder}"
listen_addresses: [ 127.0.0.1@{listen-port} ]
upstream_recursive_servers:
  - address_data: {address}
    ${upstream}
`,
    },
  });
}

/** With the plain form, what only the full one does counts as switched off. */
function sottoQuery(sotto: readonly string[], hasPlain: boolean): Preset {
  const query = "query @{address} +time=2 +tries=2 -p";
  const more = `+keepopen +keepalive +pipeline${hasPlain ? "" : " +fastopen"}`;
  const own = (line: string): CommandTemplate => command(line, {}, sotto);
  const use = (plain: string, flags: string): UseTemplates => ({
    full: own(`${plain} ${flags} {qnames}`),
    ...(hasPlain ? { plain: own(`${plain} {qnames}`) } : {}),
  });
  return {
    isDaemon: false,
    uses: {
      udp: use(`${query} {port}`, "+cookie +subnet=0"),
      tcp: use(`${query} {port} +tcp`, more),
      tls: use(`${query} {tls-port} +tls`, more),
      strict: { full: own(`${query} {tls-port} +tls-ca={ca-file} +tls-hostname={name} ${more} {qnames}`) },
      pinned: { full: own(`${query} {tls-port} +tls-pin={pin} {qnames}`) },
    },
    ...(hasPlain ? { fastOpen: own(`${query} {port} +tcp ${more} +fastopen {qnames}`) } : {}),
  };
}

const FAST_OPEN_SETTING = "resolver: { fast-open: auto }\n";

function sottoStubs(sotto: readonly string[], more: string): Preset {
  const byName = "{ address: {address}, port: {tls-port}, name: {name}, authorities: {ca-file} }";
  const byPin = '{ address: {address}, port: {tls-port}, pins: ["sha256:{pin}"] }';
  const clear = '"udp://{address}:{port}"';
  return {
    isDaemon: true,
    uses: {
      udp: { full: sottoStub(sotto, "opportunistic", clear, more) },
      strict: { full: sottoStub(sotto, "strict", byName, more) },
      pinned: { full: sottoStub(sotto, "strict", byPin, more) },
    },
    ...(more === "" ? { fastOpen: sottoStub(sotto, "strict", byName, FAST_OPEN_SETTING) } : {}),
  };
}

function sottoStub(sotto: readonly string[], profile: string, upstream: string, more = ""): CommandTemplate {
  const files = {
    "stub.yaml": `listen:
  - { transport: udp, address: 127.0.0.1, port: {listen-port} }
stub:
  profile: ${profile}
  idle-timeout: ${IDLE_MS}ms
  upstreams: [ ${upstream} ]
dnssec: { validation: false }
# The servers' names are below a zone that RFC 6761 reserves, and stubs do not ask for.
local-zones: { except: [test.] }
${more}`,
  };
  const line = "stub --config {config-folder}/stub.yaml --socket {config-folder}/stub.sock";
  return command(line, { files }, sotto);
}
