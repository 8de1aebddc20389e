/** The declarations hold in a strict program, without skipLibCheck, for both ways in which TypeScript finds modules. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CONSUMER, runThere } from "./consumer.test-support.ts";

const modules = join(import.meta.dirname, "../../node_modules");

const PROGRAM = `
import { DnsError, StubResolver, type StubAnswer } from "@sotto/dns";
import { install, promises } from "@sotto/dns/node-dns";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { StubResolver as Same } from "@sotto/dns/stub";
import { SimClock } from "@sotto/dns/testing";
import { Exchanger } from "@sotto/dns/transport";
import { parseName, type Name } from "@sotto/dns/wire";

const stub: Same = new StubResolver({ upstreams: ["tls://dns.example?ip=192.0.2.53"], profile: "strict" });
export const answer: Promise<StubAnswer> = stub.query("www.example", "AAAA", { timeoutMs: 1000 });
export const exchange: Promise<number | undefined> = stub.resolve("example", "MX").then(({ values }) => values[0]?.preference);
export const name: Name = parseName("www.example.");
export const exchanger = new Exchanger({}, nodeRuntime());
export const isTimeout = (error: unknown): boolean => DnsError.is(error, "ERR_TIMEOUT");
export const clock = new SimClock();
export { install, promises };
// @ts-expect-error: the profile is one of two words, so the declarations are not any.
export const wrong = new StubResolver({ profile: "sometimes" });
`;

/** The codec needs nothing of Node. */
const CODEC_ONLY = `
import { encodeMessage, makeMessage, parseName } from "@sotto/dns/wire";
export const octets: Uint8Array = encodeMessage(makeMessage({ id: 1 }));
export const labels: number = parseName("www.example.").labelCount;
`;

async function compile(
  program: string,
  options: {
    readonly module: string;
    readonly moduleResolution: string;
    readonly types: readonly string[];
  } & {
    readonly lib: readonly string[];
  },
): Promise<string> {
  writeFileSync(join(CONSUMER, "program.ts"), program);
  const compilerOptions = {
    ...options,
    target: "es2024",
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: false,
    typeRoots: [join(modules, "@types")],
  };
  writeFileSync(join(CONSUMER, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["program.ts"] }));
  const { code, stdout, stderr } = await runThere(process.execPath, [
    join(modules, "typescript", "bin", "tsc"),
    "-p",
    ".",
  ]);
  return code === 0 ? "compiles" : stdout + stderr;
}

for (const [module, moduleResolution] of [
  ["nodenext", "nodenext"],
  ["esnext", "bundler"],
] as const)
  test(`a strict program compiles with moduleResolution ${moduleResolution}`, async () => {
    const options = { module, moduleResolution, types: ["node"], lib: ["es2024", "esnext.disposable"] };
    assert.equal(await compile(PROGRAM, options), "compiles");
  });

test("the codec compiles where there is no Node", async () => {
  const options = { module: "esnext", moduleResolution: "bundler", types: [], lib: ["es2024", "webworker"] };
  assert.equal(await compile(CODEC_ONLY, options), "compiles");
});
