/** Makes programs ask the stub by /etc/resolv.conf, and keeps DHCP clients from writing over it. */
import type { Machine } from "./machine.ts";
import { type SetupPlan, type Step, type StubPlace, stubChecks, writeFileCommand } from "./plan.ts";
import { RESOLV_CONF, type ResolvConf, readResolvConf, resolvConfLines } from "./resolv-conf-file.ts";

type Planned = Pick<SetupPlan, "traps" | "first" | "steps" | "checks" | "undo">;

const SAVED = `${RESOLV_CONF}.before-sotto`;

export function planResolvConf(machine: Machine, place: StubPlace): Planned {
  const conf = readResolvConf(machine);
  const writers = writersOf(machine, place);
  const traps = [
    ...nameServiceTraps(machine),
    ...writers.flatMap(({ trap }) => (trap === undefined ? [] : [trap])),
  ];
  if (machine.list("/run/NetworkManager") !== undefined)
    traps.push("NetworkManager runs and may write the file again: sotto stub setup networkmanager");
  return {
    traps,
    first: stubChecks(place),
    steps: [...writers.flatMap(({ step }) => step ?? []), replaceStep(place, conf)],
    checks: resolvConfChecks(place),
    undo: [restoreStep(conf), ...writers.flatMap(({ undo }) => undo ?? [])],
  };
}

/** Saves the file and writes ours in its place. */
export function replaceStep(place: StubPlace, conf: ResolvConf): Step {
  const write = writeFileCommand(RESOLV_CONF, resolvConfLines(place, conf));
  return {
    title: `Name the stub in ${RESOLV_CONF}`,
    why: conf.exists
      ? conf.link === undefined
        ? `The file as it was stays in ${SAVED}.`
        : `The link as it was stays in ${SAVED}; writing through it would change a file that another program makes.`
      : undefined,
    commands: [
      // A second run must not save our own file.
      ...(conf.exists ? [`[ -e ${SAVED} ] || [ -L ${SAVED} ] || cp -a ${RESOLV_CONF} ${SAVED}`] : []),
      ...(conf.isMount ? [] : [`rm -f ${RESOLV_CONF}`]),
      write,
      `chmod 644 ${RESOLV_CONF}`,
    ],
  };
}

export function restoreStep({ exists, isMount }: ResolvConf): Step {
  if (!exists) return { title: `Have no ${RESOLV_CONF} again`, commands: [`rm -f ${RESOLV_CONF}`] };
  return {
    title: `Put ${RESOLV_CONF} back`,
    commands: isMount
      ? [`cat ${SAVED} > ${RESOLV_CONF}`, `rm -f ${SAVED}`]
      : [`mv -f ${SAVED} ${RESOLV_CONF}`],
  };
}

export function resolvConfChecks(place: StubPlace): SetupPlan["checks"] {
  return [
    {
      command: `cat ${RESOLV_CONF}`,
      expect: `nameserver ${place.address} alone, also after the network was down and up`,
    },
    { command: "dig example.com", expect: `SERVER: ${place.address}#53` },
    { command: "getent hosts example.com", expect: "an answer, as programs get it" },
    ...stubChecks(place).slice(2),
  ];
}

/** Programs that do not ask resolv.conf first. */
export function nameServiceTraps(machine: Machine): string[] {
  const hosts = /^[ \t]*hosts:(.*)$/m.exec(machine.read("/etc/nsswitch.conf") ?? "")?.[1] ?? "";
  const asksResolved =
    /(?:^|\s)resolve(?:\s|$)/.test(hosts) && machine.list("/run/systemd/resolve") !== undefined;
  return asksResolved
    ? [
        "/etc/nsswitch.conf asks systemd-resolved before resolv.conf (resolve before dns in its hosts line): use sotto stub setup systemd-resolved, or systemctl disable --now systemd-resolved",
      ]
    : [];
}

/** A program that writes resolv.conf with every lease. */
interface Writer {
  readonly step?: Step;
  readonly undo?: Step;
  readonly trap?: string;
}

function writersOf(machine: Machine, place: StubPlace): Writer[] {
  const writers: Writer[] = [];
  if (machine.read("/etc/dhcp/dhclient.conf") !== undefined) writers.push(dhclient(machine, place));
  for (const [name, file, line] of WRITERS_WITH_A_LINE)
    if (machine.read(file) !== undefined)
      writers.push({
        step: {
          title: `Keep ${name} from writing ${RESOLV_CONF}`,
          commands: [`cat >> ${file} <<'END'\n${BEGIN}\n${line}\n${FINISH}\nEND`],
        },
        undo: {
          title: `Let ${name} write again`,
          commands: [`sed -i '/^${BEGIN}$/,/^${FINISH}$/d' ${file}`],
        },
      });
  return writers;
}

/** dhclient-script(8): the function that writes the file is replaced by one that does nothing. */
function dhclient(machine: Machine, { address }: StubPlace): Writer {
  if (machine.list(DHCLIENT_HOOKS) === undefined)
    return {
      trap: `dhclient writes ${RESOLV_CONF} with each lease, and has no ${DHCLIENT_HOOKS}: add "supersede domain-name-servers ${address};" to /etc/dhcp/dhclient.conf`,
    };
  const file = `${DHCLIENT_HOOKS}/sotto`;
  return {
    step: {
      title: `Keep dhclient from writing ${RESOLV_CONF}`,
      commands: [writeFileCommand(file, ["make_resolv_conf() { :; }"])],
    },
    undo: { title: "Let dhclient write again", commands: [`rm -f ${file}`] },
  };
}

const DHCLIENT_HOOKS = "/etc/dhcp/dhclient-enter-hooks.d";
/** dhcpcd.conf(5), resolvconf.conf(5). */
const WRITERS_WITH_A_LINE = [
  ["dhcpcd", "/etc/dhcpcd.conf", "nohook resolv.conf"],
  ["resolvconf", "/etc/resolvconf.conf", "resolvconf=NO"],
] as const;
const BEGIN = "# sotto: begin";
const FINISH = "# sotto: end";
