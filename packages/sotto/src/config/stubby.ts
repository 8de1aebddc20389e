/**
 * Reads `stubby.yml`, the configuration of Stubby, as settings of ours: every key of its documentation. What has no
 * counterpart is told with what happens instead; nothing gets weaker than the file asks for.
 */
import { addressToText, tryParseAddress } from "@sotto/dns/wire";

export interface StubbyMessage {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

export interface StubbyRead {
  /** In the form of our settings file. */
  readonly settings: object;
  readonly warnings: readonly StubbyMessage[];
  readonly problems: readonly StubbyMessage[];
}

/** True for a file with the keys of Stubby. */
export function looksLikeStubby(value: unknown): value is Record<string, unknown> {
  return (
    isMap(value) &&
    ("upstream_recursive_servers" in value || "resolution_type" in value || "dns_transport_list" in value)
  );
}

export function readStubby(file: Record<string, unknown>): StubbyRead {
  const reading = new Reading();
  for (const key of Object.keys(file)) {
    const read = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
    if (read === undefined) reading.warn([key], "is no key of Stubby that is known here, and is passed over");
    else read(reading, file[key], key);
  }
  return reading.finish();
}

/** What has been understood so far. */
class Reading {
  readonly stub: Record<string, unknown> = {};
  readonly dnssec: Record<string, unknown> = { validation: false };
  readonly warnings: StubbyMessage[] = [];
  readonly problems: StubbyMessage[] = [];
  listen: { address: string; port?: number }[] = [{ address: "127.0.0.1" }];
  transports: readonly string[] = ["tls"];
  isRequired = false;
  servers: readonly unknown[] = [];
  authorities: string | undefined;
  tlsPort: number | undefined;
  warn(path: readonly PropertyKey[], message: string): void {
    this.warnings.push({ path, message });
  }

  fail(path: readonly PropertyKey[], message: string): void {
    this.problems.push({ path, message });
  }

  finish(): StubbyRead {
    this.#profile();
    const [first] = this.transports;
    this.stub["upstreams"] = this.servers.flatMap((server, i) => this.#upstream(server, i, first));
    if (this.servers.length === 0) this.fail(["upstream_recursive_servers"], "names nobody to ask");
    const listen = this.listen.flatMap((local) =>
      ["udp", "tcp"].map((transport) => ({ transport, ...local })),
    );
    return {
      settings: { listen, stub: this.stub, dnssec: this.dnssec },
      warnings: this.warnings,
      problems: this.problems,
    };
  }

  /** Stubby's own rule: with TLS alone and authentication required, the profile is Strict. */
  #profile(): void {
    const isTlsOnly = this.transports.every((transport) => transport === "tls");
    this.stub["profile"] = this.isRequired && isTlsOnly ? "strict" : "opportunistic";
    if (this.isRequired && !isTlsOnly)
      this.fail(
        ["dns_transport_list"],
        "lists clear transports beside tls_authentication REQUIRED: ask for one of them, strict has no way in clear",
      );
    // TLS alone without authentication: Stubby never asks in clear then, so neither do we.
    this.stub["never-clear"] = !this.isRequired && isTlsOnly;
  }

  #upstream(server: unknown, i: number, transport: string | undefined): object[] {
    const path = ["upstream_recursive_servers", i] as const;
    const fields = isMap(server) ? server : {};
    const address = textOf(fields["address_data"]);
    const octets = tryParseAddress(address ?? "");
    if (address === undefined || !octets.ok) {
      this.fail([...path, "address_data"], "must be an IP address");
      return [];
    }
    for (const key of Object.keys(fields))
      if (!SERVER_KEYS.has(key)) this.warn([...path, key], "is not known here, and is passed over");
    const name = textOf(fields["tls_auth_name"]);
    if (name === undefined && "tls_auth_name" in fields)
      this.fail([...path, "tls_auth_name"], "must be text");
    const pins = this.#pins(fields["tls_pubkey_pinset"], path);
    const isTls = transport === "tls";
    const port = numberOf(fields[isTls ? "tls_port" : "port"]) ?? (isTls ? this.tlsPort : undefined);
    const hasCredentials = isTls && (name !== undefined || pins.length > 0);
    return [
      {
        address: addressToText(octets.value),
        transport: isTls ? "tls" : transport,
        ...(port === undefined ? {} : { port }),
        ...(name === undefined || !isTls ? {} : { name: name.replace(/\.$/, "") }),
        ...(isTls ? { pins } : {}),
        ...(this.authorities === undefined || !hasCredentials ? {} : { authorities: this.authorities }),
      },
    ];
  }

