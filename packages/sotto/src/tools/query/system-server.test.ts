import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { firstNameServer, serverAddress } from "./system-server.ts";

test("the first name server of resolv.conf is asked, the loopback address when there is none", () => {
  assert.equal(
    firstNameServer("# comment\nsearch example\nnameserver 192.0.2.53\nnameserver 192.0.2.54\n"),
    "192.0.2.53",
  );
  assert.equal(firstNameServer("nameserver 2001:db8::53"), "2001:db8::53");
  assert.equal(firstNameServer("nameserver 999.1.1.1\n"), "127.0.0.1");
  assert.equal(firstNameServer(""), "127.0.0.1");
});

test("an address of the family that was excluded is refused with a sentence", async () => {
  assert.equal(await serverAddress("192.0.2.1", undefined), "192.0.2.1");
  assert.equal(await serverAddress("2001:db8::1", 6), "2001:db8::1");
  await assert.rejects(serverAddress("192.0.2.1", 6), (error) =>
    DnsError.is(error, "ERR_ADDRESS_NOT_AVAILABLE"),
  );
});
