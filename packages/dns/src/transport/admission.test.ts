import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "@sotto/dns/testing";
import { Admission, type Admitted } from "./admission.ts";
import {
  ADMISSION_LIMITS_DEFAULT,
  type AdmissionLimits,
  CLIENT_EXCEPTIONS_MAX,
  type ClientException,
} from "./limits.ts";

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

test("networks behind one address have so many times the limits, each of its own [7766-6.2.2-c]", async () => {
  const clock = new SimClock();
  const admission = admissionOf(
    {
      connectionsPerAddressMax: 2,
      connectionsPerSubnetMax: 3,
      connectionRateMax: 4,
      handshakeRateMax: 3,
      clientExceptions: [
        { prefix: "192.0.2.0/28", factor: 3 },
        { prefix: "192.0.2.1", factor: 0.25 },
      ],
    },
    clock,
  );
  const comeMany = (address: string, times: number, tls = false): number => {
    const tickets = Array.from({ length: times }, () => admission.admit(address, false, tls));
    return tickets.filter((ticket) => ticket !== undefined).length;
  };
  assert.equal(comeMany("192.0.2.2", 20), 6, "connections of the address");
  assert.equal(comeMany("192.0.2.3", 20), 3, "nine in the exception's part of the subnet");
  assert.equal(comeMany("192.0.2.77", 20), 2, "its neighbours have theirs, whatever is open there");
  assert.equal(comeMany("192.0.2.1", 20), 1, "the longest prefix counts; a part of a connection is one");
  assert.equal(admission.counters.refused["connections per subnet"], 17);

  const rates = admissionOf(
    {
      connectionRateMax: 4,
      handshakeRateMax: 2,
      clientExceptions: [{ prefix: "2001:db8::/32", factor: 10 }],
    },
    clock,
  );
  const comeWith = (address: string, times: number, tls: boolean): number =>
    Array.from({ length: times }, () => rates.admit(address, false, tls)).filter((one) => one !== undefined)
      .length;
  assert.deepEqual([comeWith("192.0.2.9", 50, false), comeWith("2001:db8::9", 50, false)], [4, 40]);
  assert.deepEqual([comeWith("192.0.2.10", 50, true), comeWith("2001:db8::10", 50, true)], [2, 20]);
  await clock.advance(500);
  assert.deepEqual([comeWith("192.0.2.9", 50, false), comeWith("2001:db8::9", 50, false)], [2, 20]);
});

test("clients are networks of the configured length, and of another one where it says so", () => {
  const admission = admissionOf({
    connectionsPerAddressMax: 1,
    clientBitsIpv6: 56,
    clientExceptions: [
      { prefix: "100.64.0.0/10", bits: 24 },
      { prefix: "2001:db8:ffff::/48", bits: 128 },
    ],
  });
  const come = (address: string): boolean => admission.admit(address, false, false) !== undefined;
  const rows: readonly (readonly [string, boolean])[] = [
    ["2001:db8::1", true],
    ["2001:db8:0:ff::9", false],
    ["2001:db8:0:100::1", true],
    ["2001:db8:ffff::1", true],
    ["2001:db8:ffff::2", true],
    ["2001:db8:ffff::2", false],
    ["100.64.1.1", true],
    ["100.64.1.2", false],
    ["100.64.2.1", true],
    ["192.0.2.1", true],
    ["::ffff:192.0.2.1", false],
    ["::ffff:192.0.2.2", true],
  ];
  for (const [address, isAdmitted] of rows) assert.equal(come(address), isAdmitted, address);
});

test("the same link-local address on two links is two clients", () => {
  const admission = admissionOf({ connectionsPerAddressMax: 1 });
  const come = (address: string): boolean => admission.admit(address, false, false) !== undefined;
  assert.deepEqual([come("fe80::1%eth0"), come("fe80::1%eth0"), come("fe80::1%eth1")], [true, false, true]);
});

test("a changed size of clients is for newcomers, and each gives back what it took", () => {
  const admission = admissionOf({ connectionsPerAddressMax: 1 });
  const first = admission.admit("192.0.2.1", false, false);
  admission.setLimits({ ...ADMISSION_LIMITS_DEFAULT, connectionsPerAddressMax: 1, clientBitsIpv4: 24 });
  const second = admission.admit("192.0.2.2", false, false);
  assert.ok(first && second);
  assert.equal(admission.admit("192.0.2.3", false, false), undefined);
  first.release();
  assert.equal(admission.admit("192.0.2.3", false, false), undefined);
  second.release();
  assert.ok(admission.admit("192.0.2.3", false, false));
});

test("exceptions that make no sense are refused, and what was in force stays", () => {
  const wrong: readonly [ClientException[], RegExp][] = [
    [[{ prefix: "192.0.2.1/24" }], /bits set behind/],
    [[{ prefix: "192.0.2.0/24", bits: 33 }], /from 0 to 32 bits/],
    [[{ prefix: "192.0.2.0/24", factor: 0 }], /not above 0/],
    [Array.from({ length: CLIENT_EXCEPTIONS_MAX + 1 }, () => ({ prefix: "192.0.2.1" })), /at most 10000/],
  ];
  const admission = admissionOf({ connectionsPerAddressMax: 1 });
  for (const [clientExceptions, problem] of wrong) {
    assert.throws(() => admissionOf({ clientExceptions }), problem);
    assert.throws(() => admission.setLimits({ ...ADMISSION_LIMITS_DEFAULT, clientExceptions }), problem);
  }
  assert.ok(admission.admit("192.0.2.1", false, false));
  assert.equal(admission.admit("192.0.2.1", false, false), undefined);
});

// A bucket of half a token never held one: whoever limited a rate to less than one per second refused everybody.
test("a rate below one per second is one every so many seconds", async () => {
  const clock = new SimClock();
  const admission = admissionOf({ connectionRateMax: 0.5 }, clock);
  const come = (): boolean => admission.admit("192.0.2.1", false, false) !== undefined;
  assert.deepEqual([come(), come()], [true, false]);
  await clock.advance(1500);
  assert.equal(come(), false);
  await clock.advance(500);
  assert.equal(come(), true);
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