  #pins(value: unknown, path: readonly PropertyKey[]): string[] {
    if (value === undefined) return [];
    if (!Array.isArray(value)) {
      this.fail([...path, "tls_pubkey_pinset"], "must be a list");
      return [];
    }
    return value.flatMap((pin: unknown, i) => {
      const digest = isMap(pin) ? textOf(pin["digest"]) : undefined;
      const text = isMap(pin) ? textOf(pin["value"]) : undefined;
      if (digest?.toLowerCase() !== "sha256" || text === undefined) {
        this.fail([...path, "tls_pubkey_pinset", i], 'must have digest "sha256" and a value');
        return [];
      }
      // Stubby takes hexadecimal digits, too.
      const hex = /^(?:0x)?([0-9A-Fa-f]{64})$/.exec(text)?.[1];
      return [`sha256:${hex === undefined ? text : Buffer.from(hex, "hex").toString("base64")}`];
    });
  }
}

type Read = (reading: Reading, value: unknown, key: string) => void;

const passedOver =
  (why: string): Read =>
  (reading, _value, key) =>
    reading.warn([key], why);

const duration =
  (name: string, unit: "ms" | "s"): Read =>
  (reading, value, key) => {
    const number = numberOf(value);
    if (number === undefined || number < 0) reading.fail([key], "must be a number");
    else reading.stub[name] = `${number}${unit}`;
  };

const KEYS: Readonly<Record<string, Read>> = {
  resolution_type: (reading, value, key) => {
    if (constantOf(value) !== "RESOLUTION_STUB" && numberOf(value) !== 520)
      reading.fail([key], "only GETDNS_RESOLUTION_STUB is a stub; `sotto serve` resolves from the root");
  },
  dns_transport_list: (reading, value, key) => {
    const names = (Array.isArray(value) ? value : [value]).map((one) =>
      TRANSPORTS.get(String(constantOf(one) ?? one)),
    );
    if (names.length === 0 || names.includes(undefined))
      reading.fail([key], "may have GETDNS_TRANSPORT_TLS, GETDNS_TRANSPORT_TCP and GETDNS_TRANSPORT_UDP");
    else reading.transports = names.filter((name) => name !== undefined);
    if (reading.transports[0] !== "tls")
      reading.warn([key], "does not begin with TLS: queries go in clear, as the file asks for");
  },
  tls_authentication: (reading, value, key) => {
    const isRequired = AUTHENTICATIONS.get(String(constantOf(value) ?? value));
    if (isRequired === undefined)
      reading.fail([key], "may be GETDNS_AUTHENTICATION_REQUIRED or GETDNS_AUTHENTICATION_NONE");
    else reading.isRequired = isRequired;
  },
  tls_query_padding_blocksize: (reading, value, key) => {
    const octets = numberOf(value);
    if (octets === undefined) reading.fail([key], "must be a number");
    // 1 means the policy that is sensible now (RFC 8467).
    else reading.stub["padding"] = octets === 1 ? 128 : octets;
  },
  edns_client_subnet_private: (reading, value) => {
    reading.stub["hide-client-subnet"] = numberOf(value) !== 0 && value !== false;
  },
  round_robin_upstreams: (reading, value) => {
    reading.stub["choice"] = numberOf(value) === 1 || value === true ? "round-robin" : "ordered";
  },
  idle_timeout: duration("idle-timeout", "ms"),
  timeout: duration("try-timeout", "ms"),
  listen_addresses: (reading, value, key) => {
    reading.listen = (Array.isArray(value) ? value : [value]).flatMap((one: unknown, i) => {
      const [, literal = "", port] =
        /^([^@]+?)(?:@(\d+))?$/.exec(String(isMap(one) ? one["address_data"] : one)) ?? [];
      const octets = tryParseAddress(literal);
      if (octets.ok)
        return [
          { address: addressToText(octets.value), ...(port === undefined ? {} : { port: Number(port) }) },
        ];
      reading.fail([key, i], "must be an IP address, with @PORT or without");
      return [];
    });
  },
  upstream_recursive_servers: (reading, value, key) => {
    if (Array.isArray(value)) reading.servers = value;
    else reading.fail([key], "must be a list");
  },
  tls_port: (reading, value, key) => {
    reading.tlsPort = numberOf(value);
    if (reading.tlsPort === undefined) reading.fail([key], "must be a number");
  },
  tls_ca_file: (reading, value, key) => {
    reading.authorities = textOf(value);
    if (reading.authorities === undefined) reading.fail([key], "must be text");
  },
  tls_ca_path: passedOver("is passed over: the system's authorities are trusted, or those of tls_ca_file"),
  dnssec: (reading, value) => validate(reading, value, "DNSSEC"),
  dnssec_return_status: (reading, value) => validate(reading, value),
  dnssec_return_only_secure: (reading, value, key) => {
    validate(reading, value);
    if (isTrue(value)) reading.warn([key], "validates, and answers from unsigned zones are given, too");
  },
  dnssec_return_all_statuses: (reading, value) => validate(reading, value),
  dnssec_return_validation_chain: passedOver("is passed over: clients that set DO get the signatures"),
  dnssec_trust_anchors: passedOver("is passed over: the root's anchors are built in"),
  trust_anchors_url: passedOver(
    "is passed over: the root's anchors are built in and kept up to date by RFC 5011",
  ),
  trust_anchors_verify_CA: passedOver("is passed over: no anchors are fetched"),
  trust_anchors_verify_email: passedOver("is passed over: no anchors are fetched"),
  trust_anchors_backoff_time: passedOver("is passed over: no anchors are fetched"),
  appdata_dir: passedOver("is passed over: nothing is stored there"),
  tls_connection_retries: passedOver("is passed over: how a server failed decides when it is asked again"),
  tls_backoff_time: passedOver(
    "is passed over: how a server failed decides when it is asked again, and all are when all fail",
  ),
  limit_outstanding_queries: passedOver(
    "is passed over: 200 queries wait on a connection, a thousand for their turn",
  ),
  tls_cipher_list: passedOver("is passed over: TLS 1.2 and 1.3 with forward secrecy only (RFC 9325)"),
  tls_ciphersuites: passedOver("is passed over: TLS 1.2 and 1.3 with forward secrecy only (RFC 9325)"),
  tls_curves_list: passedOver("is passed over: the runtime's groups are used"),
  tls_min_version: (reading, value, key) => {
    const isHigher = constantOf(value) === "TLS1_3";
    const more = isHigher
      ? ", which is weaker than the file asks for: TLS 1.3 is preferred, not demanded"
      : "";
    reading.warn([key], `is passed over: TLS 1.2 and 1.3 are spoken (RFC 8310 §9)${more}`);
  },
  tls_max_version: passedOver("is passed over: TLS 1.2 and 1.3 are spoken (RFC 8310 §9)"),
  follow_redirects: passedOver("is passed over: aliases are always followed"),
  suffix: passedOver("is passed over: a search list is the business of who asks"),
  append_name: passedOver("is passed over: a search list is the business of who asks"),
  namespaces: passedOver("is passed over: DNS is asked, and special names are answered here"),
  hosts: passedOver("is passed over: the hosts file is the business of who asks"),
  resolvconf: passedOver("is passed over: upstreams are those of the file"),
  edns_maximum_udp_payload_size: passedOver("is passed over: 1232 octets (RFC 9715)"),
  edns_extended_rcode: passedOver("is passed over"),
  edns_version: passedOver("is passed over: version 0 is the only one"),
  edns_do_bit: passedOver("is passed over: clients decide"),
  edns_cookies: passedOver("is passed over: cookies are used over UDP (RFC 7873)"),
  log_level: passedOver("is passed over: see `log` of sotto's own settings"),
};

