import assert from "node:assert/strict";
import { test } from "node:test";
import { anchorStateToText, tryReadAnchorState } from "./anchor-state.ts";
import { Dnskey } from "./key.ts";
import {
  CeremonyKey,
  DAY,
  dsAnchor,
  HOUR,
  type KeySetTimes,
  keyAnchor,
  keySet,
  START_SECONDS,
} from "./key-ceremony.test-support.ts";
import { FOLLOWED_KEYS_MAX, followKeySet, type RolloverEvent } from "./key-rollover.ts";
import { keySetJudge } from "./key-set-judge.ts";
import type { SignedRRset } from "./signed-rrset.ts";
import type { TrustAnchor } from "./trust-anchors.ts";
import { anchorOf, beginTrustPoint, type TrustPoint } from "./trust-point.ts";

const [OLD, NEW, THIRD] = [new CeremonyKey("old"), new CeremonyKey("new"), new CeremonyKey("third")];
const ZSK = new CeremonyKey("zsk", 256);

/** A resolver with one trust point, that only does something when it is told to. */
class Follower {
  nowSeconds = START_SECONDS;
  point: TrustPoint;
  events: readonly RolloverEvent[] = [];

  constructor(anchor: TrustAnchor) {
    this.point = beginTrustPoint(anchor, undefined, this.nowSeconds);
  }

  /** Lets time pass, then gives it an answer. */
  answer(seconds: number, rrset: SignedRRset | undefined): void {
    this.nowSeconds += seconds;
    const { nowSeconds } = this;
    const skew = { minSeconds: 0, maxSeconds: 0 };
    const judge = keySetJudge({ nowSeconds, policy: { sha1: true }, skew });
    const step = followKeySet(this.point, rrset, nowSeconds, judge);
    this.point = step.point;
    this.events = step.events;
  }

  /** Lets time pass, then shows a set of these keys signed by those. */
  see(
    seconds: number,
    keys: readonly CeremonyKey[],
    signers: readonly CeremonyKey[],
    times: KeySetTimes = {},
  ): void {
    this.answer(seconds, keySet(keys, signers, this.nowSeconds + seconds, times));
  }

  /** Writes the state down and starts again with it. */
  restart(anchor: TrustAnchor): void {
    const read = tryReadAnchorState(anchorStateToText([this.point]));
    assert.ok(read.ok, JSON.stringify(read));
    this.point = beginTrustPoint(anchor, read.value[0], this.nowSeconds);
  }

  /** `TAG STATE` of all keys, in the order of the given ones. */
  states(...keys: readonly CeremonyKey[]): (string | undefined)[] {
    return keys.map(({ tag }) => this.point.keys.find(({ key }) => key.tag === tag)?.state);
  }

  /** Tags of what is trusted. */
  get trusted(): number[] {
    const anchor = anchorOf(this.point);
    return [...(anchor?.ds ?? []).map(({ keyTag }) => keyTag), ...(anchor?.keys ?? []).map(({ tag }) => tag)];
  }

  get nextIn(): number | undefined {
    const { nextSeconds } = this.point.times;
    return nextSeconds === undefined ? undefined : nextSeconds - this.nowSeconds;
  }
}

/** Follows OLD from its digest. */
function started(): Follower {
  const follower = new Follower(dsAnchor([OLD]));
  follower.see(0, [OLD, ZSK], [OLD]);
  return follower;
}

test("a configured digest becomes its key with the first validated set [5011-a]", () => {
  const follower = new Follower(dsAnchor([OLD]));
  assert.deepEqual(follower.trusted, [OLD.tag]);
  follower.see(0, [OLD, ZSK], [OLD, ZSK]);
  assert.deepEqual(follower.states(OLD, ZSK), ["valid", undefined]);
  assert.deepEqual(anchorOf(follower.point)?.ds, []);
  assert.deepEqual(follower.trusted, [OLD.tag]);
});

test("a configured key becomes a followed one, and a ZSK beside it is given up [5011-a]", () => {
  const follower = new Follower(keyAnchor([OLD, ZSK]));
  follower.see(0, [OLD, ZSK], [OLD]);
  assert.deepEqual(follower.trusted, [OLD.tag]);
  follower.restart(keyAnchor([OLD, ZSK]));
  assert.deepEqual(follower.trusted, [OLD.tag]);
});

test("where only a ZSK is configured, the keys that it vouches for first stand in for it [5011-a]", () => {
  const follower = new Follower(keyAnchor([ZSK]));
  follower.see(0, [OLD, ZSK], [OLD, ZSK]);
  assert.deepEqual(follower.trusted, [OLD.tag]);
  follower.see(DAY, [OLD, NEW, ZSK], [ZSK]);
  assert.deepEqual(follower.states(OLD, NEW), ["valid", undefined]);
});

