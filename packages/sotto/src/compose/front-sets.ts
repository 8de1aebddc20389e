/** Sets of addresses and names as they are configured: from the file, or from entries; read anew when a file changes. */
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import type { Parsed } from "@sotto/dns/wire";
import type { FrontSetConfig } from "../config/index.ts";
import { addressSetOf, type LoadedSet, loadAddressSet, NameListReader } from "../front/index.ts";
import { fileChunks } from "../operations/index.ts";

/** Rejects with ERR_CONFIG, which tells the set and why. */
export async function loadSet(config: FrontSetConfig, runtime: Runtime): Promise<LoadedSet> {
  const loaded = await tryLoadSet(config, runtime);
  if (loaded.ok) return loaded.value;
  throw new DnsError("ERR_CONFIG", `set ${JSON.stringify(config.name)}: ${loaded.problem}`);
}

async function tryLoadSet(config: FrontSetConfig, { random }: Runtime): Promise<Parsed<LoadedSet>> {
  const { name, kind, file, entries, format, reach } = config;
  const source = file ?? `entries of set ${name}`;
  if (kind === "addresses") return file === undefined ? addressSetOf(entries, source) : loadAddressFile(file);
  const reader = new NameListReader({ format, source, reach }, random);
  if (file === undefined) reader.push(new TextEncoder().encode(`${entries.join("\n")}\n`));
  else {
    try {
      for await (const chunk of fileChunks(file)) reader.push(chunk);
    } catch (error) {
      return { ok: false, problem: `cannot be read: ${textOf(error)}` };
    }
  }
  return reader.finish();
}

async function loadAddressFile(file: string): Promise<Parsed<LoadedSet>> {
  const chunks: Uint8Array[] = [];
  let octets = 0;
  try {
    for await (const chunk of fileChunks(file)) {
      octets += chunk.length;
      if (octets > ADDRESS_FILE_OCTETS_MAX)
        return { ok: false, problem: `${file} is larger than ${ADDRESS_FILE_OCTETS_MAX} octets` };
      chunks.push(chunk.slice());
    }
  } catch (error) {
    return { ok: false, problem: `cannot be read: ${textOf(error)}` };
  }
  return loadAddressSet(Buffer.concat(chunks), file);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A few hundred thousand prefixes. */
const ADDRESS_FILE_OCTETS_MAX = 16 * 1024 * 1024;
