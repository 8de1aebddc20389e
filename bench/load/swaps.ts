/** Certificates swapped and configurations reloaded while dnsperf asks over TLS. */
import { spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeAuthority } from "../../packages/sotto/src/operations/index.ts";
import { AUTH_NAME, openTls, type Server, type World } from "../../scripts/evidence/world.ts";
import { pause } from "./clients.ts";
import { type Outcome, type Scale, WIDE_LIMITS, withServer } from "./scenario.ts";

/** How often the server looks at its certificate files. */
const WATCH_MS = 100;
/** Looks until a new certificate must have been served; each look is a handshake. */
const LOOKS_MAX = 100;
/** One swap and one signal in each; with this dnsperf's time is known before, so that it ends by itself and cuts nothing off. */
const PACE_MS = 250;
const MARGIN_SECONDS = 5;

/** 100 of each, the certificates noticed by watching and each seen in a handshake before the signal. */
export function swapsAndSignals(scale: Scale): Promise<Outcome> {
  const times = Math.round(100 / scale);
  return withServer(
    `${WIDE_LIMITS}\ntls: { watch-certificates: ${WATCH_MS}ms }`,
    (world, server, _tcp, tls) => measure(world, server, tls, times),
  );
}

async function measure(world: World, server: Server, tls: number, times: number): Promise<Outcome> {
  const authority = await makeAuthority("another authority", Date.now());
  const dnsperf = startDnsperf(world, tls, Math.ceil((times * PACE_MS) / 1000) + MARGIN_SECONDS);
  await pause(1000);
  const startMs = performance.now();
  let served = 0;
  for (let i = 0; i < times; i++) {
    await pause(Math.max(0, startMs + i * PACE_MS - performance.now()));
    const pair = await authority.issue([AUTH_NAME], Date.now());
    // As renewal tools do: whole files appear under the names. Between the two renames they do not fit, which is refused.
    replace(world, "server.key", pair.keyPem);
    replace(world, "server.pem", pair.certificatePem);
    const { fingerprint256 } = new X509Certificate(pair.certificatePem);
    if (await isServed(tls, authority.certificatePem, fingerprint256)) served++;
    const reloads = told(server, "reloaded");
    server.process.kill("SIGHUP");
    for (let look = 0; look < LOOKS_MAX && told(server, "reloaded") === reloads; look++) await pause(20);
  }
  const hasLasted = dnsperf.isRunning();
  const report = await dnsperf.report;
  const reloads = told(server, "reloaded");
  const lost = figure(report, "Queries lost");
  // The line is there only when there were some.
  const interrupted = figure(report, "Queries interrupted", "0");
  const reconnects = figure(report, "Reconnections");
  return {
    scenario: `certificate swapped ${times} times and SIGHUP ${times} times under dnsperf -m tls`,
    goal: "each certificate served, each reload done, no query lost, no connection closed",
    isMet:
      hasLasted && lost.startsWith("0 ") && /^0\b/.test(reconnects) && reloads === times && served === times,
    figures: [
      ["queries sent", figure(report, "Queries sent")],
      ["queries completed", figure(report, "Queries completed")],
      ["queries lost", lost],
      ["queries cut off by the end of dnsperf", interrupted],
      ["reconnections", reconnects],
      ["new certificates seen in a handshake", String(served)],
      ["reloads", String(reloads)],
      ["dnsperf asked until the last", hasLasted ? "yes" : "no"],
      ["average latency, s", figure(report, "Average Latency \\(s\\)")],
    ],
  };
}

function replace(world: World, name: string, pem: string): void {
  writeFileSync(join(world.folder, `${name}.new`), pem);
  renameSync(join(world.folder, `${name}.new`), join(world.folder, name));
}

async function isServed(port: number, caPem: string, fingerprint: string): Promise<boolean> {
  for (let look = 0; look < LOOKS_MAX; look++) {
    const client = await openTls(port, caPem);
    const seen = client.tls.getPeerX509Certificate()?.fingerprint256;
    client.close();
    if (seen === fingerprint) return true;
    await pause(20);
  }
  return false;
}

function told(server: Server, message: string): number {
  return server.log.filter((line) => line["msg"] === message).length;
}

function figure(report: string, what: string, otherwise = "?"): string {
  return new RegExp(`${what}:\\s+([^\\n]*)`).exec(report)?.[1] ?? otherwise;
}

function startDnsperf(
  world: World,
  port: number,
  seconds: number,
): { isRunning(): boolean; report: Promise<string> } {
  const queries = join(world.folder, "queries");
  writeFileSync(queries, "www.corp.example A\n");
  const args = `-m tls -s 127.0.0.1 -p ${port} -c 20 -q 100 -Q 5000 -l ${seconds} -d`.split(" ");
  const child = spawn("dnsperf", [...args, queries], { stdio: ["ignore", "pipe", "inherit"] });
  let report = "";
  child.stdout.on("data", (chunk: Buffer) => {
    report += chunk.toString();
  });
  return {
    isRunning: () => child.exitCode === null && child.signalCode === null,
    report: new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", () => resolve(report));
    }),
  };
}
