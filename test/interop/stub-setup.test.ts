/**
 * What `sotto stub setup` prints, applied and undone on a machine that may be changed: namespaces of its own with a copy of
 * /etc. Names are answered otherwise by the servers before the change, so that each answer tells who was asked.
 */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { AUTH_NAME, DOMAIN, writeIdentity } from "./our-server.ts";
import { COMMAND_TIMEOUT_MS, peerTest, runCommand, SOTTO, temporaryFolder } from "./peers.ts";

/** Where scripts/install-peers.sh unpacks it: installing the package would take over resolv.conf. */
const RESOLVED = "/var/lib/sotto-peers/systemd-resolved/lib/systemd/systemd-resolved";
const NAME = `host.${DOMAIN}`;

/** Commands of a plan as a script. */
const EXTRACT = `const plan = JSON.parse(require("node:fs").readFileSync(process.argv[2], "utf8"));
console.log(["set -e", ...plan[process.argv[3]].flatMap(({ commands }) => commands)].join("\\n"));`;

/** Runs `script` beside a stub on 127.0.0.1, the server that it asks over TLS, and one on 127.0.0.9 that answers otherwise. */
async function onMachine(context: TestContext, { system = "", prepare = "", script = "" }): Promise<string> {
  const folder = temporaryFolder(context);
  await writeIdentity(folder);
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  const data = (address: string): string =>
    `local-zones: { data: ["${NAME}. 300 IN A ${address}"] }\nresolver: { encryption: off }\nlog: { format: json }\n`;
  write(
    "server.yaml",
    `listen: [{ transport: tls, address: 127.0.0.7, certificate: server.pem, key: server.key }]\n${data("192.0.2.1")}`,
  );
  write(
    "before.yaml",
    `listen: [{ transport: udp, address: 127.0.0.9 }, { transport: tcp, address: 127.0.0.9 }]\n${data("198.51.100.1")}`,
  );
  write(
    "stub.yaml",
    `stub: { upstreams: [{ address: 127.0.0.7, name: ${AUTH_NAME}, authorities: ca.pem }] }\ndnssec: { validation: false }\nlog: { format: json }\n`,
  );
  write("extract.cjs", EXTRACT);
  write(
    "run.sh",
    `cd ${folder}
ip link set lo up
ip link add v0 type veth peer name v1; ip addr add 10.99.0.1/24 dev v0; ip link set v0 up; ip link set v1 up
ip route add default via 10.99.0.2
mkdir machine && cp -a /etc machine/etc && mount --bind machine/etc /etc || exit 1
# A file that is mounted on its own in /etc stays below.
umount /etc/resolv.conf 2>/dev/null
mount -t tmpfs none /run || exit 1
rm -f /etc/resolv.conf; printf 'search ${DOMAIN}\\nnameserver 127.0.0.9\\n' > /etc/resolv.conf
echo 'hosts: files dns' > /etc/nsswitch.conf
sotto() { ${process.execPath} ${SOTTO.join(" ")} "$@"; }
sotto serve --config server.yaml 2> server.log &
sotto serve --config before.yaml 2> before.log &
sotto stub --config stub.yaml --socket control.sock 2> stub.log &
for log in server before stub; do for i in $(seq 300); do grep -q '"ready"' $log.log && break; sleep 0.1; done; done
${prepare}
sotto stub setup ${system} --config stub.yaml --json > plan.json || exit 1
for part in steps undo; do ${process.execPath} extract.cjs plan.json $part > $part.sh || exit 1; done
${script}
echo end of script
`,
  );
  const namespaces = ["-nm", "--fork", "--pid", "--kill-child", "--mount-proc"];
  const run = await runCommand("unshare", [...namespaces, "sh", join(folder, "run.sh")], {
    timeoutMs: 3 * COMMAND_TIMEOUT_MS,
  });
  assert.match(run.stdout, /end of script/, run.stdout + run.stderr);
  return run.stdout;
}

const PROGRAMS = ["unshare", "ip", "dig", "getent"];

