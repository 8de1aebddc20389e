/** Our daemons under a service manager, whose part these tests play: passed sockets, readiness, watchdog. Linux only. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { Exchanger } from "@sotto/dns/transport";
import { makeEdns, parseName, RRClass, RRType, recordToText } from "@sotto/dns/wire";
import { foreignSocket, openNotifySocket } from "./foreign-sockets.test-support.ts";

const SOTTO = [
  "--conditions=source",
  "--disable-warning=ExperimentalWarning",
  join(import.meta.dirname, "../../packages/sotto/src/bin/sotto.ts"),
];
const skip = process.platform === "linux" ? false : "a service manager of Linux";
const COMMON = `local-zones: { data: ["www.example. 300 IN A 192.0.2.7"] }
resolver: { encryption: off }
log: { format: json }
`;

function folderFor(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "sotto-service-"));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

interface Daemon {
  readonly process: ChildProcess;
  /** Resolves when a line of the log fits, of those that came and those that come. */
  line(fits: RegExp): Promise<string>;
  /** Exit code. */
  readonly ended: Promise<number | null>;
  log(): string;
}

/** Starts as systemd does: by exec of a process that knows its own number, with descriptors from 3. */
function start(
  context: TestContext,
  file: string,
  { fds = [], names = "", environment = {} }: { fds?: number[]; names?: string; environment?: object },
): Daemon {
  const script = fds.length === 0 ? 'WATCHDOG_PID=$$ exec "$@"' : 'LISTEN_PID=$$ exec "$@"';
  const listen = fds.length === 0 ? {} : { LISTEN_FDS: String(fds.length), LISTEN_FDNAMES: names };
  const child = spawn("sh", ["-c", script, "sh", process.execPath, ...SOTTO, "serve", "--config", file], {
    stdio: ["ignore", "ignore", "pipe", ...fds],
    env: { ...process.env, ...listen, ...environment },
  });
  context.after(() => child.kill("SIGKILL"));
  let log = "";
  let wake = Promise.withResolvers<void>();
  const awake = (): void => {
    wake.resolve();
    wake = Promise.withResolvers();
  };
  child.stderr?.on("data", (text: Buffer) => {
    log += text.toString("utf8");
    awake();
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  let hasEnded = false;
  void ended.then(() => {
    hasEnded = true;
    awake();
  });
  return {
    process: child,
    ended,
    log: () => log,
    async line(fits) {
      for (;;) {
        const found = log.split("\n").find((line) => fits.test(line));
        if (found !== undefined) return found;
        if (hasEnded) throw new Error(`it ended without ${String(fits)}:\n${log}`);
        await wake.promise;
      }
    },
  };
}

/** The address that the daemon answers with. */
async function ask(transport: "udp" | "tcp" | "tls", port: number): Promise<string | undefined> {
  const runtime = nodeRuntime();
  const exchanger = new Exchanger({}, runtime);
  try {
    const { message } = await exchanger.exchange({
      question: { name: parseName("www.example."), type: RRType.A, class: RRClass.IN },
      server: { address: "127.0.0.1", port },
      transport,
      edns: makeEdns(),
      tls: {
        serverName: undefined,
        authName: undefined,
        pins: [],
        trustAnchorsPem: undefined,
        authenticate: "no",
      },
      recursionDesired: true,
      checkingDisabled: false,
      authenticData: false,
      deadlineMs: runtime.clock.nowMs() + 20_000,
    });
    return message.answers.map(recordToText)[0]?.split(/\s+/).at(-1);
  } finally {
    await exchanger.close();
  }
}

test("listeners take the sockets that were passed, and keep them over reloads", { skip }, async (context) => {
  const folder = folderFor(context);
  const file = join(folder, "sotto.yaml");
  // They stay open here, too: a daemon that opened its own would find the addresses in use.
  const [tcp, tls, stray] = [foreignSocket("tcp"), foreignSocket("tcp"), foreignSocket("tcp")];
  const { port } = tcp;
  const udp = foreignSocket("udp", port);
  context.after(() => {
    for (const socket of [tcp, tls, stray, udp]) socket.close();
  });
  const listeners = [
    `{ transport: udp, address: 127.0.0.1, port: ${port} }`,
    `{ transport: tcp, address: 127.0.0.1, port: ${port}, fast-open: auto }`,
    // Its socket is elsewhere, and is found by its name.
    "{ transport: tls, address: 127.0.0.1, port: 0 }",
    "{ transport: udp, address: 127.0.0.1, port: 0 }",
  ];
  const write = (lines: readonly string[]): void =>
    writeFileSync(file, `listen: [${lines.join(", ")}]\n${COMMON}`);
  write(listeners);
  const fds = [udp.fd, stray.fd, tls.fd, tcp.fd];
  const daemon = start(context, file, { fds, names: "dns:stray:tls:dns" });
  await daemon.line(/"ready"/);
  assert.equal(await ask("udp", port), "192.0.2.7");
  assert.equal(await ask("tcp", port), "192.0.2.7");
  assert.equal(await ask("tls", tls.port), "192.0.2.7");
  assert.match(await daemon.line(/"transport":"tcp".*"listening"/), /"inherited":"dns"/);
  assert.match(await daemon.line(/listener\.socket-unused/), new RegExp(`"port":${stray.port}`));
  assert.match(await daemon.line(/listener\.socket-missing/), /add ListenDatagram=127\.0\.0\.1:0/);

  write(listeners.slice(2));
  daemon.process.kill("SIGHUP");
  await daemon.line(/"closed tcp .*"reloaded"/);
  assert.equal(await ask("tls", tls.port), "192.0.2.7");
  write(listeners);
  daemon.process.kill("SIGHUP");
  await daemon.line(/"opened tcp .*"reloaded"/);
  assert.equal(await ask("udp", port), "192.0.2.7", "what a reload closed comes back");
  assert.equal(await ask("tcp", port), "192.0.2.7");
  daemon.process.kill("SIGTERM");
  assert.equal(await daemon.ended, 0, daemon.log());
});

test("a listener that has no socket and cannot open one names the missing directive", {
  skip,
}, async (context) => {
  const folder = folderFor(context);
  const file = join(folder, "sotto.yaml");
  const [passed, taken] = [foreignSocket("tcp"), foreignSocket("tcp")];
  context.after(() => {
    for (const socket of [passed, taken]) socket.close();
  });
  writeFileSync(file, `listen: [{ transport: tcp, address: 127.0.0.1, port: ${taken.port} }]\n${COMMON}`);
  const daemon = start(context, file, { fds: [passed.fd], names: "dns" });
  assert.equal(await daemon.ended, 2);
  assert.match(
    daemon.log(),
    new RegExp(`passed no socket for it: add ListenStream=127\\.0\\.0\\.1:${taken.port} to the socket unit`),
  );
});

for (const kind of ["path", "abstract"] as const)
  test(`readiness, watchdog, reloads and the end are told, by ${kind}`, { skip }, async (context) => {
    const folder = folderFor(context);
    const file = join(folder, "sotto.yaml");
    const address = kind === "path" ? join(folder, "notify") : `@${folder}`;
    const manager = openNotifySocket(address);
    context.after(() => manager.close());
    const config = `listen: [{ transport: tcp, address: 127.0.0.1, port: 0 }]\n${COMMON}`;
    writeFileSync(file, config);
    const environment = { NOTIFY_SOCKET: address, WATCHDOG_USEC: "400000" };
    const daemon = start(context, file, { environment });
    const ready = await manager.until(/^READY=1\nSTATUS=/);
    const port = Number(
      /^READY=1\nSTATUS=serving on 127\.0\.0\.1 port (\d+) \(tcp\)(?: by \d+ workers)?$/.exec(ready)?.[1],
    );
    assert.equal(await ask("tcp", port), "192.0.2.7", "ready means that listeners are open");
    assert.equal(await manager.until(/WATCHDOG/), "WATCHDOG=1");
    for (const [text, said] of [
      [config, /"reloaded"/],
      ["listen: 7", /reload refused/],
    ] as const) {
      manager.forget();
      writeFileSync(file, text);
      daemon.process.kill("SIGHUP");
      await daemon.line(said);
      assert.match(await manager.until(/RELOADING/), /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
      await manager.until(/^READY=1/);
    }
    daemon.process.kill("SIGTERM");
    await manager.until(/^STOPPING=1/);
    assert.equal(await daemon.ended, 0, daemon.log());
  });
