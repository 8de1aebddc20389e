/** The sets that rules refer to by name, each of which can be replaced while the rules stay. */
import type { LoadedAddresses } from "./address-list.ts";
import type { LoadedNames } from "./name-list.ts";

/** A set that was read. */
export type LoadedSet = LoadedNames | LoadedAddresses;

/** One place for a set: rules keep the place, so that a new set is in force at once. */
export interface SetPlace<T extends LoadedSet> {
  readonly name: string;
  loaded: T;
}

/** See the head of this file. */
export class RuleSets {
  readonly #names = new Map<string, SetPlace<LoadedNames>>();
  readonly #addresses = new Map<string, SetPlace<LoadedAddresses>>();

  constructor(sets: ReadonlyMap<string, LoadedSet>) {
    for (const [name, loaded] of sets)
      if (loaded.kind === "names") this.#names.set(name, { name, loaded });
      else this.#addresses.set(name, { name, loaded });
  }

  /** Throws a RangeError when there is no such set. */
  names(name: string): SetPlace<LoadedNames> {
    return placeIn(this.#names, name, "names");
  }

  /** Throws a RangeError when there is no such set. */
  addresses(name: string): SetPlace<LoadedAddresses> {
    return placeIn(this.#addresses, name, "addresses");
  }

  /** Throws a RangeError when there is no set of that name and kind. */
  replace(name: string, loaded: LoadedSet): void {
    if (loaded.kind === "names") this.names(name).loaded = loaded;
    else this.addresses(name).loaded = loaded;
  }

  /** Entries of each set. */
  sizes(): { readonly name: string; readonly entries: number }[] {
    const names = [...this.#names.values()].map(({ name, loaded }) => ({ name, entries: loaded.names.size }));
    const addresses = [...this.#addresses.values()].map(({ name, loaded }) => ({
      name,
      entries: loaded.report.prefixes,
    }));
    return [...names, ...addresses];
  }
}

function placeIn<T extends LoadedSet>(
  places: ReadonlyMap<string, SetPlace<T>>,
  name: string,
  kind: string,
): SetPlace<T> {
  const place = places.get(name);
  if (place === undefined) throw new RangeError(`there is no set of ${kind} called ${JSON.stringify(name)}`);
  return place;
}