test("a first answer that no anchor signed leaves everything as configured and is tried again in an hour [5011-2.3]", () => {
  const follower = new Follower(dsAnchor([OLD]));
  for (const rrset of [undefined, keySet([OLD, NEW], [NEW], START_SECONDS)]) {
    follower.answer(HOUR, rrset);
    assert.deepEqual([follower.point.keys, follower.trusted, follower.nextIn], [[], [OLD.tag], HOUR]);
    assert.equal(follower.events[0]?.kind, "not validated");
  }
  assert.equal(follower.point.times.failures, 2);
});

test("a signature that has ended or is wrong validates nothing [5011-a]", () => {
  const follower = started();
  follower.see(DAY, [OLD, NEW], [OLD], { expirationSeconds: follower.nowSeconds });
  assert.deepEqual(follower.states(OLD, NEW), ["valid", undefined]);
  const { signatures } = keySet([OLD, ZSK], [OLD], follower.nowSeconds);
  follower.answer(DAY, { ...keySet([OLD, NEW], [], follower.nowSeconds), signatures });
  assert.deepEqual(follower.states(OLD, NEW), ["valid", undefined]);
  assert.match(JSON.stringify(follower.events), new RegExp(`no right signature by 15/${OLD.tag}; signed by`));
});

test("a new key is pending for thirty days, and valid with the first validated set after them [5011-2.4.1]", () => {
  const follower = started();
  follower.see(DAY, [OLD, NEW], [OLD]);
  assert.deepEqual(follower.states(OLD, NEW), ["valid", "add-pending"]);
  follower.see(10 * DAY, [OLD, NEW], [OLD, NEW]);
  follower.see(20 * DAY - 1, [OLD, NEW], [OLD, NEW]);
  assert.deepEqual(follower.states(OLD, NEW), ["valid", "add-pending"]);
  assert.deepEqual(follower.trusted, [OLD.tag]);
  follower.answer(10 * DAY, undefined);
  assert.deepEqual(follower.states(NEW), ["add-pending"], "no timer accepts a key");
  follower.see(HOUR, [OLD, NEW], [OLD, NEW]);
  assert.deepEqual(follower.states(OLD, NEW), ["valid", "valid"]);
  assert.deepEqual(follower.trusted, [OLD.tag, NEW.tag]);
});

test("the hold-down is as long as the set's original TTL when that is longer [5011-2.4.1]", () => {
  const follower = started();
  follower.see(DAY, [OLD, NEW], [OLD], { ttlSeconds: 40 * DAY });
  follower.see(39 * DAY, [OLD, NEW], [OLD], { ttlSeconds: DAY });
  assert.deepEqual(follower.states(NEW), ["add-pending"]);
  follower.see(DAY, [OLD, NEW], [OLD]);
  assert.deepEqual(follower.states(NEW), ["valid"]);
});

test("a pending key vouches neither for the set nor for another new key [5011-2.2]", () => {
  const follower = started();
  follower.see(DAY, [OLD, NEW], [OLD]);
  follower.see(DAY, [OLD, NEW, THIRD], [NEW]);
  assert.deepEqual(follower.states(OLD, NEW, THIRD), ["valid", "add-pending", undefined]);
  assert.equal(follower.events[0]?.kind, "not validated");
});

test("one validated set without a pending key, and its time begins anew [5011-2.2]", () => {
  const follower = started();
  follower.see(DAY, [OLD, NEW], [OLD]);
  follower.see(20 * DAY, [OLD], [OLD]);
  assert.deepEqual(follower.states(NEW), [undefined]);
  follower.see(5 * DAY, [OLD, NEW], [OLD]);
  follower.see(10 * DAY, [OLD, NEW], [OLD]);
  assert.deepEqual(follower.states(NEW), ["add-pending"]);
  follower.see(20 * DAY, [OLD, NEW], [OLD]);
  assert.deepEqual(follower.states(NEW), ["valid"]);
});

test("a set that is not validated does not make a pending key begin anew [5011-2.2]", () => {
  const follower = started();
  follower.see(DAY, [OLD, NEW], [OLD]);
  follower.see(15 * DAY, [OLD], [THIRD]);
  follower.see(15 * DAY, [OLD, NEW], [OLD]);
  assert.deepEqual(follower.states(NEW), ["valid"]);
});

