/** What a client's namespace sends and gets besides loopback traffic, as tshark sees it: whether anything was in clear. */
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { encodeMessage, makeMessage, parseName, RRClass, RRType } from "@sotto/dns/wire";
import { run } from "./recovery-network.ts";
import { delay } from "./recovery-programs.ts";

/** What was captured. */
export interface Captured {
  readonly packets: number;
  /** To or from port 53, or with a name that was asked for, other than the control's. */
  readonly inClear: number;
  /** The same of a query that was sent in clear on purpose, and its answer: the capture sees what there is to see. */
  readonly control: number;
}

/** Captures until it is called. */
export async function startCapture(file: string): Promise<(server: string) => Promise<Captured>> {
  const args = ["-i", "any", "-q", "-f", "not net 127.0.0.0/8", "-w", file];
  const tshark = spawn("tshark", args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  for await (const chunk of tshark.stderr) {
    said += String(chunk);
    if (said.includes("Capturing on")) break;
  }
  return async (server) => {
    await askInClear(server);
    tshark.kill("SIGINT");
    if (tshark.exitCode === null) await once(tshark, "close");
    return read(file);
  };
}

async function askInClear(server: string): Promise<void> {
  const question = { name: parseName(`${CONTROL}.example.`), type: RRType.A, class: RRClass.IN };
  const socket = createSocket("udp4");
  socket.send(encodeMessage(makeMessage({ recursionDesired: true, questions: [question] })), 53, server);
  // Captures are written with a delay.
  await delay(1500);
  socket.close();
}

function read(file: string): Captured {
  const fields = ["udp.port", "tcp.port", "frame.number"].flatMap((field) => ["-e", field]);
  const ports = run("tshark", "-r", file, "-T", "fields", ...fields)
    .trimEnd()
    .split("\n");
  const withName = (name: string): Set<string> =>
    new Set(
      run("tshark", "-r", file, "-Y", `frame contains "${name}"`, "-T", "fields", "-e", "frame.number").split(
        "\n",
      ),
    );
  const asked = withName("recovery");
  const control = withName(CONTROL);
  const clear = ports
    .map((line) => line.split("\t"))
    .filter(
      ([udp = "", tcp = "", number = ""]) => asked.has(number) || `${udp},${tcp}`.split(",").includes("53"),
    );
  const ofControl = clear.filter(([, , number = ""]) => control.has(number)).length;
  return { packets: ports.length, inClear: clear.length - ofControl, control: ofControl };
}

const CONTROL = "askedinclear";
