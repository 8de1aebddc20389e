/** `deploy/systemd` as systemd's own tools judge it; nothing is started. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { ServiceNotifier } from "../../packages/sotto/src/operations/index.ts";
import { openNotifySocket } from "../integration/foreign-sockets.test-support.ts";
import { peerTest, runCommand, temporaryFolder } from "./peers.ts";

const UNITS = join(import.meta.dirname, "../../deploy/systemd");

/** Tenths of ten. What is left is the network, which a resolver needs, memory for compiled code, and children's notices. */
const EXPOSURE_MAX = { "sotto-stub.service": 14, "sotto.service": 17, "sotto-front.service": 17 };

for (const [unit, exposureMax] of Object.entries(EXPOSURE_MAX))
  peerTest(`${unit} leaves little open`, ["systemd-analyze"], async () => {
    const args = [
      "security",
      "--offline=true",
      "--no-pager",
      `--threshold=${exposureMax}`,
      join(UNITS, unit),
    ];
    const { code, stdout } = await runCommand("systemd-analyze", args);
    assert.equal(code, 0, stdout);
  });

peerTest("systemd finds no fault with the units", ["systemd-analyze"], async (context) => {
  const folder = temporaryFolder(context);
  const files = readdirSync(UNITS).filter((file) => /\.(?:service|socket)$/.test(file));
  assert.ok(files.length >= 3);
  for (const file of files) {
    const text = readFileSync(join(UNITS, file), "utf8");
    // It looks for the program, which is not installed here.
    writeFileSync(join(folder, file), text.replace("ExecStart=/usr/local/bin/sotto", "ExecStart=/bin/true"));
  }
  const { code, stdout, stderr } = await runCommand("systemd-analyze", [
    "verify",
    "--man=no",
    ...files.map((file) => join(folder, file)),
  ]);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: "", stderr: "" });
});

peerTest("the drop-in for own sockets gives one capability", ["systemd-analyze"], async (context) => {
  const folder = temporaryFolder(context);
  const unit = join(folder, "sotto-stub.service");
  writeFileSync(
    unit,
    readFileSync(join(UNITS, "sotto-stub.service"), "utf8") +
      readFileSync(join(UNITS, "own-sockets.conf"), "utf8"),
  );
  const { stdout } = await runCommand("systemd-analyze", [
    "security",
    "--offline=true",
    "--no-pager",
    "--json=short",
    unit,
  ]);
  const rows: { set: boolean | null; json_field: string }[] = JSON.parse(stdout);
  const open = rows.filter(({ set, json_field: field }) => set === false && field.includes("CAP_"));
  assert.equal(open.length, 1);
  assert.match(open[0]?.json_field ?? "", /CAP_NET_BIND_SERVICE/);
});

peerTest(
  "without foreign functions systemd-notify tells the service manager",
  ["systemd-notify"],
  async (context) => {
    const folder = temporaryFolder(context);
    const address = join(folder, "notify");
    const manager = openNotifySocket(address);
    context.after(() => manager.close());
    const problems: string[] = [];
    const environment: Record<string, string | undefined> = { NOTIFY_SOCKET: address };
    const notifier = new ServiceNotifier(
      { environment, pid: process.pid, send: async () => "no foreign functions" },
      nodeRuntime().clock,
      {
        wants: () => true,
        publish: (name, details) => void problems.push(`${name} ${JSON.stringify(details)}`),
      },
    );
    notifier.ready("serving; upstreams of .: 1 authenticated");
    const closed = notifier.close();
    assert.equal(await manager.until(/READY=1/), "READY=1\nSTATUS=serving; upstreams of .: 1 authenticated");
    await closed;
    assert.deepEqual(problems, []);
  },
);
