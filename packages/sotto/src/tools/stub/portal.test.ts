import assert from "node:assert/strict";
import { test } from "node:test";
import { networkServer } from "./network-server.ts";
import { type PortalCommand, runStubPortal } from "./portal.ts";

const CLOSED = { isAllowed: true, opening: undefined, last: undefined, queriesInClear: 0 };

async function run(
  command: Partial<PortalCommand>,
  files: Readonly<Record<string, string>> = {},
): Promise<{ code: number; out: string; err: string; asked: readonly (readonly string[])[] }> {
  const asked: (readonly string[])[] = [];
  const out: string[] = [];
  const err: string[] = [];
  const code = await runStubPortal(
    { action: undefined, json: false, ...command },
    {
      ask: async (words) => {
        asked.push(words);
        if (words.includes("refused.example")) throw new Error("no");
        return CLOSED;
      },
      readText: (file) => files[file],
    },
    {
      stdout: { write: (text) => out.push(text) },
      stderr: { write: (text) => err.push(text) },
    },
  );
  return { code, out: out.join(""), err: err.join(""), asked };
}

test("what was typed reaches the stub as it was meant", async () => {
  assert.deepEqual((await run({})).asked, [["portal"]]);
  assert.deepEqual((await run({ action: "close" })).asked, [["portal", "close"]]);
  const opened = await run({
    action: "open",
    names: "a.example,b.example",
    server: "192.0.2.1",
    forText: "2m",
  });
  assert.deepEqual(opened.asked, [["portal", "open", "a.example,b.example", "192.0.2.1", "2m"]]);
  assert.equal(opened.code, 0);
  assert.equal((await run({ json: true })).out, `${JSON.stringify(CLOSED)}\n`);
  assert.match((await run({})).out, /^closed: nothing goes in clear for a portal$/m);
});

test("what is missing or refused is told, and nobody is asked for less", async () => {
  const bare = await run({ action: "open" });
  assert.deepEqual([bare.code, bare.asked], [1, []]);
  assert.match(bare.err, /open needs --names .* and --server/);
  const refused = await run({ action: "open", names: "refused.example", server: "192.0.2.1" });
  assert.deepEqual([refused.code, refused.err], [2, "sotto stub portal: no\n"]);
});

test("`--server system` is what DHCP gave as it was written down, never this machine", async () => {
  const command = { action: "open", names: "a.example", server: "system" } as const;
  const found = await run(command, {
    "/run/systemd/resolve/resolv.conf":
      "# comment\nsearch example\nnameserver 192.0.2.254\nnameserver 192.0.2.253\n",
    "/etc/resolv.conf": "nameserver 127.0.0.53\n",
  });
  assert.deepEqual(found.asked, [["portal", "open", "a.example", "192.0.2.254"]]);
  assert.match(found.err, /asking 192\.0\.2\.254, which \/run\/systemd\/resolve\/resolv\.conf names/);
  const none = await run(command, {
    "/etc/resolv.conf": "nameserver 127.0.0.1\nnameserver ::1\nnameserver fe80::1%eth0\n",
  });
  assert.deepEqual([none.code, none.asked], [2, []]);
  assert.match(none.err, /no file tells which resolver the network gave .*resolvectl dns/);
  assert.deepEqual(
    networkServer(() => "nameserver 127.0.0.53\nnameserver 2001:db8::1"),
    {
      address: "2001:db8::1",
      source: "/run/systemd/resolve/resolv.conf",
    },
  );
});
