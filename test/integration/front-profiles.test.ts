/** Backends over TLS by the usage profiles of RFC 8310 §5, with names, pins and authorities, good and wrong ones. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  encodeMessage,
  type Message,
  makeEdns,
  makeMessage,
  parseRecord,
  Rcode,
  RRType,
} from "@sotto/dns/wire";
import { type LoadedFront, loadFront } from "../../packages/sotto/src/config/index.ts";
import { makeAuthority, spkiPin } from "../../packages/sotto/src/operations/index.ts";
import { frontStatusText } from "../../packages/sotto/src/tools/front/status-text.ts";
import { addressIn, askFront, startTestFront, type TestFront } from "./front.test-support.ts";
import { ScriptedBackend } from "./scripted-backend.test-support.ts";

const ADDRESS = "192.0.2.9";
const WRONG_PIN = `sha256:${Buffer.alloc(32, 7).toString("base64")}`;

function answer({ id, questions }: Message): Uint8Array {
  const [question] = questions;
  const owner = question?.name.toString() ?? ".";
  const answers = question?.type === RRType.A ? [parseRecord(`${owner} 60 A ${ADDRESS}`)] : [];
  return encodeMessage(makeMessage({ id, isResponse: true, questions, answers, edns: makeEdns() }));
}

interface Place {
  readonly front: TestFront;
  readonly backend: ScriptedBackend;
  readonly told: readonly string[];
  /** The first pool's only backend. */
  status():
    | NonNullable<TestFront["front"]["status"]["pools"][0]["backends"][0]["authentication"]>
    | undefined;
}

/** A front end before a TLS backend whose certificate is for dns.example; `own.pem` leads to it, `other.pem` does not. */
async function start(
  context: TestContext,
  backendOf: (at: { readonly ip: string; readonly pin: string }) => string,
  { isClear = false, settings = "" } = {},
): Promise<Place> {
  const authority = await makeAuthority("own", Date.now());
  const other = await makeAuthority("other", Date.now());
  const pair = await authority.issue(["dns.example"], Date.now());
  const backend = await ScriptedBackend.open(
    ({ query, reply }) => reply(answer(query)),
    isClear ? undefined : pair,
  );
  context.after(() => backend[Symbol.asyncDispose]());
  const told: string[] = [];
  const events = {
    wants: () => true,
    publish: (name: string, details: Readonly<Record<string, unknown>>) => {
      if (name.endsWith("authenticated")) told.push(`${name} ${details["backend"]}: ${details["why"]}`);
    },
  };
  const at = { ip: `127.0.0.1`, pin: `sha256:${spkiPin(pair.certificatePem)}` };
  const text = backendOf(at).replaceAll("PORT", String(backend.port));
  const front = await startTestFront(context, settings, {
    files: { "own.pem": authority.certificatePem, "other.pem": other.certificatePem },
    pools: `  - { name: one, backends: [{ name: b, ${text} }], health: { interval: 0s }, cache: 0B, retries: 0 }\n`,
    events,
  });
  return { front, backend, told, status: () => front.front.status.pools[0]?.backends[0]?.authentication };
}

/** Whoever is refused is waited for until then. */
const SHORT = "deadline: 400ms\n";
const BY_NAME = 'address: "tls://dns.example:PORT?ip=127.0.0.1"';

interface Row {
  readonly title: string;
  readonly backend: (at: { readonly pin: string }) => string;
  /** Absent: it is answered. */
  readonly isRefused?: true;
  readonly isRequired: boolean;
  readonly proof: RegExp;
}