test("a pending key begins anew when all that vouched for it are revoked [5011-2.2]", () => {
  const follower = new Follower(dsAnchor([OLD, NEW]));
  follower.see(0, [OLD, NEW], [OLD, NEW]);
  follower.see(DAY, [OLD, NEW, THIRD], [OLD]);
  follower.see(29 * DAY, [OLD.revoked(), NEW, THIRD], [OLD.revoked(), NEW]);
  assert.deepEqual(follower.states(OLD, NEW, THIRD), ["revoked", "valid", "add-pending"]);
  follower.see(29 * DAY, [NEW, THIRD], [NEW]);
  assert.deepEqual(follower.states(THIRD), ["add-pending"]);
  follower.see(DAY, [NEW, THIRD], [NEW]);
  assert.deepEqual(follower.states(THIRD), ["valid"]);
});

test("a pending key begins anew when the clock shows that it was in the future [5011-2.4.1]", () => {
  const follower = started();
  follower.see(1000 * DAY, [OLD, NEW], [OLD]);
  follower.see(-900 * DAY, [OLD, NEW], [OLD]);
  follower.see(29 * DAY, [OLD, NEW], [OLD]);
  assert.deepEqual(follower.states(NEW), ["add-pending"]);
  follower.see(DAY, [OLD, NEW], [OLD]);
  assert.deepEqual(follower.states(NEW), ["valid"]);
});

test("a valid key that is gone is missing, stays an anchor and is valid again when it returns [5011-4.2]", () => {
  const follower = new Follower(dsAnchor([OLD, NEW]));
  follower.see(0, [OLD, NEW], [OLD]);
  follower.see(DAY, [NEW], [NEW]);
  assert.deepEqual(follower.states(OLD, NEW), ["missing", "valid"]);
  follower.see(400 * DAY, [NEW], [NEW]);
  assert.deepEqual(follower.trusted, [OLD.tag, NEW.tag], "only a revocation ends trust");
  follower.see(DAY, [OLD, NEW], [OLD]);
  assert.deepEqual(follower.states(OLD, NEW), ["valid", "valid"]);
});

test("when all keys are missing each still validates, and one that returns is valid at once [5011-4.2]", () => {
  const follower = new Follower(dsAnchor([OLD, NEW]));
  follower.see(0, [OLD, NEW], [OLD]);
  follower.see(DAY, [ZSK], [NEW, ZSK]);
  assert.deepEqual(follower.states(OLD, NEW), ["missing", "missing"]);
  follower.see(370 * DAY, [ZSK], [ZSK]);
  assert.equal(follower.events[0]?.kind, "not validated");
  follower.see(DAY, [NEW, ZSK], [NEW]);
  assert.deepEqual(follower.states(OLD, NEW), ["missing", "valid"]);
});

test("a key that revokes itself is no anchor from then on, whoever else signed the set [5011-2.1]", () => {
  const follower = new Follower(dsAnchor([OLD, NEW]));
  follower.see(0, [OLD, NEW], [OLD]);
  assert.equal(OLD.revoked().tag, (OLD.tag + 128) & 0xffff, "RFC 5011 §2.1: another tag");
  follower.see(DAY, [OLD.revoked(), THIRD], [OLD.revoked(), THIRD]);
  assert.deepEqual(follower.states(OLD, NEW, THIRD), ["revoked", "valid", undefined]);
  assert.deepEqual(follower.trusted, [NEW.tag]);
  assert.equal(follower.point.times.failures, 1, "a revoked key validates nothing else");
});

test("a REVOKE bit without the key's own signature revokes nothing [5011-2.1]", () => {
  const follower = new Follower(dsAnchor([OLD, NEW]));
  follower.see(0, [OLD, NEW], [OLD]);
  follower.see(DAY, [OLD.revoked(), NEW], [NEW]);
  assert.deepEqual(follower.states(OLD, NEW), ["missing", "valid"]);
  follower.see(DAY, [OLD, NEW], [OLD]);
  assert.deepEqual(follower.states(OLD, NEW), ["valid", "valid"]);
});

test("a revoked key never returns, neither published again nor configured again [5011-2.1]", () => {
  const follower = new Follower(dsAnchor([OLD, NEW]));
  follower.see(0, [OLD, NEW], [OLD]);
  follower.see(DAY, [OLD.revoked(), NEW], [OLD.revoked(), NEW]);
  for (const signer of [OLD, OLD.revoked()]) {
    follower.see(DAY, [OLD, NEW, THIRD], [signer]);
    assert.deepEqual(follower.states(OLD, NEW, THIRD), ["revoked", "valid", undefined]);
  }
  follower.restart(dsAnchor([OLD, NEW]));
  assert.deepEqual(follower.trusted, [NEW.tag]);
  follower.see(100 * DAY, [NEW], [NEW]);
  follower.restart(dsAnchor([OLD]));
  follower.see(DAY, [OLD, NEW], [OLD, NEW]);
  assert.deepEqual(follower.states(OLD, NEW), ["removed", "valid"]);
  assert.deepEqual(follower.trusted, [NEW.tag]);
});

