/**
 * Addresses at which upstreams that are known by name last proved who they are, kept for the next run (RFC 8310 §7.2: a client
 * may cache them). They are hints: whoever is found there has to prove it again.
 */
import type { Runtime } from "@sotto/dns/runtime";
import { addressToText, type Parsed, parsed, problem, tryParseAddress } from "@sotto/dns/wire";

/** Where the memory is kept; the library itself touches no files. What these throw is told as an event and does no harm. */
export interface AddressStore {
  /** The text that was stored last; undefined: none. Called once, at the start. */
  load(): string | undefined;
  /** Called when addresses were learnt, which is rare. */
  store(text: string): void | Promise<void>;
}

export class AddressMemory {
  readonly #store: AddressStore | undefined;
  readonly #runtime: Runtime;
  /** By name, the one that answered last first. */
  readonly #good = new Map<string, string[]>();

  /** Names that are not among these are forgotten. */
  constructor(store: AddressStore | undefined, names: readonly string[], runtime: Runtime) {
    this.#store = store;
    this.#runtime = runtime;
    if (store === undefined || names.length === 0) return;
    try {
      const text = store.load();
      const read = text === undefined ? parsed(new Map<string, string[]>()) : tryReadAddresses(text);
      if (!read.ok) this.#tell(read.problem, "it is not used and will be replaced");
      else for (const name of names) this.#good.set(name, read.value.get(name) ?? []);
    } catch (cause) {
      this.#tell(textOf(cause), "it is not used");
    }
  }

  /** At most {@link ADDRESSES_MAX}, the best first; empty: none is known. */
  lastGood(name: string): readonly string[] {
    return this.#good.get(name) ?? [];
  }

  /** The upstream proved at this address that it is the right one. */
  noteGood(name: string, address: string): void {
    const before = this.lastGood(name);
    if (before[0] === address) return;
    const isNew = !before.includes(address);
    this.#good.set(name, [address, ...before.filter((one) => one !== address)].slice(0, ADDRESSES_MAX));
    // The order alone is not worth writing: two addresses may take turns.
    if (isNew) void this.#save();
  }

  async #save(): Promise<void> {
    try {
      await this.#store?.store(toText(this.#good));
    } catch (cause) {
      this.#tell(textOf(cause), "what was learnt is lost at the end");
    }
  }

  #tell(why: string, consequence: string): void {
    this.#runtime.events.publish("stub.address-memory-refused", { problem: why, consequence });
  }
}

function toText(good: ReadonlyMap<string, readonly string[]>): string {
  return `${JSON.stringify({ version: VERSION, upstreams: Object.fromEntries(good) }, undefined, 2)}\n`;
}

function tryReadAddresses(text: string): Parsed<Map<string, string[]>> {
  if (text.length > TEXT_LENGTH_MAX) return problem(`is longer than ${TEXT_LENGTH_MAX} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return problem("is not JSON");
  }
  if (!isObject(value) || value["version"] !== VERSION || !isObject(value["upstreams"]))
    return problem("does not hold addresses of upstreams");
  const found = new Map<string, string[]>();
  for (const [name, listed] of Object.entries(value["upstreams"])) {
    if (!Array.isArray(listed)) return problem(`${JSON.stringify(name)} has no list of addresses`);
    const addresses: string[] = [];
    for (const one of listed.slice(0, ADDRESSES_MAX)) {
      const address = tryParseAddress(String(one));
      if (!address.ok) return problem(`${JSON.stringify(name)}: ${address.problem}`);
      addresses.push(addressToText(address.value));
    }
    found.set(name, addresses);
  }
  return parsed(found);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

const VERSION = 1;
/** Two sites of both families, and as many before these. */
const ADDRESSES_MAX = 8;
/** Hundreds of upstreams. */
const TEXT_LENGTH_MAX = 65_536;
