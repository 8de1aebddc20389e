#!/usr/bin/env node
// Plain JavaScript that every Node understands, so that an old one gets a sentence instead of a syntax error.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 24 || (major === 24 && minor < 21)) {
  process.stderr.write(`sotto needs Node 24.21 or newer, and this is ${process.versions.node}\n`);
  process.exit(10);
}
const built = new URL("../dist/bin/sotto.js", import.meta.url);
const source = fileURLToPath(new URL("../src/bin/sotto.ts", import.meta.url));
if (existsSync(built)) {
  // Users cannot do anything about an interface of Node that is called experimental (node:ffi), so they are not told.
  const emitWarning = process.emitWarning;
  process.emitWarning = (warning, ...rest) => {
    const type = typeof rest[0] === "object" ? rest[0]?.type : rest[0];
    if (type !== "ExperimentalWarning") emitWarning.call(process, warning, ...rest);
  };
  await import(built.href);
} else if (existsSync(source)) {
  // A checkout that was not built: the sources, which need a flag.
  const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
  const child = spawn(process.execPath, [...flags, source, ...process.argv.slice(2)], { stdio: "inherit" });
  // From a terminal both get the signal; the child decides when to end.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"])
    process.on(signal, () => {
      if (!process.stdin.isTTY || signal !== "SIGINT") child.kill(signal);
    });
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? (signal === null ? 1 : 128);
  });
} else {
  process.stderr.write(`sotto: this installation is not complete: ${fileURLToPath(built)} is missing\n`);
  process.exit(10);
}
