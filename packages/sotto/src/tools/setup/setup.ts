/** `sotto stub setup`: how to make this machine ask the stub, and how to undo it. Prints, and changes nothing. */
import { addressToText, tryParseAddress } from "@sotto/dns/wire";
import { type Config, loadConfigFile, problemToText } from "../../config/index.ts";
import { ExitCode, type ProgramIo } from "../../operations/index.ts";
import { detectSystem } from "./detect.ts";
import { type Machine, thisMachine } from "./machine.ts";
import { planMacos } from "./macos.ts";
import { planNetworkManager } from "./network-manager.ts";
import type { SetupPlan, SetupProblem, StubPlace, SystemName } from "./plan.ts";
import { portOwners, portTraps } from "./port-owner.ts";
import { planToText } from "./print.ts";
import { planResolvConf } from "./resolv-conf.ts";
import { planSystemdResolved } from "./systemd-resolved.ts";

const PLANNERS = {
  "systemd-resolved": planSystemdResolved,
  networkmanager: planNetworkManager,
  "resolv.conf": planResolvConf,
  macos: planMacos,
} as const;

/** As they stand on the command line. */
export interface SetupArguments {
  readonly system: string | undefined;
  readonly address: string | undefined;
  readonly port: string | undefined;
  readonly config: string | undefined;
  readonly json: boolean;
}

export function runStubSetup(
  args: SetupArguments,
  io: Pick<ProgramIo, "stdout" | "stderr">,
  machine: Machine = thisMachine,
): number {
  const place = placeOf(args);
  const plan = "problem" in place ? place : planSetup(args.system, place, machine);
  if ("problem" in plan) {
    io.stderr.write(`sotto stub setup: ${plan.problem}\n`);
    return ExitCode.Failed;
  }
  // Only a place gives a plan.
  const stub = place as StubPlace;
  const { address, port } = stub;
  io.stdout.write(
    args.json ? `${JSON.stringify({ stub: { address, port }, ...plan }, null, 2)}\n` : planToText(plan, stub),
  );
  return ExitCode.Ok;
}

/** The plan for a system, by default the one that this machine has. */
export function planSetup(
  wanted: string | undefined,
  place: StubPlace,
  machine: Machine,
): SetupPlan | SetupProblem {
  const names = Object.keys(PLANNERS).join(", ");
  if (wanted !== undefined && !isSystem(wanted))
    return { problem: `${JSON.stringify(wanted)} is not known; there are ${names}` };
  const detected = detectSystem(machine);
  const system = wanted ?? detected.system;
  if (system === undefined) return { problem: `${detected.findings.join("; ")}: say which system: ${names}` };
  if (place.port !== 53 && system !== "systemd-resolved")
    return {
      problem: `${system} can only name servers on port 53, and the stub listens on port ${place.port}: let it listen on port 53 (deploy/systemd has a socket unit for that)`,
    };
  const planned = PLANNERS[system](machine, place);
  const findings =
    wanted === undefined || wanted === detected.system
      ? detected.findings
      : [
          ...detected.findings,
          `${wanted} was asked for; by its files this machine has ${detected.system ?? "none that is known"}`,
        ];
  const owners = portOwners(machine, place);
  const ours = owners.find(({ process }) => process?.isOurs === true)?.process;
  return {
    system,
    ...planned,
    findings:
      ours === undefined ? findings : [...findings, `sotto already listens there (process ${ours.pid})`],
    traps: [...portTraps(owners, place.port), ...planned.traps],
  };
}

function isSystem(text: string): text is SystemName {
  return Object.hasOwn(PLANNERS, text);
}

/** Where programs reach the stub: as told, else as configured, else as it is by default. */
function placeOf({ address, port, config }: SetupArguments): StubPlace | SetupProblem {
  let configured: Pick<StubPlace, "address" | "port" | "validates"> = STUB_DEFAULT;
  if (config !== undefined) {
    const loaded = loadConfigFile(config, "stub");
    if (!loaded.ok) return { problem: loaded.problems.map(problemToText).join("; ") };
    const listener = clearListener(loaded.config);
    if (listener === undefined && (address === undefined || port === undefined))
      return { problem: `${config} has no address with both a udp and a tcp listener, which programs need` };
    configured = { ...(listener ?? STUB_DEFAULT), validates: loaded.config.dnssec.validation };
  }
  const parsed = tryParseAddress(address ?? configured.address);
  if (!parsed.ok) return { problem: `--address: ${parsed.problem}` };
  const number = Number(port ?? configured.port);
  if (!Number.isInteger(number) || number < 1 || number > 65_535)
    return { problem: `--port: ${JSON.stringify(port)} is not a port` };
  const text = addressToText(parsed.value);
  const loopback = LOOPBACK_OF[text];
  return {
    address: loopback ?? text,
    port: number,
    isEverywhere: loopback !== undefined,
    validates: configured.validates,
    configFile: config,
  };
}

/** The first address that serves UDP and TCP in clear: libraries use both (RFC 7766 §5). */
function clearListener({ listeners }: Config): { address: string; port: number } | undefined {
  const isServed = (transport: string, { address, port }: { address: string; port: number }): boolean =>
    listeners.some(
      (one) => one.transport === transport && one.local.address === address && one.local.port === port,
    );
  return listeners.find(({ transport, local }) => transport === "udp" && isServed("tcp", local))?.local;
}

/** What a listener on all addresses is reached by. */
const LOOPBACK_OF: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };
/** `sotto stub` without listeners in its file; what it validates is not known. */
const STUB_DEFAULT = { address: "127.0.0.1", port: 53, validates: false };
