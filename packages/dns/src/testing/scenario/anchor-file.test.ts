import assert from "node:assert/strict";
import { test } from "node:test";
import { compareAnchors, readAnchorFile } from "./anchor-file.ts";

const KEY =
  "257 3 13 w516nsW7hGXgkacm5636ylyhLbsyj9nOA0peLCmzmWJlzbM0SRUYeKxtt6avr3lkQp06DMzEOxMqINH1gfw76A==";
const REVOKED = KEY.replace("257", "385");
const ZSK =
  "256 3 13 vtyVAeZZTGKzC8Wf8uqI4eUPwUojiHc+Hx0IiZ6uhd720li94nxrkd/y4aboECO7NM9WNmByoIHahU4wEuMDdg==";
const TIMES = `;;last_queried: 1258962400 ;;Mon
;;last_success: 1258962400
;;next_probe_time: 1258967360
;;query_failed: 0
;;query_interval: 5400
;;retry_time: 3600
`;

test("a file that nobody wrote yet gives anchors: entry points, or whatever there is", () => {
  const both = readAnchorFile(`example. 300 IN DNSKEY ${KEY} ;{id = 1}\nexample. 300 IN DNSKEY ${ZSK}\n`);
  assert.equal(both.anchors.length, 1);
  assert.deepEqual(both.known, []);
  assert.equal(readAnchorFile(`example. 300 IN DNSKEY ${ZSK}\n`).anchors.length, 1);
});

test("a file that was written gives what was known, and is equal to itself", () => {
  const text = `; comment\n${TIMES}example. 300 IN DNSKEY ${KEY} ;;state=2 [ VALID ] ;;lastchange=1258962400\n`;
  const { anchors, known } = readAnchorFile(text);
  assert.equal(anchors.length, 1);
  assert.deepEqual(compareAnchors(text, known), []);
  assert.match(
    compareAnchors(text.replace("state=2", "state=3"), known)[0] ?? "",
    /is valid, expected missing/,
  );
  assert.match(compareAnchors(text.replace("lastchange=12589", "lastchange=12588"), known)[0] ?? "", /since/);
  assert.match(compareAnchors(text.replace("failed: 0", "failed: 6"), known)[0] ?? "", /0 queries failed/);
  assert.match(
    compareAnchors(text.replace("last_success: 1", "last_success: 2"), known)[0] ?? "",
    /last_success/,
  );
  assert.deepEqual(compareAnchors(text, []), ["the zone is not followed"]);
});

test("a trust point whose keys are all revoked has no anchors and is not asked again", () => {
  const text = `;;REVOKED\n${TIMES}example. 300 IN DNSKEY ${REVOKED} ;;state=4 ;;lastchange=1258962400\n`;
  const { anchors, known } = readAnchorFile(text);
  assert.deepEqual([anchors.length, known[0]?.times.nextSeconds], [0, undefined]);
  assert.deepEqual(compareAnchors(text, known), []);
  assert.match(compareAnchors(text.replace(";;REVOKED\n", ""), known)[0] ?? "", /is deleted/);
});
