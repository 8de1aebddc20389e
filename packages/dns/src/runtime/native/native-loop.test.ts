import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { openLoop } from "./native-loop.ts";
import { nativeRuntime } from "./native-runtime.ts";

test("where there is no native engine, it is said why, and nothing is loaded", () => {
  const getModule = (): never => assert.fail("asked for a module");
  assert.equal(openLoop({ platform: "darwin", arch: "arm64", getModule }), "it needs Linux, this is darwin");
  assert.match(String(openLoop({ platform: "linux", arch: "s390x", getModule })), /^it knows x64 and arm64/);
  for (const missing of [undefined, () => undefined])
    assert.match(String(openLoop({ platform: "linux", arch: "x64", getModule: missing })), /no node:ffi/);
});

test("a symbol that is missing, and a permission, are reasons", () => {
  const dlopen = (): never => {
    throw Object.assign(new Error("dlsym failed: undefined symbol: SSL_new"), {
      code: "ERR_FFI_CALL_FAILED",
    });
  };
  const opened = openLoop({ platform: "linux", arch: "x64", getModule: () => ({ dlopen }) });
  assert.equal(opened, "node:ffi: dlsym failed: undefined symbol: SSL_new");
});

test("the runtime says which engine its listeners have, and tells when it is not the native one", () => {
  const told: string[] = [];
  const runtime = nativeRuntime({ wants: () => true, publish: (name) => told.push(name) });
  assert.deepEqual(told, runtime.engineProblem === undefined ? [] : ["runtime.engine-unavailable"]);
  assert.equal(typeof runtime.network.listen, "function");
});

// What was planned for the same turn was forgotten, and planned no more by whoever believed it to be: a program that survives
// uncaught exceptions had a listener that began no handshakes, and sockets that sent nothing.
test("what fails does not take with it what was planned beside it", {
  skip: nativeRuntime().engineProblem ?? false,
}, () => {
  const script = `
    import { nativeLoop } from "./native-loop.ts";
    const loop = nativeLoop();
    process.on("uncaughtException", ({ message }) => console.log(message));
    const say = (word) => () => console.log(word);
    const fail = () => { throw new Error("failed") };
    loop.nextTurn({ run: fail });
    loop.nextTurn({ run: fail });
    loop.nextTurn({ run: say("next turn") });
    loop.nextTurn({ run: () => [fail, say("end of turn")].forEach((run) => loop.atTurnEnd(run)) });
    loop.thisTurn({ turnEnds: fail });
    loop.thisTurn({ turnEnds: say("this turn") });`;
  const args = [
    "--conditions=source",
    "--disable-warning=ExperimentalWarning",
    "--input-type=module",
    "-e",
    script,
  ];
  const { stdout } = spawnSync(process.execPath, args, { cwd: import.meta.dirname, encoding: "utf8" });
  assert.deepEqual(stdout.trim().split("\n"), [
    "failed",
    "this turn",
    "failed",
    "failed",
    "next turn",
    "failed",
    "end of turn",
  ]);
});

// A worker may be without the engine that gave it a connection: its client waited for as long as the process lived.
test("a connection on its way is closed also where there is no engine", () => {
  const script = `
    import { fstatSync, openSync } from "node:fs";
    import { closeDescriptor } from "./native-runtime.ts";
    const fd = openSync("native-runtime.ts");
    closeDescriptor(fd);
    try { fstatSync(fd); } catch ({ code }) { console.log(code); }`;
  // Older Nodes have no engine anyway, and do not know the flag.
  const isKnown = process.allowedNodeEnvironmentFlags.has("--experimental-ffi");
  const flags = isKnown ? ["--no-experimental-ffi"] : [];
  const args = ["--conditions=source", ...flags, "--input-type=module", "-e", script];
  const { stdout } = spawnSync(process.execPath, args, { cwd: import.meta.dirname, encoding: "utf8" });
  assert.equal(stdout, "EBADF\n");
});
