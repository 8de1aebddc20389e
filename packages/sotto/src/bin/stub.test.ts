import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ExitCode } from "../operations/index.ts";
import { runStub } from "./stub.ts";

async function run(context: TestContext, settings: string): Promise<{ code: number; told: string }> {
  const folder = mkdtempSync(join(tmpdir(), "sotto-stub-command-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "stub.yaml");
  writeFileSync(file, settings);
  let told = "";
  const code = await runStub(["status", "--config", file], {
    stdout: { write: () => true },
    stderr: {
      write: (text: string) => {
        told += text.replaceAll(folder, "");
        return true;
      },
    },
    onSignal: () => () => undefined,
  });
  return { code, told };
}

test("who asks for the status through a broken file is told what is broken, not that the socket is missing", async (context) => {
  const { code, told } = await run(
    context,
    "stub:\n  upstreams: [192.0.2.1@853#dns.example]\n  profil: strict\n",
  );
  assert.equal(code, ExitCode.Failed);
  assert.match(told, /stub\.yaml:3: .*profil/);
  assert.match(told, /so where the stub listens is not known; say --socket PATH/);
});

test("a file without a control socket, and a socket nobody listens on, are told apart", async (context) => {
  const upstreams = "stub: { upstreams: [192.0.2.1@853#dns.example] }\n";
  assert.match((await run(context, upstreams)).told, /--config FILE with control\.socket/);
  const { code, told } = await run(context, `${upstreams}control: { socket: nobody.sock }\n`);
  assert.equal(code, ExitCode.Failed);
  assert.match(told, /nobody\.sock/);
});
