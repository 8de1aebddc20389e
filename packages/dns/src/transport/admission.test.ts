import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "@sotto/dns/testing";
import { Admission, type Admitted } from "./admission.ts";
import { ADMISSION_LIMITS_DEFAULT, type AdmissionLimits } from "./limits.ts";

function admissionOf(limits: Partial<AdmissionLimits>, clock = new SimClock()): Admission {
  return new Admission({ ...ADMISSION_LIMITS_DEFAULT, ...limits }, clock);
}

test("an address has its number of connections, and a subnet its own [7766-6.2.2-c 9210-4.2-c]", () => {
  const admission = admissionOf({ connectionsPerAddressMax: 2, connectionsPerSubnetMax: 3 });
  const first = admission.admit("192.0.2.1", false, false);
  assert.ok(first);
  assert.ok(admission.admit("192.0.2.1", false, false));
  assert.equal(admission.admit("192.0.2.1", false, false), undefined);
  assert.ok(admission.admit("192.0.2.77", false, false));
  assert.equal(admission.admit("192.0.2.78", false, false), undefined, "the subnet is full");
  assert.ok(admission.admit("192.0.3.1", false, false), "another subnet is not");
  assert.equal(admission.counters.refused["connections per address"], 1);
  assert.equal(admission.counters.refused["connections per subnet"], 1);
  first.release();
  first.release();
  assert.ok(admission.admit("192.0.2.78", false, false), "a place is free again, once");
  assert.equal(admission.admit("192.0.2.79", false, false), undefined);
  assert.equal(admission.connections, 4);
});

test("a subnet is full for more addresses than are remembered, and a new prefix length counts for known ones", () => {
  const admission = admissionOf({ connectionsPerSubnetMax: 2 });
  assert.ok(admission.admit("192.0.2.1", false, false));
  for (let i = 0; i < 5000; i++) {
    const ticket = admission.admit(`198.51.${i >>> 8}.${i & 255}`, false, false);
    assert.ok(ticket);
    ticket.release();
  }
  assert.ok(admission.admit("192.0.2.2", false, false));
  assert.equal(admission.admit("192.0.2.3", false, false), undefined);
  admission.setLimits({ ...ADMISSION_LIMITS_DEFAULT, connectionsPerSubnetMax: 2, subnetBitsIpv4: 32 });
  assert.ok(admission.admit("192.0.2.3", false, false), "each address is a subnet now");
});

test("subnets of IPv6 have the configured length", () => {
  const admission = admissionOf({ connectionsPerSubnetMax: 1, subnetBitsIpv6: 52 });
  assert.ok(admission.admit("2001:db8:0:1000::1", false, false));
  assert.equal(admission.admit("2001:db8:0:1fff::1", false, false), undefined);
  assert.ok(admission.admit("2001:db8:0:2000::1", false, false));
  assert.equal(admission.admit("2001:db8:0:2000::2%eth0", false, false), undefined);
});

test("rates are per client, with a burst, and recover with time", async () => {
  const clock = new SimClock();
  const admission = admissionOf({ connectionRateMax: 2, handshakeRateMax: 1 }, clock);
  const come = (address: string, tls: boolean): boolean => admission.admit(address, false, tls) !== undefined;
  assert.deepEqual(
    [come("192.0.2.1", false), come("192.0.2.1", false), come("192.0.2.1", false)],
    [true, true, false],
  );
  assert.equal(come("192.0.2.2", false), true);
  await clock.advance(500);
  assert.equal(come("192.0.2.1", false), true);
  assert.equal(admission.counters.refused["connection rate"], 1);
  await clock.advance(10_000);
  assert.deepEqual([come("192.0.2.1", true), come("192.0.2.1", true)], [true, false]);
  assert.equal(admission.counters.refused["handshake rate"], 1);
});

test("handshakes at once are limited, and a finished one frees its place [7858-5-a]", () => {
  const admission = admissionOf({ handshakesMax: 1 });
  const first = admission.admit("192.0.2.1", false, true);
  assert.ok(first);
  assert.equal(admission.admit("192.0.2.2", false, true), undefined);
  assert.ok(admission.admit("192.0.2.3", false, false), "clear TCP has none");
  first.handshakeEnded();
  assert.ok(admission.admit("192.0.2.2", false, true));
  assert.equal(admission.counters.refused.handshakes, 1);
});