test("a key that is revoked before its first use is not believed for a moment [5011-2.1]", () => {
  const follower = new Follower(dsAnchor([OLD, NEW]));
  follower.see(0, [OLD.revoked(), NEW], [OLD.revoked(), NEW]);
  assert.deepEqual(follower.states(OLD, NEW), ["revoked", "valid"]);
  assert.deepEqual(follower.trusted, [NEW.tag]);
});

test("a pending key that revokes itself is forgotten [5011-4.1]", () => {
  const follower = started();
  follower.see(DAY, [OLD, NEW], [OLD]);
  follower.see(DAY, [OLD, NEW.revoked()], [OLD, NEW.revoked()]);
  assert.deepEqual(follower.states(OLD, NEW), ["valid", undefined]);
});

test("a revoked key is removed when it has been gone for thirty days [5011-2.4.2]", () => {
  const follower = new Follower(dsAnchor([OLD, NEW]));
  follower.see(0, [OLD, NEW], [OLD]);
  follower.see(DAY, [OLD.revoked(), NEW], [OLD.revoked(), NEW]);
  follower.see(29 * DAY, [OLD.revoked(), NEW], [NEW]);
  follower.see(30 * DAY - 1, [NEW], [NEW]);
  assert.deepEqual(follower.states(OLD), ["revoked"]);
  follower.see(1, [NEW], [NEW]);
  assert.deepEqual(follower.states(OLD), ["removed"]);
});

test("when all anchors are revoked the trust point is deleted, also after a restart [5011-5]", () => {
  const follower = new Follower(dsAnchor([OLD, NEW]));
  follower.see(0, [OLD, NEW], [OLD]);
  follower.see(DAY, [OLD.revoked(), NEW.revoked()], [OLD.revoked(), NEW.revoked()]);
  assert.equal(anchorOf(follower.point), undefined);
  assert.equal(follower.nextIn, undefined);
  assert.equal(follower.events.at(-1)?.kind, "trust point deleted");
  follower.restart(dsAnchor([OLD, NEW]));
  assert.equal(anchorOf(follower.point), undefined);
  assert.equal(follower.nextIn, undefined);
});

test("a new configured anchor brings a deleted trust point back [5011-5]", () => {
  const follower = started();
  follower.see(DAY, [OLD.revoked()], [OLD.revoked()]);
  follower.restart(dsAnchor([OLD, NEW]));
  assert.deepEqual([follower.trusted, follower.nextIn], [[NEW.tag], 0]);
  follower.see(DAY, [NEW], [NEW]);
  assert.deepEqual(follower.states(OLD, NEW), ["revoked", "valid"]);
});

test("two rollovers, one after the other, with restarts between all steps [5011-a]", () => {
  const follower = new Follower(dsAnchor([OLD]));
  const steps: [number, CeremonyKey[], CeremonyKey[], (string | undefined)[]][] = [
    [0, [OLD], [OLD], ["valid", undefined, undefined]],
    [DAY, [OLD, NEW], [OLD], ["valid", "add-pending", undefined]],
    [15 * DAY, [OLD, NEW], [OLD], ["valid", "add-pending", undefined]],
    [16 * DAY, [OLD, NEW], [OLD], ["valid", "valid", undefined]],
    [DAY, [OLD.revoked(), NEW], [OLD.revoked(), NEW], ["revoked", "valid", undefined]],
    [40 * DAY, [NEW], [NEW], ["removed", "valid", undefined]],
    [300 * DAY, [NEW, THIRD], [NEW], ["removed", "valid", "add-pending"]],
    [31 * DAY, [NEW, THIRD], [NEW, THIRD], ["removed", "valid", "valid"]],
    [DAY, [NEW.revoked(), THIRD], [NEW.revoked(), THIRD], ["removed", "revoked", "valid"]],
    [31 * DAY, [THIRD], [THIRD], ["removed", "removed", "valid"]],
  ];
  for (const [i, [seconds, keys, signers, states]] of steps.entries()) {
    follower.see(seconds, keys, signers);
    follower.restart(dsAnchor([OLD]));
    assert.deepEqual(follower.states(OLD, NEW, THIRD), states, `step ${i}`);
  }
  assert.deepEqual(follower.trusted, [THIRD.tag]);
});