const ROWS: readonly Row[] = [
  {
    title: "a name, and the authority that it leads to",
    backend: () => `${BY_NAME}, authorities: own.pem`,
    isRequired: true,
    proof: /^name dns\.example$/,
  },
  {
    title: "strict says the same",
    backend: ({ pin }) =>
      `address: "tls://dns.example:PORT?ip=127.0.0.1&pin=${pin}", authorities: own.pem, profile: strict`,
    isRequired: true,
    proof: /^name dns\.example and pin sha256:/,
  },
  {
    title: "a name, and another authority",
    backend: () => `${BY_NAME}, authorities: other.pem`,
    isRefused: true,
    isRequired: true,
    proof: /not authenticated/,
  },
  {
    title: "a name, and no authority but the system's",
    backend: () => `${BY_NAME}, profile: strict`,
    isRefused: true,
    isRequired: true,
    proof: /not authenticated/,
  },
  {
    title: "a name that its certificate is not for",
    backend: () => 'address: "tls://other.example:PORT?ip=127.0.0.1", authorities: own.pem',
    isRefused: true,
    isRequired: true,
    proof: /other\.example/,
  },
  {
    title: "another pin",
    backend: () => `address: "tls://127.0.0.1:PORT?pin=${WRONG_PIN}"`,
    isRefused: true,
    isRequired: true,
    proof: /pin/,
  },
  {
    title: "opportunistic, and it proves who it is",
    backend: () => `${BY_NAME}, authorities: own.pem, profile: opportunistic`,
    isRequired: false,
    proof: /^name dns\.example$/,
  },
  {
    title: "opportunistic, and another authority",
    backend: () => `${BY_NAME}, authorities: other.pem, profile: opportunistic`,
    isRequired: false,
    proof: /issuer|self|authorit|trust/i,
  },
  {
    title: "opportunistic, and another pin",
    backend: () => `address: "tls://127.0.0.1:PORT?pin=${WRONG_PIN}", profile: opportunistic`,
    isRequired: false,
    proof: /pin/,
  },
  {
    title: "neither a name nor a pin",
    backend: () => 'address: "tls://127.0.0.1:PORT"',
    isRequired: false,
    proof: /authentication was not asked for/,
  },
];

for (const { title, backend: backendOf, isRefused, isRequired, proof } of ROWS)
  test(`a backend over TLS: ${title}`, { timeout: 20_000 }, async (context) => {
    const { front, backend, told, status } = await start(context, backendOf, {
      settings: isRefused ? SHORT : "",
    });
    assert.equal(status()?.isAuthenticated, false, "nothing is claimed before");
    for (const name of ["one.example.", "two.example."]) {
      const reply = await askFront(front, { name });
      if (isRefused) assert.equal(reply?.rcode, Rcode.ServFail);
      else assert.equal(addressIn(reply), ADDRESS);
    }
    const now = status();
    assert.ok(now);
    const text = now.isAuthenticated ? now.by : now.problem;
    assert.match(text, proof);
    assert.equal(now.isRequired, isRequired);
    if (isRefused) assert.equal(backend.seen.length, 0, "not one query has left");
    assert.equal(told.length, 1, "told once, however many connections there are");
    const word = now.isAuthenticated ? "authenticated" : "not-authenticated";
    assert.equal(told[0], `front.backend.${word} b: ${text}`);
    const page = frontStatusText(front.front.status, (_, line) => line);
    assert.ok(
      page.includes(`b is ${now.isAuthenticated ? "authenticated by" : "not authenticated:"} ${text}`),
      page,
    );
  });

test("opportunistic never goes in clear: a server without TLS gets no query", {
  timeout: 20_000,
}, async (context) => {
  const { front, backend } = await start(context, () => `${BY_NAME}, profile: opportunistic`, {
    isClear: true,
    settings: SHORT,
  });
  const reply = await askFront(front, { name: "one.example." });
  assert.equal(reply?.rcode, Rcode.ServFail);
  assert.equal(backend.seen.length, 0);
});

