/** A machine made of texts. */
import type { Machine } from "./machine.ts";

export interface FakeFiles {
  readonly platform?: string;
  /** By path; a path that ends in a slash is an empty folder. */
  readonly files?: Readonly<Record<string, string>>;
  readonly links?: Readonly<Record<string, string>>;
}

export function fakeMachine({ platform = "linux", files = {}, links = {} }: FakeFiles): Machine {
  return {
    platform,
    read: (path) => (path.endsWith("/") ? undefined : files[path]),
    link: (path) => links[path],
    list(folder) {
      const inside = [...Object.keys(files), ...Object.keys(links)].filter((path) =>
        path.startsWith(`${folder}/`),
      );
      if (inside.length === 0) return undefined;
      const names = inside.map((path) => path.slice(folder.length + 1).split("/")[0] ?? "");
      return [...new Set(names)].filter((name) => name !== "").sort();
    },
  };
}