class Guest implements Admitted {
  displaced = 0;
  idleSinceMs: number;
  readonly #admission: Admission;
  readonly ticket: ReturnType<Admission["admit"]>;

  constructor(admission: Admission, address: string, idleSinceMs: number) {
    this.#admission = admission;
    this.idleSinceMs = idleSinceMs;
    this.ticket = admission.admit(address, false, false);
    admission.opened(this);
  }

  displace(): void {
    this.displaced++;
    this.#admission.closed(this);
    this.ticket?.release();
  }

  resumeTurn(): void {}

  bufferedOctets = 0;

  shed(): void {
    const octets = this.bufferedOctets;
    this.bufferedOctets = 0;
    this.displace();
    this.#admission.addBuffered(-octets);
  }
}

test("when all places are taken the longest idle makes room, and busy ones do not [9210-4.2-b 7766-10-a 7828-3.4-c 9210-4.2-a 7828-5-a]", () => {
  const admission = admissionOf({ connectionsMax: 3 });
  const young = new Guest(admission, "192.0.2.1", 50);
  const old = new Guest(admission, "192.0.2.2", 10);
  const busy = new Guest(admission, "192.0.2.3", Number.POSITIVE_INFINITY);
  const fourth = new Guest(admission, "192.0.2.4", Number.POSITIVE_INFINITY);
  assert.ok(fourth.ticket);
  assert.deepEqual([young.displaced, old.displaced, busy.displaced], [0, 1, 0]);
  // What was found idle in the first search has become busy since.
  young.idleSinceMs = Number.POSITIVE_INFINITY;
  assert.equal(admission.admit("192.0.2.5", false, false), undefined);
  assert.equal(young.displaced, 0);
  assert.equal(admission.counters.refused.connections, 1);
  assert.equal(admission.counters.displaced, 1);
});

test("a proxy is under no limit of clients, those it speaks for are", () => {
  const admission = admissionOf({ connectionsPerAddressMax: 1 });
  const proxied = ["192.0.2.1", "192.0.2.1", "192.0.2.2"].map((client) => {
    const ticket = admission.admit("198.51.100.1", true, true);
    assert.ok(ticket);
    const isTaken = ticket.becomeClient(client, true);
    if (!isTaken) ticket.release();
    return isTaken;
  });
  assert.deepEqual(proxied, [true, false, true]);
  assert.equal(admission.connections, 2);
  assert.equal(admission.admit("192.0.2.2", false, false), undefined, "directly is no way around");
});

test("patience is 1 up to half of every budget, and falls with the fullest", () => {
  const admission = admissionOf({ connectionsMax: 1000, inFlightTotalMax: 100, bufferedOctetsMax: 1000 });
  assert.equal(admission.patience, 1);
  admission.addInFlight(50);
  assert.equal(admission.patience, 1);
  admission.addBuffered(740);
  assert.ok(Math.abs(admission.patience - 0.5) < 0.01, String(admission.patience));
  admission.addInFlight(49);
  assert.ok(Math.abs(admission.patience - 0.375) < 0.01, "few clients cannot take all time from the others");
  admission.addInFlight(-99);
  admission.addBuffered(-740);
  assert.equal(admission.patience, 1);
});

test("when the buffers are full whoever holds most is reset, and nobody else [7766-10-a]", () => {
  const admission = admissionOf({ bufferedOctetsMax: 1000 });
  const guests = [100, 700, 150].map((octets, i) => {
    const guest = new Guest(admission, `192.0.2.${i}`, Number.POSITIVE_INFINITY);
    guest.bufferedOctets = octets;
    admission.addBuffered(octets);
    return guest;
  });
  assert.equal(admission.bufferedOctets, 950);
  const last = guests[2];
  assert.ok(last);
  last.bufferedOctets += 100;
  admission.addBuffered(100);
  assert.deepEqual(
    guests.map(({ displaced }) => displaced),
    [0, 1, 0],
  );
  assert.equal(admission.bufferedOctets, 350);
  assert.equal(admission.counters.shed, 1);
});
