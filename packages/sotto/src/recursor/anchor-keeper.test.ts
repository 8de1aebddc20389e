import assert from "node:assert/strict";
import { test } from "node:test";
import { keyTagsOf, type SignedRRset, type TrustAnchor, tryReadAnchorState } from "@sotto/dns/dnssec";
import { simRuntime } from "@sotto/dns/testing";
import type { Name } from "@sotto/dns/wire";
import {
  CeremonyKey,
  DAY,
  dsAnchor,
  HOUR,
  keySet,
  ZONE,
} from "../../../dns/src/dnssec/key-ceremony.test-support.ts";
import { AnchorKeeper, type AnchorKeeperOptions } from "./anchor-keeper.ts";

const [OLD, NEW] = [new CeremonyKey("old"), new CeremonyKey("new")];

/** A keeper in virtual time, whose zone publishes what `publish` says. */
class Bench {
  readonly world = simRuntime(1);
  readonly runtime = this.world.runtimeOf(["192.0.2.254"]);
  /** What the zone answers; undefined: nothing. */
  publish: (nowSeconds: number) => SignedRRset | undefined = () => undefined;
  /** Seconds since 1970. */
  readonly asked: number[] = [];
  readonly replaced: string[] = [];
  readonly signals: string[] = [];
  saved: string | undefined = undefined;
  keeper: AnchorKeeper;

  constructor(anchors: readonly TrustAnchor[], options: Partial<AnchorKeeperOptions> = {}) {
    this.keeper = this.#makeKeeper(anchors, options);
  }

  get nowSeconds(): number {
    return Math.floor(this.world.clock.wallMs() / 1000);
  }

  pass(seconds: number): Promise<void> {
    return this.world.clock.advance(seconds * 1000);
  }

  /** Ends the keeper and begins with another one where it has ended. */
  async restart(anchors: readonly TrustAnchor[]): Promise<void> {
    await this.keeper.close();
    const known = tryReadAnchorState(this.saved ?? "");
    assert.ok(known.ok, JSON.stringify(known));
    this.keeper = this.#makeKeeper(anchors, { known: known.value });
    this.keeper.start();
  }

  async end(): Promise<void> {
    await this.keeper.close();
    assert.deepEqual(this.world.clock.pendingTimers, []);
  }

  #makeKeeper(anchors: readonly TrustAnchor[], options: Partial<AnchorKeeperOptions>): AnchorKeeper {
    return new AnchorKeeper(
      {
        anchors,
        known: [],
        policy: { sha1: true },
        skew: { minSeconds: 0, maxSeconds: 0 },
        fetchKeys: () => {
          this.asked.push(this.nowSeconds);
          return Promise.resolve(this.publish(this.nowSeconds));
        },
        replace: (zone, anchor) => this.replaced.push(trustText(zone, anchor)),
        save: (text) => {
          this.saved = text;
          return Promise.resolve();
        },
        signal: ({ name }) => this.signals.push(name.toString()),
        ...options,
      },
      this.runtime,
    );
  }
}

function trustText(zone: Name, anchor: TrustAnchor | undefined): string {
  if (anchor === undefined) return `${zone} nothing`;
  return `${zone} ${anchor.ds.length} digests ${anchor.keys.length} keys ${keyTagsOf(anchor).join(" ")}`;
}

const tags = (...keys: readonly CeremonyKey[]): string =>
  keys
    .map(({ tag }) => tag)
    .sort((a, b) => a - b)
    .join(" ");

