/** `deploy/systemd` under the real systemd, with all its hardening, on a machine of its own. */
import assert from "node:assert/strict";
import { MACHINE_PROGRAMS, runOnMachine } from "./machine.ts";
import { AUTH_NAME, LOCAL_DATA, NAMES, writeIdentity } from "./our-server.ts";
import { peerTest, temporaryFolder } from "./peers.ts";

/** The resolver serves TLS on 853, the stub asks it; nothing needs an account of this machine. */
const PREPARE = `cp /opt/sotto/deploy/systemd/*.service /opt/sotto/deploy/systemd/*.socket /run/units/
echo 'sotto:x:991:991::/:/usr/sbin/nologin' >> /etc/passwd
echo 'sotto:x:991:' >> /etc/group
mkdir /etc/sotto
cp /opt/out/ca.pem /opt/out/server.pem /opt/out/server.key /etc/sotto/
chmod 644 /etc/sotto/*
chown sotto /etc/sotto/server.key && chmod 400 /etc/sotto/server.key
cat > /etc/sotto/sotto.yaml << 'END'
listen: [{ transport: tls, address: 127.0.0.1, certificate: server.pem, key: server.key }]
${LOCAL_DATA}
log: { format: json }
END
cat > /etc/sotto/stub.yaml << 'END'
stub: { upstreams: [{ address: 127.0.0.1, name: ${AUTH_NAME}, authorities: ca.pem }] }
dnssec: { validation: false }
log: { format: json }
END
# The resolver's notices come from its own process (foreign functions), or they would not be taken.
for unit in "sotto main" "sotto-stub all"; do
  set -- $unit
  mkdir /run/units/$1.service.d
  printf '[Service]\\nStandardError=append:/opt/out/%s.log\\nWatchdogSec=4s\\nNotifyAccess=%s\\n' $1 $2 > /run/units/$1.service.d/test.conf
done
`;

const SCRIPT = `ask() { dig +short +time=30 +tries=1 @127.0.0.1 "$@"; }
show() { systemctl show --value -p "$1" sotto-stub.service; }
systemctl start sotto.service && echo server started
systemctl start sotto-stub.socket
echo "stub before: $(systemctl is-active sotto-stub.service)"
echo "udp: $(ask ${NAMES[0]})"
echo "tcp: $(ask +tcp ${NAMES[1]})"
echo "stub after: $(systemctl is-active sotto-stub.service)"
for i in $(seq 200); do show StatusText | grep -q authenticated && break; sleep 0.1; done
echo "status: $(show StatusText)"
pid=$(show MainPID)
echo "capabilities: $(grep -E '^Cap(Eff|Bnd)' /proc/$pid/status | cut -f 2 | tr '\\n' ' ')"
sotto stub status --socket /run/sotto-stub/control.sock | grep -o 'authenticated by name .*example'
systemctl reload sotto-stub.service && echo reloaded
echo "tcp again: $(ask +tcp ${NAMES[2]})"
kill -STOP $pid
for i in $(seq 300); do [ "$(show MainPID)" != $pid ] && [ "$(show ActiveState)" = active ] && break; sleep 0.1; done
echo "restarts: $(show NRestarts)"
echo "after a hang: $(ask ${NAMES[3]})"
systemctl stop sotto-stub.socket sotto-stub.service
echo "stopped: $(show Result) $(show ActiveState)"
cp /opt/sotto/deploy/systemd/own-sockets.conf /run/units/sotto-stub.service.d/
systemctl daemon-reload
systemctl start sotto-stub.service
echo "own sockets: $(ask ${NAMES[4]})"
systemctl stop sotto-stub.service sotto.service
echo "stopped: $(show Result) $(systemctl show --value -p Result sotto.service)"
`;

peerTest(
  "systemd runs the stub: sockets on demand, no capability, status, reload, watchdog, end",
  [...MACHINE_PROGRAMS, "dig"],
  async (context) => {
    const folder = temporaryFolder(context);
    await writeIdentity(folder);
    const output = await runOnMachine({ folder, prepare: PREPARE, script: SCRIPT, timeoutMs: 90_000 });
    if (output === undefined) {
      context.skip("no namespaces or no cgroup2 here");
      return;
    }
    assert.deepEqual(output.trim().split("\n"), [
      "server started",
      "stub before: inactive",
      "udp: 192.0.2.1",
      "tcp: 192.0.2.2",
      "stub after: active",
      "status: serving on 127.0.0.1 port 53 (udp, tcp); upstreams of .: 1 authenticated",
      "capabilities: 0000000000000000 0000000000000000 ",
      `authenticated by name ${AUTH_NAME}`,
      "reloaded",
      "tcp again: 192.0.2.3",
      "restarts: 1",
      "after a hang: 192.0.2.4",
      "stopped: success inactive",
      "own sockets: 192.0.2.5",
      "stopped: success success",
      "end of script",
    ]);
  },
);