for (const isLink of [false, true])
  peerTest(
    `resolv.conf, ${isLink ? "a link" : "a file"}, is changed as told and put back`,
    PROGRAMS,
    async (context) => {
      const output = await onMachine(context, {
        prepare: isLink ? "mv /etc/resolv.conf /run/made.conf; ln -s /run/made.conf /etc/resolv.conf" : "",
        system: "resolv.conf",
        script: `
look() { echo "$1: $(getent ahostsv4 ${NAME} | sed 's/ .*//' | uniq) $(dig +short ${NAME}) $(dig +short +search ${NAME.split(".")[0]}) $(readlink /etc/resolv.conf)"; }
ls -l --full-time /etc/resolv.conf > attributes; cat /etc/resolv.conf > text
look before
sh steps.sh && look after
# Once more: what was saved must be the first state.
sh steps.sh && look twice
sh undo.sh && look undone
ls -l --full-time /etc/resolv.conf | cmp - attributes && cmp /etc/resolv.conf text && [ ! -e /etc/resolv.conf.before-sotto ] && echo "as it was"
`,
      });
      const all = (address: string): string => `${address} ${address} ${address}`;
      const link = isLink ? " /run/made.conf" : " ";
      const expected = [
        `before: ${all("198.51.100.1")}${link}`,
        `after: ${all("192.0.2.1")} `,
        `twice: ${all("192.0.2.1")} `,
        `undone: ${all("198.51.100.1")}${link}`,
        "as it was",
        "end of script",
      ];
      assert.deepEqual(output.trim().split("\n"), expected);
    },
  );

peerTest("systemd-resolved is recognised, changed as told and put back", PROGRAMS, async (context) => {
  if (!existsSync(RESOLVED)) {
    assert.notEqual(process.env["CI"], "true", "scripts/install-peers.sh unpacks systemd-resolved");
    context.skip("no systemd-resolved: scripts/install-peers.sh unpacks it");
    return;
  }
  const output = await onMachine(context, {
    // Without systemd as process 1 a script takes the part of systemctl.
    prepare: `
mkdir -p /run/systemd/resolve; chown 990:990 /run/systemd/resolve
echo 'systemd-resolve:x:990:990::/:/usr/sbin/nologin' >> /etc/passwd
echo 'systemd-resolve:x:990:' >> /etc/group
rm -rf /etc/systemd; mkdir -p /etc/systemd/resolved.conf.d
# An older setting that has to be forgotten.
printf '[Resolve]\\nDNS=127.0.0.9\\nDNSOverTLS=no\\nDNSSEC=no\\nDomains=~example\\n' > /etc/systemd/resolved.conf.d/before.conf
mkdir bin; cat > bin/systemctl <<'END'
#!/bin/sh
[ "$1 $2" = "restart systemd-resolved" ] || exit 1
if [ -e ${"$"}HERE/pid ]; then kill $(cat ${"$"}HERE/pid); while kill -0 $(cat ${"$"}HERE/pid) 2>/dev/null; do sleep 0.05; done; fi
${RESOLVED} >> ${"$"}HERE/resolved.log 2>&1 &
echo $! > ${"$"}HERE/pid
for i in $(seq 100); do dig +short +time=1 +tries=1 @127.0.0.53 localhost | grep -qx 127.0.0.1 && break; sleep 0.1; done
END
chmod 755 bin/systemctl; export HERE=$PWD PATH=$PWD/bin:$PATH
systemctl restart systemd-resolved
ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
`,
    script: `
grep -o '"system": "[^"]*"' plan.json
look() { echo "$1: $(getent ahostsv4 ${NAME} | sed 's/ .*//' | uniq) $(dig +short ${NAME})"; }
look before
sh steps.sh && look after
sh undo.sh && look undone
ls /etc/systemd/resolved.conf.d
kill $(cat pid)
`,
  });
  assert.deepEqual(output.trim().split("\n"), [
    '"system": "systemd-resolved"',
    "before: 198.51.100.1 198.51.100.1",
    "after: 192.0.2.1 192.0.2.1",
    "undone: 198.51.100.1 198.51.100.1",
    "before.conf",
    "end of script",
  ]);
});
