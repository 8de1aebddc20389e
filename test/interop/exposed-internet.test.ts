/**
 * The fake internet on real loopback addresses: Debian's unbound resolves through it and validates its signed zones, and
 * our resolver and unbound give the same answers for every name and type in it. Needs root, for port 53 on 127.x.y.z.
 */
import assert from "node:assert/strict";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { FakeInternet, type FakeName } from "@sotto/dns/testing";
import { Exchanger } from "@sotto/dns/transport";
import {
  type Message,
  makeEdns,
  type ResourceRecord,
  RRClass,
  rcodeToText,
  recordToText,
  rrTypeToText,
} from "@sotto/dns/wire";
import { peerTest } from "./peers.ts";
import { NAME } from "./playground-names.ts";
import { kdig, startSotto, startUnbound, withExposed } from "./resolvers.ts";

/**
 * Zones that unbound 1.17 cannot resolve and we can: it takes BADVERS for an empty answer, and often gives up on a server
 * that is silent to EDNS before it tries without, and to one that says something else first over TCP. Ours must have the records there.
 */
const UNBOUND_FAILS = /\b(?:badvers|ednsdrop)\.lab\. |^big\.wrongid\.lab\. TXT/;
/**
 * Servers that refer to their own zone, at the question or at a shorter one. RFC 2308 §2.2: NS records without SOA and
 * without authority are a referral and not NODATA, and one to where we are leads nowhere (RFC 1034 §5.3.3, step 4b wants
 * a better delegation). Unbound 1.17 takes it for NODATA where later ones and kresd fail, as ours does.
 */
const CIRCULAR = /\b(?:selfref|nxns|endless)\.lab\. /;
/** Unbound gives up on dead servers only after this long. */
const PATIENCE_MS = 90_000;
/** Questions that wait at one resolver at a time. */
const TOGETHER = 25;

peerTest("unbound walks from our root and validates our signed zones", ["unbound", "kdig"], (context) =>
  withExposed(context, async (facts, folder) => {
    const unbound = await startUnbound(folder, facts, { isValidating: true });
    try {
      for (const [name, type] of [
        [NAME, "A"],
        ["www.bank.example", "A"],
        ["mx.types.org", "MX"],
        ["x.wild.shop.example", "A"],
        ["x.wild.bank.example", "A"],
      ] as const) {
        const secure = await kdig(unbound.port, "+dnssec", name, type);
        assert.match(secure, /flags: qr rd ra ad;/i, `${name} ${type} is secure:\n${secure}`);
      }
      for (const [name, rcode] of [
        ["nothing.shop.example", "NXDOMAIN"],
        ["nothing.bank.example", "NXDOMAIN"],
        ["empty.bank.example", "NOERROR"],
      ] as const) {
        const denied = await kdig(unbound.port, "+dnssec", name, "A");
        assert.match(denied, new RegExp(`status: ${rcode}`), denied);
        assert.match(denied, /flags: qr rd ra ad;/i, `${name} is proved absent:\n${denied}`);
      }
      const insecure = await kdig(unbound.port, "+dnssec", "www.plain.example", "A");
      assert.match(insecure, /status: NOERROR/);
      assert.doesNotMatch(insecure, /flags: qr rd ra ad;/i);
      for (const name of ["www.expired.example", "www.wrongkey.example"])
        assert.match(await kdig(unbound.port, name, "A"), /status: SERVFAIL/, name);
    } finally {
      await unbound.peer.stop();
    }
  }),
);

/** What must be equal: response code and sections as sets, without TTLs. */
function essence(message: Message): string {
  const lines = (records: readonly ResourceRecord[]): string[] =>
    records.map((record) => recordToText({ ...record, ttl: 0 }).toLowerCase()).sort();
  return JSON.stringify(
    {
      rcode: rcodeToText(message.rcode),
      answer: lines(message.answers),
      authority: lines(message.authorities),
    },
    null,
    1,
  );
}

async function askAll(port: number, names: readonly FakeName[]): Promise<Map<string, string>> {
  const runtime = nodeRuntime();
  const results = new Map<string, string>();
  const waiting = [...names];
  const worker = async (): Promise<void> => {
    // Unbound takes half a minute for names whose servers are dead: a silent connection says nothing here, and a fresh one would be
    // closed by it while they wait there alone.
    const unhurried = { answerAfterPauseTimeoutMs: PATIENCE_MS, silenceTimeoutMs: PATIENCE_MS };
    const exchanger = new Exchanger({ connection: unhurried }, runtime);
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { name, type } = next;
      const key = `${name.toString()} ${rrTypeToText(type)}`;
      const request = {
        question: { name, type, class: RRClass.IN },
        server: { address: "127.0.0.1", port },
        transport: "tcp" as const,
        recursionDesired: true,
        checkingDisabled: false,
        authenticData: false,
        edns: makeEdns(),
        deadlineMs: runtime.clock.nowMs() + PATIENCE_MS,
      };
      results.set(
        key,
        await exchanger.exchange(request).then(
          ({ message }) => essence(message),
          (error: unknown) => `no reply: ${String(error)}`,
        ),
      );
    }
    await exchanger.close();
  };
  await Promise.all(Array.from({ length: TOGETHER }, worker));
  return results;
}

peerTest(
  "our resolver and unbound answer alike for every name and type, the broken ones too",
  ["unbound"],
  (context) =>
    withExposed(context, async (facts, folder) => {
      const unbound = await startUnbound(folder, facts, { isValidating: false });
      const sotto = await startSotto(folder, facts, { isValidating: false });
      try {
        const names = FakeInternet.build({ wallMs: Date.now() }).names();
        assert.ok(names.length > 400, `${names.length} names`);
        const [theirs, ours] = await Promise.all([askAll(unbound.port, names), askAll(sotto.port, names)]);
        for (const [key, essenceOfOurs] of ours) {
          if (UNBOUND_FAILS.test(key))
            assert.match(essenceOfOurs, /"rcode": "NOERROR"[\s\S]*lab\./, `${key}: ${essenceOfOurs}`);
          if (CIRCULAR.test(key))
            assert.match(essenceOfOurs, /"rcode": "SERVFAIL"/, `${key}: ${essenceOfOurs}`);
        }
        const different = [...theirs].filter(
          ([key, essenceOfTheirs]) =>
            ours.get(key) !== essenceOfTheirs && !UNBOUND_FAILS.test(key) && !CIRCULAR.test(key),
        );
        context.diagnostic(`${names.length} questions, ${different.length} differences without a reason`);
        const report = different.map(
          ([key, essenceOfTheirs]) =>
            `${key}\nunbound: ${essenceOfTheirs}\nsotto: ${ours.get(key) ?? "nothing"}`,
        );
        assert.equal(different.length, 0, report.slice(0, 30).join("\n\n"));
      } finally {
        await sotto.peer.stop();
        await unbound.peer.stop();
      }
    }),
);
