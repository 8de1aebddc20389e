/** Makes macOS ask the stub: networksetup(8) for all names, resolver(5) for those of some domains. */
import type { Machine } from "./machine.ts";
import { type SetupPlan, type StubPlace, stubChecks } from "./plan.ts";

type Planned = Pick<SetupPlan, "traps" | "first" | "steps" | "checks" | "undo">;

/** A script that gives every network service the servers back that it had. */
const SAVED = "/etc/sotto-dns-before.sh";
/** The first line explains the list; an asterisk marks services that are off. */
const EACH_SERVICE =
  "networksetup -listallnetworkservices | tail -n +2 | sed 's/^\\*//' | while IFS= read -r service; do";
const FLUSH = "dscacheutil -flushcache; killall -HUP mDNSResponder";

export function planMacos(machine: Machine, place: StubPlace): Planned {
  const domains = machine.list("/etc/resolver") ?? [];
  return {
    traps: [
      "a VPN may bring servers of its own, which come first: scutil --dns shows the order",
      "a network service that is added later has the servers of its network: set it, too",
      "dig and host read /etc/resolv.conf alone; what programs get is told by dscacheutil",
      ...domains.map((name) => `/etc/resolver/${name} sends the names below ${name} elsewhere, and stays`),
    ],
    first: stubChecks(place),
    steps: [
      {
        title: "Note the servers of every network service, as commands that bring them back",
        commands: [
          // A second run must not note our own address.
          `[ -e ${SAVED} ] || ${EACH_SERVICE}\n  servers=$(networksetup -getdnsservers "$service" | tr '\\n' ' ')\n  case "$servers" in *" any DNS Servers "*) servers=Empty ;; esac\n  printf 'networksetup -setdnsservers "%s" %s\\n' "$service" "$servers"\ndone > ${SAVED}`,
        ],
      },
      {
        title: "Let every network service ask the stub",
        why: "Search domains stay: they are another setting.",
        commands: [`${EACH_SERVICE}\n  networksetup -setdnsservers "$service" ${place.address}\ndone`, FLUSH],
      },
    ],
    checks: [
      { command: "scutil --dns", expect: `resolver #1 has nameserver[0] : ${place.address}` },
      { command: "dscacheutil -q host -a name example.com", expect: "an answer, as programs get it" },
      ...stubChecks(place).slice(2),
    ],
    undo: [
      {
        title: "Give every network service its servers back",
        commands: [`sh ${SAVED}`, `rm -f ${SAVED}`, FLUSH],
      },
    ],
  };
}
