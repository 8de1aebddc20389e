/** Our stub and `sotto query` against every server of the catalogue of `sotto testserver`: what they take, and what they do not. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { StubResolver } from "@sotto/dns/stub";
import { AUTH_NAME, TestServer, type Transport } from "../../packages/sotto/src/testserver/index.ts";
import { runQuery } from "../../packages/sotto/src/tools/query/index.ts";

const ADDRESS = "192.0.2.53";

/** What comes of a question: the address, a response code and nothing else, or neither. */
type Outcome = "answered" | "code" | "not authenticated" | "failed";

const ONLY_UDP = ["udp"] as const;
/** Nothing that they send is a reply that may be taken; with transports: only over these. All others are answered. */
const FAILED: Readonly<Record<string, readonly Transport[] | undefined>> = {
  "answers-late": undefined,
  "never-answers": undefined,
  "wrong-id": undefined,
  "wrong-question": undefined,
  "query-bit": undefined,
  // Over a stream the id says whose it is; over UDP a question is wanted beside it.
  "no-question": ONLY_UDP,
  garbage: undefined,
  cut: undefined,
  "trailing-octets": undefined,
  "length-too-long": undefined,
  "length-too-short": undefined,
  "half-fin": undefined,
  "half-rst": undefined,
  "half-silence": undefined,
  "truncated-without-tcp": undefined,
  "edns-drop": undefined,
  "edns-two-opts": undefined,
  "port-closed": undefined,
  "drops-syn": undefined,
  "accept-fin": undefined,
  "accept-rst": undefined,
  "accept-silence": undefined,
  "query-fin": undefined,
  "query-rst": undefined,
  // RFC 8310 §9: TLS 1.2 or later.
  "tls-1.0-only": undefined,
  "tls-1.1-only": undefined,
  "alpn-h2": undefined,
  "client-certificate": undefined,
  cleartext: undefined,
  http: undefined,
  alert: undefined,
};
/** A stop of the handshake at any point, in any way. */
const STOPS = /^handshake-/;
const CODES = new Set(["refused", "servfail", "edns-badvers", "edns-formerr-with-opt"]);
/** FORMERR or NOTIMP without OPT: the stub asks again without (RFC 6891 §6.2.2), and the tool shows what it got, as dig does. */
const WITHOUT_OPT = new Set(["edns-formerr", "edns-notimp"]);
const TRUSTED = new Set(["certificate-wildcard"]);

function outcomeOf(name: string, transport: Transport): Outcome {
  if (CODES.has(name)) return "code";
  if (STOPS.test(name)) return "failed";
  if (name.startsWith("certificate-") && !TRUSTED.has(name)) return "not authenticated";
  if (!Object.hasOwn(FAILED, name)) return "answered";
  return FAILED[name]?.includes(transport) === false ? "answered" : "failed";
}

/** A server over one transport. */
interface Place {
  readonly name: string;
  readonly transport: Transport;
  readonly port: number;
  readonly pin: string;
}

let tests: TestServer;
before(async () => {
  tests = await TestServer.start({ address: "127.0.0.1", portBase: 0 }, nodeRuntime());
});
after(() => tests.close());

/** Some at once: most of the time goes into waiting for what will not come. */
async function forEachPlace(look: (place: Place) => Promise<void>): Promise<void> {
  const rest = tests.fixtures.flatMap(({ fixture, places }) =>
    places.map(({ transport, port }): Place => {
      const pin = tests.credentials.pinOf(fixture.behaviour.tls?.certificate ?? "good");
      return { name: fixture.name, transport, port, pin };
    }),
  );
  assert.ok(rest.length > 200);
  const lane = async (): Promise<void> => {
    for (let place = rest.shift(); place !== undefined; place = rest.shift()) await look(place);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

async function stubOutcome({ name, transport, port, pin }: Place): Promise<Outcome> {
  const isWaste = outcomeOf(name, transport) === "failed";
  const credentials = {
    name: AUTH_NAME,
    pins: [pin],
    trustAnchorsPem: [tests.credentials.authorityPem],
  };
  const upstream = { address: "127.0.0.1", port, transport, ...(transport === "tls" ? credentials : {}) };
  const timeoutMs = isWaste ? IMPATIENT_MS : PATIENT_MS;
  await using stub = new StubResolver({ upstreams: [upstream], discovery: "off", hosts: "none", timeoutMs });
  try {
    const { records } = await stub.query("www.test.", "A");
    if (records.length === 0) return "code";
    assert.deepEqual(
      records.map(({ rdata }) => rdata.join(".")),
      [ADDRESS],
    );
    return "answered";
  } catch (error) {
    // Whatever a server does, it is told as one of our errors.
    if (!DnsError.is(error)) throw error;
    return error.code === "ERR_TLS_NOT_AUTHENTICATED" ? "not authenticated" : "failed";
  }
}

async function queryOutcome({ name, transport, port }: Place): Promise<Outcome> {
  const isWaste = outcomeOf(name, transport) === "failed";
  const tls = ["+tls", `+tls-ca=${tests.files.authority}`, `+tls-hostname=${AUTH_NAME}`];
  const over = { udp: [], tcp: ["+tcp"], tls }[transport];
  const patience = isWaste ? ["+time=1", "+tries=1"] : ["+time=10", "+tries=3"];
  let out = "";
  const io = {
    stdout: {
      write: (text: string) => {
        out += text;
      },
    },
    stderr: { write: () => undefined },
    onSignal: () => () => undefined,
  };
  const args = ["@127.0.0.1", "-p", String(port), "+short", ...patience, ...over, "www.test.", "A"];
  const code = await runQuery(args, io, nodeRuntime());
  if (code === 20) return "not authenticated";
  if (code !== 0) {
    assert.equal(code, 9, `${name}: exit code`);
    return "failed";
  }
  if (!out.includes(ADDRESS)) return "code";
  assert.equal(out.trim(), ADDRESS);
  return "answered";
}

test("the stub takes an answer from every server that gives a right one, however it comes, and from no other [7766-7-c 8310-9-a]", {
  timeout: 120_000,
}, async () => {
  await forEachPlace(async (place) => {
    const expected = outcomeOf(place.name, place.transport);
    assert.equal(await stubOutcome(place), expected, `${place.name} over ${place.transport}`);
  });
});

test("sotto query shows what is an answer, and ends with the code of what is none", {
  timeout: 120_000,
}, async () => {
  await forEachPlace(async (place) => {
    // The tool is not told a pin here, and by name and authority a new key is as good as the old one.
    const isNewKey = place.name === "certificate-new-key";
    const expected = WITHOUT_OPT.has(place.name)
      ? "code"
      : isNewKey
        ? "answered"
        : outcomeOf(place.name, place.transport);
    assert.equal(await queryOutcome(place), expected, `${place.name} over ${place.transport}`);
  });
});

const LANES = 8;
/** For what is answered, on a busy machine. */
const PATIENT_MS = 20_000;
/** For what is not. */
const IMPATIENT_MS = 500;
