/** `sotto front` as users run it, and kdig asking it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeIdentity } from "./our-server.ts";
import { freePort, type RunningPeer, runCommand, SOTTO, startPeer } from "./peers.ts";

/** Ours, listening on loopback. */
export interface OurFront {
  readonly port: number;
  readonly tlsPort: number;
  readonly file: string;
  readonly pin: string;
  readonly peer: RunningPeer;
}

/** `settings` are its pools and what else its file says. */
export async function startFront(folder: string, settings: string): Promise<OurFront> {
  const pin = await writeIdentity(folder);
  const [port, tlsPort] = [await freePort(), await freePort()];
  const file = join(folder, "front.yaml");
  writeFileSync(
    file,
    `listen:
  - { transport: udp, address: 127.0.0.1, port: ${port} }
  - { transport: tcp, address: 127.0.0.1, port: ${port} }
  - { name: encrypted, transport: tls, address: 127.0.0.1, port: ${tlsPort}, certificate: server.pem, key: server.key }
control: { socket: control.sock }
access: { transfers: [127.0.0.0/8] }
limits: { idle-timeout: 7s }
${settings}
`,
  );
  const command = [...SOTTO, "front", "--config", file];
  const peer = await startPeer(process.execPath, command, (output) => output.includes("ready"));
  return { port, tlsPort, file, pin, peer };
}

/** What kdig prints; over UDP unless it is told otherwise. */
export function kdig(front: OurFront, ...args: string[]): Promise<string> {
  return runCommand("kdig", ["@127.0.0.1", "-p", String(front.port), "+time=8", "+retry=0", ...args]).then(
    ({ stdout, stderr }) => stdout + stderr,
  );
}

/** Over TLS, where the front end proves who it is. */
export function kdigTls(front: OurFront, ...args: string[]): Promise<string> {
  const to = [
    "@127.0.0.1",
    "-p",
    String(front.tlsPort),
    "+tls",
    `+tls-pin=${front.pin}`,
    "+time=8",
    "+retry=0",
  ];
  return runCommand("kdig", [...to, ...args]).then(({ stdout, stderr }) => stdout + stderr);
}
