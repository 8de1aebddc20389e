/** What an operator reads of upstreams that fail for an hour: the daemon's log over a simulated network. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { fakeCertificatePem, simRuntime } from "@sotto/dns/testing";
import { Exchanger, StreamService } from "@sotto/dns/transport";
import {
  encodeMessage,
  makeEdns,
  makeMessage,
  parseName,
  RRClass,
  RRType,
  tryViewMessage,
} from "@sotto/dns/wire";
import { startRecursor } from "../../packages/sotto/src/compose/index.ts";
import { loadConfig } from "../../packages/sotto/src/config/index.ts";
import { openLog } from "../../packages/sotto/src/operations/index.ts";

const STUB = "192.0.2.1";
const SERVERS = ["198.51.100.1", "198.51.100.2"];
const HOUR_MS = 3_600_000;
/** Two upstreams that begin to fail, and room for a second thought each. */
const LINES_MAX = 10;

interface Line {
  readonly msg: string;
  readonly [key: string]: unknown;
}

/** Asks a strict stub once a second for an hour while `weather` has its way with the upstreams. */
async function anHour(
  weather: (minute: number, setState: (state: Weather) => void) => void,
): Promise<Line[]> {
  const world = simRuntime(1, { latencyMs: 10 });
  const lines: Line[] = [];
  const log = openLog(
    { level: "info", format: "json", stream: { write: (line) => lines.push(JSON.parse(line)) } },
    world.clock,
  );
  const loaded = loadConfig(
    `listen: [{ transport: udp, address: ${STUB} }]
access: { allow: [192.0.2.0/24] }
stub: { upstreams: [${SERVERS.map((address) => `"tls://dns.example?ip=${address}"`).join(", ")}] }
cache: { max-ttl: 0s }
dnssec: { validation: false }
`,
    "stub.yaml",
    "stub",
  );
  assert.ok(loaded.ok);
  let isThere = true;
  const services = await Promise.all(
    SERVERS.map((address) =>
      StreamService.open(
        {
          local: { address, port: 853 },
          tls: { certificatePem: CERTIFICATE, keyPem: "", alpn: ["dot"], ticketKeys: undefined },
        },
        { answer: (octets) => (isThere ? answerTo(octets) : undefined) },
        world.runtimeOf([address]),
      ),
    ),
  );
  const stub = await startRecursor(loaded.config, { ...world.runtimeOf([STUB]), events: log.events });
  const client = new Exchanger({}, world.runtimeOf(["192.0.2.7"]));
  const setState = (state: Weather): void => {
    // Connections that are open are met by silence, too.
    isThere = state === "normal";
    for (const address of SERVERS) world.network.setReachability(address, state);
  };
  const asked: Promise<unknown>[] = [];
  const endMs = world.clock.nowMs() + HOUR_MS;
  for (let i = 0; world.clock.nowMs() < endMs; i++) {
    if (i % 60 === 0) weather(i / 60, setState);
    asked.push(
      client
        .exchange({
          question: { name: parseName(`n${i}.example.`), type: RRType.A, class: RRClass.IN },
          server: { address: STUB, port: 53 },
          transport: "udp",
          recursionDesired: true,
          checkingDisabled: false,
          authenticData: false,
          edns: makeEdns(),
          deadlineMs: world.clock.nowMs() + 10_000,
        })
        .catch((error: unknown) => assert.ok(DnsError.is(error))),
    );
    await world.clock.advance(1000);
  }
  await world.clock.runUntil(Promise.all(asked));
  await world.clock.runUntil(Promise.all([client.close(), stub.close()]));
  await world.clock.runUntil(Promise.all(services.map((service) => service.close())));
  return lines;
}

type Weather = "normal" | "silent";

const CERTIFICATE = fakeCertificatePem({ subjectAltNames: ["DNS:dns.example"], key: "key of dns.example" });

function answerTo(octets: Uint8Array): Uint8Array | undefined {
  const view = tryViewMessage(octets);
  if (!view.ok) return undefined;
  const { id, question } = view.value;
  return encodeMessage(makeMessage({ id, isResponse: true, questions: [question], edns: makeEdns() }));
}

test("an hour of failing upstreams, thousands of failed queries, is a handful of lines", async () => {
  const lines = await anHour((minute, setState) => {
    if (minute === 0) setState("silent");
  });
  assert.ok(lines.length > 0 && lines.length <= LINES_MAX, lines.map(({ msg }) => msg).join());
  const failing = lines.filter(({ msg }) => msg === "transport.upstream.failing");
  assert.deepEqual(
    failing.map(({ stage }) => stage),
    ["connect", "connect"],
    "each upstream once, with its stage",
  );
});

test("each change of state is one line, and the way back tells how many failures there were", async () => {
  const lines = await anHour((minute, setState) => {
    if (minute === 10) setState("silent");
    if (minute === 20) setState("normal");
  });
  const states = lines.filter(({ msg }) => msg.startsWith("transport.upstream."));
  assert.ok(states.length <= 6, states.map(({ msg, state }) => `${msg} ${state}`).join());
  const back = states.filter(({ msg, failures }) => msg.endsWith("working") && failures !== undefined);
  assert.ok(back.length >= 1);
  assert.ok(back.every(({ failures }) => Number(failures) > 5));
});

test("upstreams that come and go each minute write what changes, within the log's limits", async () => {
  const lines = await anHour((minute, setState) => setState(minute % 2 === 0 ? "silent" : "normal"));
  assert.ok(lines.length > 60 && lines.length < 300, `${lines.length} lines`);
});