const SERVER_KEYS: ReadonlySet<string> = new Set([
  "address_data",
  "address_type",
  "tls_auth_name",
  "tls_pubkey_pinset",
  "tls_port",
  "port",
]);

const TRANSPORTS: ReadonlyMap<string, string> = new Map([
  ["TRANSPORT_TLS", "tls"],
  ["TRANSPORT_TCP", "tcp"],
  ["TRANSPORT_UDP", "udp"],
  ["1202", "tls"],
  ["1201", "tcp"],
  ["1200", "udp"],
]);
const AUTHENTICATIONS: ReadonlyMap<string, boolean> = new Map([
  ["AUTHENTICATION_REQUIRED", true],
  ["AUTHENTICATION_NONE", false],
  ["1300", true],
  ["1301", false],
]);

function validate(reading: Reading, value: unknown, constant = ""): void {
  if (isTrue(value) || (constant !== "" && constantOf(value) === constant))
    reading.dnssec["validation"] = true;
}

function isTrue(value: unknown): boolean {
  return value === true || constantOf(value) === "EXTENSION_TRUE" || numberOf(value) === 1000;
}

/** `GETDNS_NAME` without its prefix; undefined for other things. */
function constantOf(value: unknown): string | undefined {
  return typeof value === "string" ? /^GETDNS_([A-Z0-9_]+)$/.exec(value.trim())?.[1] : undefined;
}

function numberOf(value: unknown): number | undefined {
  const number = typeof value === "string" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
