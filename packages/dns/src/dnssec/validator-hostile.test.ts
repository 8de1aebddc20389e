import assert from "node:assert/strict";
import { test } from "node:test";
import { type Name, parseName, RRType } from "@sotto/dns/wire";
import { signatureOver, testKey } from "./test-signer.test-support.ts";
import type { Evidence } from "./validator.ts";
import { WorldClient, ZoneWorld } from "./zone-world.test-support.ts";

const { CNAME, DS } = RRType;
const TEXT = "www A 192.0.2.1\n";
const FAMILY = new ZoneWorld([
  { origin: "." },
  { origin: "example.", text: TEXT },
  { origin: "sub.example.", text: TEXT },
]);

/**
 * A question for DS may be answered with a CNAME, which says that the name is no zone. One that claims to be signed by
 * the name itself made the validator ask for that name's DS for ever.
 */
test("an alias that claims to be signed by itself ends, and is bogus", async () => {
  const alias = (name: Name): Evidence => {
    const rrset = {
      owner: name,
      type: CNAME,
      ttlSeconds: 300,
      rdatas: [parseName("www.").wire],
      signatures: [],
    };
    const signature = signatureOver(rrset, testKey(), { signerName: name });
    return { kind: "alias", rrset: { ...rrset, signatures: [signature] } };
  };
  class Liar extends WorldClient {
    override ask(name: Name, type: RRType): Promise<Evidence> {
      const honest = super.ask(name, type);
      return type === DS && !name.isRoot && name.labelCount > 1 ? Promise.resolve(alias(name)) : honest;
    }
  }
  const client = new Liar(FAMILY);
  const judged = await client.judge("www.sub.example.");
  assert.equal(judged.verdict.status, "bogus");
  assert.ok(client.asked.length < 20);
});
