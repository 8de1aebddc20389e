import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "@sotto/dns/testing";
import { type SendState, ServiceNotifier } from "./service-notifier.ts";

interface Told {
  readonly notifier: ServiceNotifier;
  readonly clock: SimClock;
  /** What was sent, in order. */
  readonly sent: string[];
  readonly events: string[];
  readonly environment: Record<string, string | undefined>;
}

function notifierFor(
  environment: Record<string, string | undefined>,
  send?: SendState,
  sendOtherwise?: SendState,
): Told {
  const clock = new SimClock();
  const sent: string[] = [];
  const events: string[] = [];
  const record: SendState = async (address, octets) =>
    void sent.push(`${address}: ${Buffer.from(octets).toString("utf8")}`);
  const notifier = new ServiceNotifier(
    {
      environment,
      pid: 7,
      send: send ?? record,
      sendOtherwise: sendOtherwise ?? record,
      monotonicMicroseconds: () => 42n,
    },
    clock,
    { wants: () => true, publish: (name, details) => void events.push(`${name} ${JSON.stringify(details)}`) },
  );
  return { notifier, clock, sent, events, environment };
}

test("a start, a reload and an end are told in order, and the variables are gone", async () => {
  const { notifier, sent, environment } = notifierFor({ NOTIFY_SOCKET: "/run/notify", HOME: "/" });
  notifier.ready("serving\non everything");
  notifier.reloading();
  notifier.ready("serving on more");
  notifier.stopping("draining");
  await notifier.close();
  assert.deepEqual(sent, [
    "/run/notify: READY=1\nSTATUS=serving on everything",
    "/run/notify: RELOADING=1\nMONOTONIC_USEC=42",
    "/run/notify: READY=1\nSTATUS=serving on more",
    "/run/notify: STOPPING=1\nSTATUS=draining",
  ]);
  assert.deepEqual(environment, { HOME: "/" });
});

test("without a socket to tell nothing is sent and no timer runs", async () => {
  const { notifier, clock, sent } = notifierFor({ WATCHDOG_USEC: "1000000" });
  notifier.ready("serving");
  notifier.watch(
    () => true,
    () => "serving",
  );
  await clock.advance(60_000);
  await notifier.close();
  assert.deepEqual(sent, []);
  assert.equal(clock.pendingTimers.length, 0);
});

test("the watchdog is fed at half its time, only while the program is alive", async () => {
  const { notifier, clock, sent } = notifierFor({
    NOTIFY_SOCKET: "@n",
    WATCHDOG_USEC: "2000000",
    WATCHDOG_PID: "7",
  });
  let isAlive = true;
  notifier.ready("serving");
  notifier.watch(
    () => isAlive,
    () => "serving",
  );
  await clock.advance(999);
  assert.equal(sent.length, 1);
  await clock.advance(2001);
  assert.deepEqual(sent.slice(1), ["@n: WATCHDOG=1", "@n: WATCHDOG=1", "@n: WATCHDOG=1"]);
  isAlive = false;
  await clock.advance(10_000);
  assert.equal(sent.length, 4);
  await notifier.close();
  assert.equal(clock.pendingTimers.length, 0);
});

test("the watchdog of another process is not ours", async () => {
  const { notifier, clock, sent } = notifierFor({
    NOTIFY_SOCKET: "@n",
    WATCHDOG_USEC: "2000000",
    WATCHDOG_PID: "8",
  });
  notifier.ready("serving");
  notifier.watch(
    () => true,
    () => "serving",
  );
  await clock.advance(60_000);
  await notifier.close();
  assert.equal(sent.length, 1);
});

test("another status is told once, the same one never again", async () => {
  const { notifier, clock, sent } = notifierFor({ NOTIFY_SOCKET: "@n" });
  let status = "2 untried";
  notifier.ready(status);
  notifier.watch(
    () => true,
    () => status,
  );
  await clock.advance(20_000);
  status = "2 authenticated";
  await clock.advance(20_000);
  await notifier.close();
  assert.deepEqual(sent, ["@n: READY=1\nSTATUS=2 untried", "@n: STATUS=2 authenticated"]);
});

test("where the socket cannot be reached the other way is taken, and a failure of both is told", async () => {
  const fail = async (): Promise<string> => "no foreign functions";
  const other = notifierFor({ NOTIFY_SOCKET: "@n" }, fail);
  other.notifier.ready("serving");
  await other.notifier.close();
  assert.deepEqual(other.sent, ["@n: READY=1\nSTATUS=serving"]);
  assert.deepEqual(other.events, []);
  const neither = notifierFor({ NOTIFY_SOCKET: "@n" }, fail, async () => {
    throw new Error("not installed");
  });
  neither.notifier.ready("serving");
  await neither.notifier.close();
  assert.match(neither.events.join(), /^service\.not-told .*READY=1.*no foreign functions; not installed/);
});

test("messages that a stuck service manager does not take are left out beyond a limit", async () => {
  const stuck = Promise.withResolvers<undefined>();
  let calls = 0;
  const { notifier } = notifierFor({ NOTIFY_SOCKET: "@n" }, () => {
    calls++;
    return stuck.promise;
  });
  for (let i = 0; i < 1000; i++) notifier.reloading();
  stuck.resolve(undefined);
  await notifier.close();
  assert.equal(calls, 16);
});
