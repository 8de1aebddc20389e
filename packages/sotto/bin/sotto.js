#!/usr/bin/env node
// Plain JavaScript that every Node understands, so that an old one gets a sentence instead of a syntax error.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 24 || (major === 24 && minor < 21)) {
  process.stderr.write(`sotto needs Node 24.21 or newer, and this is ${process.versions.node}\n`);
  process.exit(10);
}
await import("../dist/bin/sotto.js");
