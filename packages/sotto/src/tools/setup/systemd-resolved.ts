/** Makes systemd-resolved ask the stub (resolved.conf(5)); programs go on asking systemd-resolved. */
import type { Machine } from "./machine.ts";
import { quoted, type SetupPlan, type StubPlace, stubChecks, writeFileCommand } from "./plan.ts";

type Planned = Pick<SetupPlan, "traps" | "first" | "steps" | "checks" | "undo">;

const FOLDER = "/etc/systemd/resolved.conf.d";
const FILE = `${FOLDER}/sotto.conf`;

export function planSystemdResolved(machine: Machine, place: StubPlace): Planned {
  const restart = "systemctl restart systemd-resolved";
  return {
    traps: trapsOf(machine, place),
    first: stubChecks(place),
    steps: [
      {
        title: "Let systemd-resolved ask the stub, and only it",
        why: "An empty value forgets what other files set. DNSOverTLS and DNSSEC are off on the way to the stub alone: it encrypts and validates.",
        commands: [
          `mkdir -p ${FOLDER}`,
          writeFileCommand(FILE, [
            "[Resolve]",
            "DNS=",
            `DNS=${serverText(place)}`,
            "FallbackDNS=",
            "Domains=",
            "Domains=~.",
            "DNSOverTLS=no",
            "DNSSEC=no",
          ]),
          restart,
        ],
      },
    ],
    checks: [
      {
        command: "resolvectl status",
        expect: `Global: "DNS Servers: ${serverText(place)}" and "DNS Domain: ~."`,
      },
      { command: "resolvectl query example.com", expect: "an answer" },
      { command: "getent hosts example.com", expect: "the same for every program" },
      ...stubChecks(place).slice(2),
    ],
    undo: [
      {
        title: "Ask the networks' own servers again",
        why: "They have stayed with their links, so that nothing else has to be put back.",
        commands: [`rm -f ${FILE}`, restart],
      },
    ],
  };
}

function trapsOf(machine: Machine, { isEverywhere, address, port }: StubPlace): string[] {
  const traps = [
    "domains that a network announces as its own (DHCP, VPN) still go to that network's servers, in clear: resolvectl status shows them at their link; for none of it, sotto stub setup resolv.conf",
    "programs may see no AD bit, because systemd-resolved gives answers of its own",
  ];
  if (port === 53 && (isEverywhere || RESOLVED_ADDRESSES.includes(address)))
    traps.unshift(
      `systemd-resolved itself has port 53 of ${RESOLVED_ADDRESSES.join(" and ")}: let the stub listen on 127.0.0.1, or set DNSStubListener=no in ${FILE} and replace resolv.conf (sotto stub setup resolv.conf)`,
    );
  const later = (machine.list(FOLDER) ?? []).filter((name) => name > "sotto.conf" && name.endsWith(".conf"));
  for (const name of later) {
    const keys = [...(machine.read(`${FOLDER}/${name}`) ?? "").matchAll(OUR_KEYS)].map(([, key]) => key);
    if (keys.length > 0)
      traps.unshift(
        `${quoted(`${FOLDER}/${name}`)} is read later and sets ${keys.join(", ")}: take that out`,
      );
  }
  return traps;
}

function serverText({ address, port }: StubPlace): string {
  if (port === 53) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

const RESOLVED_ADDRESSES = ["127.0.0.53", "127.0.0.54"];
const OUR_KEYS = /^[ \t]*(DNS|FallbackDNS|Domains|DNSOverTLS|DNSSEC)[ \t]*=/gm;