test("after ten years away a zone that still signs with an anchor is followed, another is not believed [5011-a]", () => {
  const years = 3652 * DAY;
  const same = started();
  same.see(years, [OLD, NEW], [OLD]);
  assert.deepEqual(same.states(OLD, NEW), ["valid", "add-pending"]);
  const other = started();
  other.restart(dsAnchor([OLD]));
  other.see(years, [NEW, THIRD], [NEW, THIRD]);
  assert.deepEqual(other.states(OLD, NEW, THIRD), ["valid", undefined, undefined]);
  assert.equal(other.nextIn, 2 * HOUR + 0.4 * HOUR, "a tenth of the day that the set lived");
  other.restart(dsAnchor([OLD, THIRD]));
  other.see(DAY, [NEW, THIRD], [THIRD]);
  assert.deepEqual(other.states(OLD, NEW, THIRD), ["missing", "add-pending", "valid"]);
});

test("a configured digest of a pending key ends its waiting [5011-a]", () => {
  const follower = started();
  follower.see(DAY, [OLD, NEW], [OLD]);
  follower.restart(dsAnchor([OLD, NEW]));
  assert.deepEqual(follower.trusted, [NEW.tag, OLD.tag]);
  follower.see(DAY, [OLD, NEW], [NEW]);
  assert.deepEqual(follower.states(OLD, NEW), ["valid", "valid"]);
});

test("keys that cannot sign, or not with an algorithm known here, are not followed [5011-a]", () => {
  const follower = started();
  const rdata = Uint8Array.from(NEW.dnskey.rdata);
  rdata[3] = 200;
  const keys = [OLD, NEW, { dnskey: new Dnskey(rdata) }];
  follower.answer(DAY, keySet(keys, [OLD], follower.nowSeconds));
  assert.deepEqual(follower.states(OLD, NEW), ["valid", "add-pending"]);
  assert.equal(follower.point.keys.length, 2);
});

test("as many keys are followed as the limit says, which is more than five [5011-2.4.3]", () => {
  const follower = started();
  const many = Array.from({ length: FOLLOWED_KEYS_MAX }, (_, i) => new CeremonyKey(`one of many ${i}`));
  follower.see(DAY, [OLD, ...many], [OLD]);
  assert.ok(FOLLOWED_KEYS_MAX >= 5);
  assert.equal(follower.point.keys.length, FOLLOWED_KEYS_MAX);
  assert.equal(follower.events.filter(({ kind }) => kind === "no room").length, 1);
});

test("the next query follows from original TTL and the end of the signature, from an hour to 15 days [5011-2.3]", () => {
  const cases: [KeySetTimes & { leftSeconds: number }, number, number][] = [
    [{ ttlSeconds: DAY, leftSeconds: 20 * DAY }, 12 * HOUR, 2.4 * HOUR],
    [{ ttlSeconds: 10_800, leftSeconds: 20 * DAY }, 5400, HOUR],
    [{ ttlSeconds: 60, leftSeconds: 20 * DAY }, HOUR, HOUR],
    [{ ttlSeconds: 60 * DAY, leftSeconds: 90 * DAY }, 15 * DAY, DAY],
    [{ ttlSeconds: 60 * DAY, leftSeconds: 4 * DAY }, 2 * DAY, 9.6 * HOUR],
    [{ ttlSeconds: 60 * DAY, leftSeconds: 10 }, HOUR, HOUR],
  ];
  for (const [{ ttlSeconds = 0, leftSeconds }, interval, retry] of cases) {
    const follower = started();
    const expirationSeconds = follower.nowSeconds + DAY + leftSeconds;
    follower.see(DAY, [OLD], [OLD], { ttlSeconds, expirationSeconds });
    assert.equal(follower.nextIn, interval, `${ttlSeconds} ${leftSeconds}`);
    follower.answer(interval, undefined);
    assert.equal(follower.nextIn, retry, `${ttlSeconds} ${leftSeconds}`);
  }
});

test("signatures that others put in front do not hide the right one [5011-a]", () => {
  const follower = started();
  const rrset = keySet([OLD, NEW], [OLD], follower.nowSeconds);
  const noise = Array.from(
    { length: 100 },
    () => keySet([OLD, NEW], [THIRD], follower.nowSeconds).signatures,
  ).flat();
  follower.answer(DAY, { ...rrset, signatures: [...noise, ...rrset.signatures] });
  assert.deepEqual(follower.states(OLD, NEW), ["valid", "add-pending"]);
});
