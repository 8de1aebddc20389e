/** Things that belong to names and to all below them, of which the closest one above a name counts. */
import type { Name } from "./name.ts";

/** By name. Looking for the closest costs nothing for names above that are no longer or shorter than any here. */
export class NamesAbove<T> {
  readonly #byKey = new Map<string, T>();
  /** 1 for lengths, in octets, that some name here has. */
  readonly #hasLength = new Uint8Array(KEY_OCTETS_MAX + 1);

  get size(): number {
    return this.#byKey.size;
  }

  set(name: Name, thing: T): void {
    this.#byKey.set(name.key, thing);
    this.#hasLength[name.key.length] = 1;
  }

  /** Of the name or the closest name above it, the root among them; those that do not count are passed over. */
  closest(name: Name, counts?: (thing: T) => boolean): T | undefined {
    const { wire, key } = name;
    for (let at = 0; at < wire.length; at += (wire[at] ?? 0) + 1) {
      if (this.#hasLength[wire.length - at] === 0) continue;
      const thing = this.#byKey.get(at === 0 ? key : key.substring(at));
      if (thing !== undefined && (counts === undefined || counts(thing))) return thing;
    }
    return undefined;
  }
}

/** RFC 1035 §2.3.4. */
const KEY_OCTETS_MAX = 255;