test("a reload from opportunistic to strict lets no query through that is not proved", {
  timeout: 20_000,
}, async (context) => {
  const { front, backend, status } = await start(
    context,
    () => `${BY_NAME}, authorities: other.pem, profile: opportunistic`,
  );
  assert.equal(addressIn(await askFront(front, { name: "one.example." })), ADDRESS);
  const before = backend.seen.length;
  await front.front.reload(strict(front));
  assert.equal((await askFront(front, { name: "two.example." }))?.rcode, Rcode.ServFail);
  assert.equal(backend.seen.length, before);
  assert.equal(status()?.isRequired, true);
});

/** The same configuration, whose first backend has to prove who it is. */
function strict(front: TestFront): ReturnType<TestFront["config"]> {
  const config = front.config(SHORT);
  return {
    ...config,
    pools: config.pools.map((pool) => ({
      ...pool,
      backends: pool.backends.map((one) => ({
        ...one,
        tls: one.tls && { ...one.tls, authenticate: "required" as const },
      })),
    })),
  };
}

test("a zone transfer is under the same profile", { timeout: 20_000 }, async (context) => {
  for (const [profile, rcode] of [
    ["strict", Rcode.ServFail],
    ["opportunistic", Rcode.NoError],
  ] as const) {
    const place = await start(context, () => `${BY_NAME}, authorities: other.pem, profile: ${profile}`);
    const config = place.front.config(`${SHORT}access: { transfers: [127.0.0.0/8] }`);
    await place.front.front.reload(config);
    const reply = await askFront(place.front, { name: "example.", type: RRType.AXFR, transport: "tcp" });
    assert.equal(reply?.rcode, rcode, profile);
    assert.equal(
      place.backend.seen.some(({ questions }) => questions[0]?.type === RRType.AXFR),
      rcode === Rcode.NoError,
    );
  }
});

test("what a profile cannot have is refused with line and hint, and nothing is opportunistic unasked", async (context) => {
  const { front } = await start(context, () => 'address: "tls://127.0.0.1:PORT"');
  writeFileSync(join(front.folder, "empty.pem"), "nothing\n");
  const load = (backend: string): LoadedFront =>
    loadFront(
      `listen: [{ transport: udp, address: 127.0.0.1, port: 0 }]
pools:
  - name: main
    backends:
      - { ${backend} }
`,
      join(front.folder, "front.yaml"),
    );
  const named = 'address: "tls://dns.example?ip=192.0.2.1"';
  const rows: readonly (readonly [string, RegExp])[] = [
    [
      'address: "tls://192.0.2.1", profile: strict',
      /^5 pools\[0\]\.backends\[0\]\.profile strict needs a name or a pin .*tls:\/\/NAME\?ip=192\.0\.2\.1/,
    ],
    [
      'address: "tcp://192.0.2.1", profile: opportunistic',
      /profile is for tls, and nobody at tcp:\/\/192\.0\.2\.1/,
    ],
    ['address: "udp://192.0.2.1", authorities: own.pem', /authorities are for tls/],
    ['address: "tls://192.0.2.1", authorities: own.pem', /authorities prove nothing without a name or a pin/],
    [
      `${named}, authorities: empty.pem`,
      /^5 pools\[0\]\.backends\[0\]\.authorities .*empty\.pem holds no certificate/,
    ],
    [`${named}, authorities: nowhere.pem`, /nowhere\.pem cannot be read/],
    [`${named}, profile: oportunistic`, /^5 pools\[0\]\.backends\[0\]\.profile /],
    ['address: "tls://dns.example?ip=192.0.2.1&dane=only", profile: opportunistic', /dane needs lookups/],
  ];
  for (const [backend, expected] of rows) {
    const loaded = load(backend);
    assert.ok(!loaded.ok, backend);
    const told = loaded.problems.map(({ line, path, message }) => `${line} ${path} ${message}`);
    assert.ok(
      told.some((line) => expected.test(line)),
      told.join("\n"),
    );
  }
  const usual = load(named);
  assert.ok(usual.ok);
  assert.equal(usual.config.pools[0]?.backends[0]?.tls?.authenticate, "required");
});
