/**
 * A machine for tests that need one of their own: the installed systemd as process 1 of new namespaces. Everything of this
 * machine is read-only there, but for /dev, /etc, /run, /tmp, /var and the homes, which are its own and in memory, and it
 * begins only when that is so. It knows no units but those of the test, so that nothing of an ordinary start runs.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { runCommand } from "./peers.ts";

/** Programs that a machine needs. */
export const MACHINE_PROGRAMS: readonly string[] = ["unshare", "ip", "systemctl", "timeout"];

const ROOT = resolve(import.meta.dirname, "../..");

export interface MachineOptions {
  /** For files of the test; /opt/out on the machine, where alone it can write for good. */
  readonly folder: string;
  /** Shell lines before systemd starts; /opt/sotto is this repository, /run/units takes units. */
  readonly prepare: string;
  /** Shell lines as root under systemd; the machine ends with them. */
  readonly script: string;
  readonly timeoutMs: number;
}

/** Runs a script on a new machine, with `sotto` on its PATH, and gives what it printed; undefined where there can be none. */
export async function runOnMachine(options: MachineOptions): Promise<string | undefined> {
  const { folder, prepare, script, timeoutMs } = options;
  const output = join(folder, "output");
  const files = {
    output: "",
    "prepare.sh": prepare,
    "script.sh": script,
    "inside.sh": INSIDE,
    "outside.sh": OUTSIDE,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const node = relative(ROOT, process.execPath);
  const env = {
    ...process.env,
    FOLDER: folder,
    ROOT,
    NODE: node.startsWith("..") ? process.execPath : join("/opt/sotto", node),
    LIMIT_S: String(Math.ceil(timeoutMs / 1000)),
  };
  const run = await runCommand("unshare", ["-m", "sh", join(folder, "outside.sh")], {
    // It ends by its own limit, and takes its processes with it.
    timeoutMs: timeoutMs + 10_000,
    env,
  });
  const text = readFileSync(output, "utf8");
  if (text.endsWith("end of script\n")) return text;
  if (run.code === NOT_POSSIBLE) return undefined;
  throw new Error(`the machine ended early:\n${text}\n${run.stdout}${run.stderr}`);
}

const NOT_POSSIBLE = 77;

/** A cgroup of its own, which systemd makes its root, and which is removed afterwards. */
const OUTSIDE = `mount --make-rprivate / || exit ${NOT_POSSIBLE}
mkdir "$FOLDER/cgroup" && mount -t cgroup2 none "$FOLDER/cgroup" || exit ${NOT_POSSIBLE}
own="$FOLDER/cgroup/sotto-machine-$$"
mkdir "$own" && echo $$ > "$own/cgroup.procs" || exit ${NOT_POSSIBLE}
timeout -s KILL "$LIMIT_S" unshare -fpmnuiC --kill-child --mount-proc sh "$FOLDER/inside.sh" &
machine=$!
while kill -0 $machine 2> /dev/null; do
  grep -q "^end of script" "$FOLDER/output" && break
  sleep 0.1
done
# The child of timeout is unshare, whose child ends with it, and with that all processes of the namespace.
kill -KILL $(ps -o pid= --ppid $machine) 2> /dev/null
wait $machine
echo $$ > "$FOLDER/cgroup/cgroup.procs"
sleep 0.2
find "$own" -depth -type d -exec rmdir {} +
umount "$FOLDER/cgroup"
`;

const INSIDE = `set -eu
export container=sotto
mount --make-rprivate /
ip link set lo up
mount -t tmpfs none /opt
mkdir /opt/sotto /opt/out /opt/dev /opt/etc
mount --bind "$ROOT" /opt/sotto
mount --bind "$FOLDER" /opt/out
cp -a /etc/. /opt/etc/
umount /etc/resolv.conf 2> /dev/null || true
mount --bind /opt/etc /etc
for place in /run /tmp /home /root /var /usr/local/bin; do mount -t tmpfs none $place; done
mkdir -p /var/lib /var/tmp /var/log /var/cache
chmod 1777 /tmp /var/tmp
mount -t tmpfs -o mode=755 none /opt/dev
for device in "null 3" "zero 5" "full 7" "random 8" "urandom 9"; do
  set -- $device
  mknod -m 666 /opt/dev/$1 c 1 $2
done
mknod -m 666 /opt/dev/tty c 5 0
mkdir /opt/dev/shm /opt/dev/pts /opt/dev/mqueue /opt/dev/hugepages
mount -t devpts -o newinstance,ptmxmode=0666 none /opt/dev/pts
ln -s pts/ptmx /opt/dev/ptmx
ln -s /proc/self/fd /opt/dev/fd
mount --rbind /opt/dev /dev
for place in /sys /proc/sys; do mount --bind $place $place; done
mount -t cgroup2 none /sys/fs/cgroup
awk '{ print $5 }' /proc/self/mountinfo | while read -r place; do
  case $place in
    /opt | /opt/out | /opt/etc | /etc | /run | /tmp | /home | /root | /var | /usr/local/bin | /opt/dev* | /dev* | /sys/fs/cgroup | /proc) ;;
    *) mount -o remount,bind,ro "$place" 2> /dev/null || true ;;
  esac
done
# What systemd does at a start must not reach the machine that the test runs on.
for place in / /usr /sys /proc/sys/kernel "$ROOT"; do
  if [ -w "$place" ] && [ "$place" != "$FOLDER" ]; then echo "$place can be written: no machine is started"; exit 1; fi
done
if [ -n "$(ls -A /tmp)" ]; then echo "/tmp is not the machine's own: it is not started"; exit 1; fi
mkdir /run/units
for target in sysinit basic sockets shutdown network network-online nss-lookup multi-user; do
  printf '[Unit]\\nDefaultDependencies=no\\n' > /run/units/$target.target
done
cat > /usr/local/bin/sotto << END
#!/bin/sh
exec $NODE --conditions=source --disable-warning=ExperimentalWarning /opt/sotto/packages/sotto/src/bin/sotto.ts "\\$@"
END
chmod 755 /usr/local/bin/sotto
. /opt/out/prepare.sh
printf '[Unit]\\nDefaultDependencies=no\\nWants=script.service\\n' > /run/units/script.target
cat > /run/units/script.service << 'END'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sh /opt/out/script.sh
ExecStopPost=/bin/sh -c 'echo end of script'
StandardOutput=append:/opt/out/output
StandardError=append:/opt/out/output
END
export SYSTEMD_UNIT_PATH=/run/units SYSTEMD_GENERATOR_PATH=/run/none SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/run/none
exec /lib/systemd/systemd --system --unit=script.target --log-target=console --show-status=no
`;
