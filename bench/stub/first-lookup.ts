/** What a command line program pays: a process that starts, asks one question and ends. The library runs as it is published: compiled. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SERVER_NAME, type ServerFacts, ZONE } from "./server.ts";

/** Medians over the runs, milliseconds. */
export interface FirstLookup {
  readonly title: string;
  /** From the start of the process to its end. */
  readonly wallMs: number;
  /** User and system time. */
  readonly cpuMs: number;
}

const REPOSITORY = join(import.meta.dirname, "../..");

/** Throws when a program fails. */
export function measureFirstLookups(facts: ServerFacts, folder: string, runs: number): FirstLookup[] {
  compile(folder);
  const programs = programsFor(facts).map(([title, text], i) => {
    const file = join(folder, `first-${i}.mjs`);
    writeFileSync(file, text);
    return { title, file, wall: [] as number[], cpu: [] as number[] };
  });
  for (let run = 0; run < runs; run++)
    for (const { title, file, wall, cpu } of programs) {
      const startMs = performance.now();
      const env = { ...process.env, NODE_EXTRA_CA_CERTS: undefined, CA: facts.authorityFile };
      const { status, stdout, stderr } = spawnSync(process.execPath, [file], { env, encoding: "utf8" });
      if (status !== 0) throw new Error(`${title}: ${stderr}`);
      wall.push(performance.now() - startMs);
      cpu.push(Number(stdout));
    }
  return programs.map(({ title, wall, cpu }) => ({ title, wallMs: median(wall), cpuMs: median(cpu) }));
}

/** Prints the CPU time of the process so far. */
const END = `process.stdout.write(String((process.resourceUsage().userCPUTime + process.resourceUsage().systemCPUTime) / 1000));`;

function programsFor({ port, tlsPort, httpsPort }: ServerFacts): [title: string, text: string][] {
  const name = `once.${ZONE}`;
  const stub = (upstream: string): string => `import { readFileSync } from "node:fs";
import { StubResolver } from "@sotto/dns/stub";
const trustAnchorsPem = [readFileSync(process.env.CA, "utf8")];
const stub = new StubResolver({ upstreams: [${upstream}] });
const { records } = await stub.query("${name}", "A");
if (records.length !== 1) throw new Error("no answer");
await stub.close();
${END}`;
  return [
    ["nothing", END],
    [
      "node:dns resolve4, UDP",
      `import { Resolver } from "node:dns/promises";
const resolver = new Resolver();
resolver.setServers(["127.0.0.1:${port}"]);
await resolver.resolve4("${name}");
${END}`,
    ],
    ["StubResolver.query, UDP", stub(`"udp://127.0.0.1:${port}"`)],
    [
      "StubResolver.query, DoT, own trust anchor",
      stub(
        `{ transport: "tls", address: "127.0.0.1", port: ${tlsPort}, name: "${SERVER_NAME}", trustAnchorsPem }`,
      ),
    ],
    [
      "StubResolver.query, DoT, the built-in roots (server not authenticated)",
      stub(`{ transport: "tls", address: "127.0.0.1", port: ${tlsPort} }`).replace(
        "upstreams:",
        'profile: "opportunistic", neverClear: true, upstreams:',
      ),
    ],
    [
      "fetch, DoH",
      `import { readFileSync } from "node:fs";
import { setDefaultCACertificates } from "node:tls";
setDefaultCACertificates([readFileSync(process.env.CA, "utf8")]);
const question = Buffer.concat([Buffer.from("000001000001000000000000", "hex"), ...${JSON.stringify(name.split("."))}.map((label) =>
  Buffer.from(String.fromCharCode(label.length) + label)), Buffer.from("0000010001", "hex")]);
const url = "https://127.0.0.1:${httpsPort}/dns-query?dns=" + question.toString("base64url");
const reply = await fetch(url, { headers: { accept: "application/dns-message" } });
if (!reply.ok || (await reply.arrayBuffer()).byteLength < 12) throw new Error("no answer");
${END}
process.exit(0);`,
    ],
  ];
}

function compile(folder: string): void {
  const target = join(folder, "node_modules/@sotto/dns");
  mkdirSync(target, { recursive: true });
  copyFileSync(join(REPOSITORY, "packages/dns/package.json"), join(target, "package.json"));
  const source = join(REPOSITORY, "packages/dns/src");
  const config = {
    extends: join(REPOSITORY, "tsconfig.json"),
    compilerOptions: {
      noEmit: false,
      noCheck: true,
      target: "esnext",
      rootDir: source,
      outDir: join(target, "dist"),
      typeRoots: [join(REPOSITORY, "node_modules/@types")],
    },
    include: [source],
    exclude: [join(source, "**/*.test.ts"), join(source, "**/*.test-support.ts")],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const compiler = join(REPOSITORY, "node_modules/.bin/tsc");
  const { status, stdout } = spawnSync(compiler, ["-p", folder], { encoding: "utf8" });
  if (status !== 0) throw new Error(`tsc: ${stdout}`);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >>> 1] ?? 0;
}
