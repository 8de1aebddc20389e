/** Takes resolv.conf away from NetworkManager (NetworkManager.conf(5)) and names the stub in it. */
import type { Machine } from "./machine.ts";
import { quoted, type SetupPlan, type StubPlace, stubChecks, writeFileCommand } from "./plan.ts";
import { nameServiceTraps, replaceStep, resolvConfChecks, restoreStep } from "./resolv-conf.ts";
import { RESOLV_CONF, readResolvConf } from "./resolv-conf-file.ts";

type Planned = Pick<SetupPlan, "traps" | "first" | "steps" | "checks" | "undo">;

const FOLDER = "/etc/NetworkManager/conf.d";
const NAME = "99-sotto.conf";
const FILE = `${FOLDER}/${NAME}`;

export function planNetworkManager(machine: Machine, place: StubPlace): Planned {
  const conf = readResolvConf(machine);
  // nmcli(1): configuration is read again, connections stay.
  const reload = "systemctl reload NetworkManager";
  return {
    traps: trapsOf(machine),
    first: stubChecks(place),
    steps: [
      {
        title: `Keep NetworkManager from writing ${RESOLV_CONF}`,
        commands: [
          `mkdir -p ${FOLDER}`,
          writeFileCommand(FILE, ["[main]", "dns=none", "rc-manager=unmanaged"]),
          reload,
        ],
      },
      replaceStep(place, conf),
    ],
    checks: [
      { command: "NetworkManager --print-config", expect: "dns=none and rc-manager=unmanaged in [main]" },
      ...resolvConfChecks(place),
    ],
    undo: [
      restoreStep(conf),
      {
        title: "Let NetworkManager write again, with the servers of its connections",
        commands: [`rm -f ${FILE}`, reload],
      },
    ],
  };
}

function trapsOf(machine: Machine): string[] {
  const traps = [
    "search domains of networks that are joined later no longer come into resolv.conf, nor do servers of a VPN; those of now stay",
    ...nameServiceTraps(machine),
  ];
  for (const file of configFiles(machine)) {
    const text = machine.read(file) ?? "";
    const plugin = /^[ \t]*dns[ \t]*=[ \t]*(\S+)/m.exec(text)?.[1];
    const isLater = file.startsWith(`${FOLDER}/`) && file.slice(FOLDER.length + 1) > NAME;
    if (isLater && /^[ \t]*(?:dns|rc-manager)[ \t]*=/m.test(text))
      traps.unshift(`${quoted(file)} is read later and sets dns or rc-manager: take that out`);
    else if (plugin === "dnsmasq")
      traps.unshift(
        `${quoted(file)} has dns=dnsmasq, which holds port 53 of 127.0.0.1 until the first step is done: start the stub after it`,
      );
    else if (plugin === "systemd-resolved")
      traps.unshift(
        `${quoted(file)} has dns=systemd-resolved: then sotto stub setup systemd-resolved changes less`,
      );
  }
  return traps;
}

function configFiles(machine: Machine): string[] {
  const inFolder = (folder: string): string[] =>
    (machine.list(folder) ?? []).filter((name) => name.endsWith(".conf")).map((name) => `${folder}/${name}`);
  return [
    ...inFolder("/usr/lib/NetworkManager/conf.d"),
    "/etc/NetworkManager/NetworkManager.conf",
    ...inFolder(FOLDER),
  ];
}
