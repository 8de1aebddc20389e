import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenListener, UpstreamStatus } from "../compose/index.ts";
import { frontStatusLine, statusLine } from "./status-line.ts";

function listener(
  transport: OpenListener["transport"],
  port: number,
): Pick<OpenListener, "transport" | "local"> {
  return { transport, local: { address: "127.0.0.1", port } };
}

function upstream(
  address: string,
  state: UpstreamStatus["state"],
): Pick<UpstreamStatus, "address" | "port" | "state"> {
  return { address, port: 853, state };
}

test("the status tells where is listened, and of each upstream its best state", () => {
  const zone = {
    zone: ".",
    upstreams: [
      upstream("192.0.2.1", "failing"),
      upstream("192.0.2.1", "encrypted"),
      upstream("192.0.2.2", "authenticated"),
      upstream("192.0.2.3", "untried"),
      upstream("192.0.2.4", "untried"),
    ],
  };
  const listeners = [listener("udp", 53), listener("tcp", 53), listener("tls", 853)];
  assert.equal(
    statusLine({ listeners, upstreams: () => [zone] }),
    "serving on 127.0.0.1 port 53 (udp, tcp), 127.0.0.1 port 853 (tls); upstreams of .: 1 authenticated, 1 encrypted, 2 untried",
  );
  assert.equal(
    statusLine({ listeners: [listener("udp", 53)], upstreams: () => [] }),
    "serving on 127.0.0.1 port 53 (udp)",
  );
});

test("an open portal comes first, also where service managers show how the stub does [8310-6.6-e]", () => {
  const opening = {
    names: ["portal.example.", "login.example."],
    server: { address: "192.0.2.254", port: 53 },
    openForMs: 0,
    leftMs: 60_000,
    queriesInClear: 0,
  };
  const portal = { isAllowed: true, opening, last: undefined, queriesInClear: 0 };
  const server = { listeners: [listener("udp", 53)], upstreams: () => [] };
  assert.equal(
    statusLine({ ...server, stubStatus: { portal } }),
    "DNS IS NOT PRIVATE for portal.example. login.example.: a portal is open; serving on 127.0.0.1 port 53 (udp)",
  );
  assert.match(
    statusLine({ ...server, stubStatus: { portal: { ...portal, opening: undefined } } }),
    /^serving/,
  );
});

test("several workers are counted, and those that are down are not passed over", () => {
  const listeners = [listener("udp", 53)];
  const line = (states: readonly string[]): string =>
    statusLine({ listeners, upstreams: () => [], workers: states.map((state) => ({ state })) });
  assert.equal(line(["serving", "serving"]), "serving on 127.0.0.1 port 53 (udp) by 2 workers");
  assert.equal(line(["serving", "down"]), "serving on 127.0.0.1 port 53 (udp) by 1 of 2 workers");
});

test("a front end tells its pools, and its workers where there are several", () => {
  const backends = ["up", "starting", "draining", "down"].map((state) => ({ state }));
  const line = (workers?: readonly { state: string }[]): string =>
    frontStatusLine({ listeners: [1, 2], status: { pools: [{ name: "main", backends }], workers } });
  assert.equal(line(), "serving on 2 listeners; main: 2 of 4 backends up");
  assert.equal(
    line([{ state: "serving" }, { state: "starting" }]),
    "serving on 2 listeners by 1 of 2 workers; main: 2 of 4 backends up",
  );
});
