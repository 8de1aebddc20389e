import assert from "node:assert/strict";
import { test } from "node:test";
import { loadSystemCalls } from "./system-calls.ts";

/** Imports what is there, and remembers what was asked for. */
function importer(modules: Record<string, unknown>): {
  readonly asked: string[];
  readonly importModule: (specifier: string) => Promise<unknown>;
} {
  const asked: string[] = [];
  const importModule = (specifier: string): Promise<unknown> => {
    asked.push(specifier);
    const module = modules[specifier];
    return module === undefined ? Promise.reject(new Error(`no ${specifier}`)) : Promise.resolve(module);
  };
  return { asked, importModule };
}

const others = { sendto: () => 9n, fcntl: () => 7, close: () => 0 };

/** Checks what it is asked for; each call gives a number of its own. */
const ffi = {
  dlopen: (library: null, signatures: Record<string, { arguments: readonly string[] }>) => {
    assert.equal(library, null);
    assert.deepEqual(signatures["getsockopt"]?.arguments, ["int32", "int32", "int32", "buffer", "buffer"]);
    const functions = { socket: () => 26, setsockopt: () => 0, getsockopt: () => -1, ...others };
    return { functions };
  },
};

const koffi = {
  load: (library: null) => {
    assert.equal(library, null);
    return {
      func(name: string, result: string, parameters: readonly string[]) {
        assert.equal(result, name === "sendto" ? "int64_t" : "int");
        if (name === "setsockopt") assert.deepEqual(parameters, ["int", "int", "int", "void *", "uint32_t"]);
        return (...values: unknown[]) => (name === "socket" ? Number(values[0]) * 100 : 0);
      },
    };
  },
};

test("where Node has a foreign function interface, it is taken and koffi is not asked for", async () => {
  const { asked, importModule } = importer({ "node:ffi": ffi, koffi });
  const calls = await loadSystemCalls("linux", importModule);
  assert.ok(typeof calls === "object");
  assert.equal(calls.socket(2, 1, 0), 26);
  assert.equal(calls.getsockopt(3, 6, 11, new Uint8Array(4), new Uint8Array(4)), -1);
  assert.equal(calls.sendto(3, new Uint8Array(9), 0, new Uint8Array(2)), 9);
  assert.deepEqual(asked, ["node:ffi"]);
});

test("where Node has none, koffi is taken", async () => {
  const { asked, importModule } = importer({ koffi });
  const calls = await loadSystemCalls("linux", importModule);
  assert.ok(typeof calls === "object");
  assert.equal(calls.socket(2, 1, 0), 200);
  assert.equal(calls.setsockopt(3, 6, 23, new Uint8Array(4), 4), 0);
  assert.deepEqual(asked, ["node:ffi", "koffi"]);
});

test("where neither is there, and where one is there and broken, it is said what to do", async () => {
  const broken = { "node:ffi": { dlopen: () => ({ functions: {} }) } };
  for (const modules of [{}, broken]) {
    const calls = await loadSystemCalls("linux", importer(modules).importModule);
    assert.match(String(calls), /^this needs Node 26 or later, or the package koffi beside @sotto\/dns \(/);
    assert.match(String(calls), /node:ffi: no .*; koffi: no koffi/);
  }
});

test("other systems are told so, and nothing is loaded", async () => {
  const { asked, importModule } = importer({ "node:ffi": ffi, koffi });
  assert.equal(await loadSystemCalls("darwin", importModule), "not supported on darwin");
  assert.deepEqual(asked, []);
});