test("a rollover is followed while days pass, and written down at each step [5011-a]", async () => {
  const bench = new Bench([dsAnchor([OLD])]);
  bench.publish = (now) => keySet([OLD], [OLD], now);
  bench.keeper.start();
  await bench.pass(DAY);
  bench.publish = (now) => keySet([OLD, NEW], [OLD], now);
  await bench.pass(32 * DAY);
  await bench.restart([dsAnchor([OLD])]);
  bench.publish = (now) => keySet([OLD.revoked(), NEW], [OLD.revoked(), NEW], now);
  await bench.pass(2 * DAY);
  bench.publish = (now) => keySet([NEW], [NEW], now);
  await bench.pass(32 * DAY);
  assert.deepEqual(bench.replaced, [
    `example. 1 digests 0 keys ${tags(OLD)}`,
    `example. 0 digests 1 keys ${tags(OLD)}`,
    `example. 0 digests 2 keys ${tags(OLD, NEW)}`,
    `example. 0 digests 2 keys ${tags(OLD, NEW)}`,
    `example. 0 digests 1 keys ${tags(NEW)}`,
  ]);
  const changes = bench.world.events
    .named("anchors.key-changed")
    .map(({ keyTag, from, to }) => `${keyTag === OLD.tag ? "old" : "new"}: ${from} → ${to}`);
  assert.deepEqual(changes, [
    "old: start → valid",
    "new: start → add-pending",
    "new: add-pending → valid",
    "old: valid → revoked",
    "old: revoked → removed",
  ]);
  await bench.end();
});

test("the zone is asked a little sooner than it must be, never more often than hourly [5011-2.3]", async () => {
  for (const [ttlSeconds, least, most] of [
    [DAY, 0.9 * 12 * HOUR, 12 * HOUR],
    [7300, HOUR, 3650],
    [60, HOUR, HOUR],
  ] as const) {
    const bench = new Bench([dsAnchor([OLD])]);
    bench.publish = (now) => keySet([OLD], [OLD], now, { ttlSeconds });
    bench.keeper.start();
    await bench.pass(20 * most);
    const gaps = bench.asked.slice(1).map((at, i) => at - (bench.asked[i] ?? 0));
    assert.ok(gaps.length >= 19, `${gaps.length} queries`);
    for (const gap of gaps) assert.ok(gap >= least && gap <= most, `${gap} s for a TTL of ${ttlSeconds}`);
    await bench.end();
  }
});

test("a zone that does not answer is asked every hour and told of, and trust stays as it is [5011-2.3]", async () => {
  const bench = new Bench([dsAnchor([OLD])]);
  bench.keeper.start();
  await bench.pass(5 * HOUR + 1);
  assert.equal(bench.asked.length, 6);
  assert.equal(bench.replaced.length, 1);
  const told = bench.world.events.named("anchors.not-validated");
  assert.deepEqual(told.map(({ why, failures }) => [why, failures]).at(-1), ["no answer", 6]);
  await bench.end();
});

test("a restart neither asks sooner nor forgets what failed [5011-2.3]", async () => {
  const bench = new Bench([dsAnchor([OLD])]);
  bench.publish = (now) => keySet([OLD], [OLD], now);
  bench.keeper.start();
  await bench.pass(HOUR);
  for (let i = 0; i < 9; i++) {
    await bench.restart([dsAnchor([OLD])]);
    await bench.pass(HOUR);
  }
  assert.equal(bench.asked.length, 1, "ten hours of a twelve hours' interval");
  await bench.end();
});

test("a deleted trust point is handed over as nothing and not asked again [5011-5]", async () => {
  const bench = new Bench([dsAnchor([OLD])]);
  bench.publish = (now) => keySet([OLD.revoked()], [OLD.revoked()], now);
  bench.keeper.start();
  await bench.pass(40 * DAY);
  assert.equal(bench.replaced.at(-1), "example. nothing");
  assert.equal(bench.asked.length, 1);
  assert.equal(bench.world.events.named("anchors.deleted").length, 1);
  await bench.restart([dsAnchor([OLD])]);
  assert.equal(bench.replaced.at(-1), "example. nothing");
  await bench.end();
});

