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

/** For people. */
export interface SetSize {
  readonly name: string;
  readonly entries: number;
  /** Lines that cannot be read, and lines that mean something that is not done here. */
  readonly bad: number;
  readonly unsupported: number;
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

  /** What each set holds, and what of its lines it does not. */
  sizes(): SetSize[] {
    const names = [...this.#names.values()].map(
      ({
        name,
        loaded: {
          names: { size },
          report,
        },
      }) => ({
        name,
        entries: size,
        bad: report.bad,
        unsupported: report.unsupported,
      }),
    );
    const addresses = [...this.#addresses.values()].map(({ name, loaded: { report } }) => ({
      name,
      entries: report.prefixes,
      bad: report.bad,
      unsupported: 0,
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
