import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeAuthority } from "./certificate.ts";

/** In a process of its own: what is trusted is the process's. */
function trustedWith(env: Readonly<Record<string, string>>): unknown {
  const program = `
    import { getCACertificates } from "node:tls";
    import { trustSystemAuthorities } from ${JSON.stringify(new URL("./authorities.ts", import.meta.url).href)};
    const told = trustSystemAuthorities();
    console.log(JSON.stringify([told, getCACertificates("default").length]));`;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    env: { ...env, PATH: "" },
    encoding: "utf8",
  });
  return JSON.parse(run.stdout);
}

test("the system's authorities and no others are trusted, each once; Node's where there are none", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-authorities-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const [file, extra] = [join(folder, "system.pem"), join(folder, "extra.pem")];
  const now = Date.UTC(2026, 0, 1);
  const { certificatePem } = await makeAuthority("system authority", now);
  writeFileSync(file, certificatePem + certificatePem);
  writeFileSync(extra, (await makeAuthority("extra authority", now)).certificatePem);
  const nowhere = { SSL_CERT_FILE: join(folder, "none"), SSL_CERT_DIR: join(folder, "none") };
  const system = { ...nowhere, SSL_CERT_FILE: file };
  assert.deepEqual(trustedWith(system), [{ source: "system", count: 1 }, 1]);
  assert.deepEqual(trustedWith({ ...system, NODE_EXTRA_CA_CERTS: extra }), [
    { source: "system", count: 2 },
    2,
  ]);
  const [told, count] = trustedWith(nowhere) as [unknown, number];
  assert.ok(count > 100, `${count} of Node's`);
  assert.deepEqual(told, { source: "node", count });
});