test("zones whose anchor is not configured any more stay in the file", async () => {
  const bench = new Bench([dsAnchor([OLD]), dsAnchor([NEW], ZONE.parent())]);
  bench.publish = (now) => keySet([OLD], [OLD], now);
  bench.keeper.start();
  await bench.pass(1);
  await bench.restart([dsAnchor([NEW], ZONE.parent())]);
  await bench.pass(2 * HOUR);
  const read = tryReadAnchorState(bench.saved ?? "");
  assert.deepEqual(read.ok && read.value.map(({ zone, keys }) => [zone.toString(), keys.length]), [
    [".", 0],
    ["example.", 1],
  ]);
  await bench.end();
});

test("several anchors of one zone count together", async () => {
  const bench = new Bench([dsAnchor([OLD]), dsAnchor([NEW])]);
  bench.keeper.start();
  assert.deepEqual(bench.replaced, [`example. 2 digests 0 keys ${tags(OLD, NEW)}`]);
  await bench.end();
});

test("a state that cannot be saved is told, and saved with the next query", async () => {
  let saves = 0;
  const save = (): Promise<void> => {
    saves++;
    return Promise.reject(new Error("disk full"));
  };
  const bench = new Bench([dsAnchor([OLD])], { save });
  bench.publish = (now) => keySet([OLD], [OLD], now);
  bench.keeper.start();
  await bench.pass(DAY);
  assert.ok(saves >= 2);
  assert.equal(bench.world.events.named("anchors.not-saved")[0]?.["problem"], "disk full");
  await bench.end();
});

test("a wall clock that was set back or on does not silence the keeper", async () => {
  const bench = new Bench([dsAnchor([OLD])]);
  bench.publish = (now) => keySet([OLD], [OLD], now);
  bench.keeper.start();
  await bench.pass(1);
  bench.world.clock.jumpWall(-1000 * DAY * 1000);
  await bench.restart([dsAnchor([OLD])]);
  await bench.pass(16 * DAY);
  assert.ok(bench.asked.length >= 2);
  bench.world.clock.jumpWall(3000 * DAY * 1000);
  await bench.pass(DAY);
  assert.equal(bench.keeper.points[0]?.times.failures, 0);
  await bench.end();
});

test("what is trusted is signalled once a day and when it changes, not by silence [8145-5]", async () => {
  const bench = new Bench([dsAnchor([OLD])]);
  const label = (...keys: readonly CeremonyKey[]): string =>
    `_ta-${keys
      .map(({ tag }) => tag.toString(16).padStart(4, "0"))
      .sort()
      .join("-")}.example.`;
  bench.publish = (now) => keySet([OLD, NEW], [OLD], now);
  bench.keeper.start();
  await bench.pass(29 * DAY);
  assert.deepEqual([...new Set(bench.signals)], [label(OLD)]);
  assert.ok(bench.signals.length >= 14 && bench.signals.length <= 29, `${bench.signals.length} in 29 days`);
  await bench.pass(2 * DAY);
  assert.equal(bench.signals.at(-1), label(OLD, NEW));
  await bench.end();
});

test("an answer that comes after the end changes nothing", async () => {
  const waiting = Promise.withResolvers<SignedRRset | undefined>();
  const bench = new Bench([dsAnchor([OLD])], { fetchKeys: () => waiting.promise });
  bench.keeper.start();
  await bench.pass(1);
  const ended = bench.end();
  waiting.resolve(keySet([OLD], [OLD], bench.nowSeconds));
  await ended;
  assert.deepEqual([bench.saved, bench.replaced.length], [undefined, 1]);
});

test("an asker that throws is a bug that is told, and a failed query", async () => {
  const bench = new Bench([dsAnchor([OLD])], { fetchKeys: () => Promise.reject(new Error("oops")) });
  bench.keeper.start();
  await bench.pass(1);
  assert.equal(bench.world.events.named("server.bug").length, 1);
  assert.equal(bench.keeper.points[0]?.times.failures, 1);
  await bench.end();
});
