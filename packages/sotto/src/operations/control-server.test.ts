import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { type ControlCommand, ControlServer } from "./control-server.ts";

const COMMANDS: Readonly<Record<string, ControlCommand>> = {
  echo: async (words) => ({ words }),
  fail: async () => {
    throw new Error("told why");
  },
  lines: function* (): Generator<string> {
    for (let i = 0; i < 20_000; i++) yield `line ${i}\n`;
  },
};

async function open(context: TestContext): Promise<{ path: string; server: ControlServer }> {
  const folder = mkdtempSync(join(tmpdir(), "sotto-control-"));
  const path = join(folder, "control.sock");
  const server = await ControlServer.open(path, COMMANDS);
  context.after(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });
  return { path, server };
}

/** What comes back for what is sent, until so many lines with `ok` came or the other side ended. */
function talk(path: string, sent: string, answers: number): Promise<string[]> {
  return new Promise((resolve) => {
    let text = "";
    const socket: Socket = connect(path, () => socket.write(sent));
    socket.setEncoding("utf8");
    const finish = (): void => {
      socket.destroy();
      resolve(text.split("\n").filter((line) => line !== ""));
    };
    socket.on("data", (piece: string) => {
      text += piece;
      if (text.split('{"ok":').length > answers) finish();
    });
    socket.on("error", finish);
    socket.on("close", finish);
  });
}

test("commands are answered in order, and what goes wrong is a sentence", async (context) => {
  const { path } = await open(context);
  const lines = await talk(path, '["echo","a","b"]\n["fail"]\n["nonsense"]\n{}\nnot json\n[1]\n', 6);
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    [
      { ok: true, result: { words: ["a", "b"] } },
      { ok: false, error: "told why" },
      { ok: false, error: '"nonsense" is not a command; there are echo, fail, lines' },
      { ok: false, error: 'a line is not a list of words, such as ["flush", "example."]' },
      { ok: false, error: "a line is not JSON" },
      { ok: false, error: 'a line is not a list of words, such as ["flush", "example."]' },
    ],
  );
});

test("names of the prototype are no commands", async (context) => {
  const { path } = await open(context);
  for (const name of ["toString", "__proto__", "constructor"])
    assert.match((await talk(path, `["${name}"]\n`, 1))[0] ?? "", /is not a command/);
});

test("long results come in pieces, whole", async (context) => {
  const { path } = await open(context);
  const lines = await talk(path, '["lines"]\n', 1);
  assert.ok(lines.length > 3);
  const data = lines.flatMap((line) => (JSON.parse(line) as { data?: string }).data ?? []); // Our own server's lines.
  assert.equal(data.join("").split("\n").length, 20_001);
  assert.deepEqual(JSON.parse(lines.at(-1) ?? ""), { ok: true, result: { lines: 20_000 } });
});

test("only the owner may connect, and the file goes with the server", async (context) => {
  const { path, server } = await open(context);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await server.close();
  assert.equal(statSync(path, { throwIfNoEntry: false }), undefined);
});

test("a socket that nobody listens at is replaced; one that is in use and a file that is none are not", async (context) => {
  const { path } = await open(context);
  await assert.rejects(ControlServer.open(path, COMMANDS), (error) =>
    DnsError.is(error, "ERR_ADDRESS_IN_USE"),
  );
  const file = `${path}.txt`;
  writeFileSync(file, "mine");
  await assert.rejects(ControlServer.open(file, COMMANDS), (error) => DnsError.is(error, "ERR_CONFIG"));
});

test("more than sixteen operators are told to wait", async (context) => {
  const { path } = await open(context);
  const sockets = await Promise.all(
    Array.from(
      { length: 16 },
      () =>
        new Promise<Socket>((resolve) => {
          const socket = connect(path, () => socket.write('["echo"]\n'));
          socket.on("data", () => resolve(socket));
        }),
    ),
  );
  assert.deepEqual(await talk(path, '["echo"]\n', 1), ['{"ok":false,"error":"16 operators are connected"}']);
  for (const socket of sockets) socket.destroy();
});
