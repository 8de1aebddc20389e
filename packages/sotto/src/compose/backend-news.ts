/**
 * What the log says of backends that several workers watch. Each finds out by itself, so that one that dies would be a line of each of
 * them: what is told is the worst that any of them sees, when it changes.
 */

/** See the head of this file. */
export class BackendNews {
  /** By kind, pool and backend: what each worker said last, and what was told last. */
  readonly #seen = new Map<string, { readonly said: Map<number, number>; told: number }>();

  /** Whether an event of a worker is to be told. */
  isNews(worker: number, event: string, fields: Readonly<Record<string, unknown>>): boolean {
    for (const [kind, events] of KINDS.entries()) {
      const rank = events.indexOf(event);
      if (rank < 0) continue;
      const key = JSON.stringify([kind, fields["pool"], fields["backend"]]);
      // Who has said nothing sees it as it is at a start.
      const seen = this.#seen.get(key) ?? { said: new Map(), told: NOTHING_TOLD };
      this.#seen.set(key, seen);
      seen.said.set(worker, rank);
      const worst = Math.max(...seen.said.values());
      const isNews = worst !== seen.told;
      seen.told = worst;
      return isNews;
    }
    return true;
  }

  /** It has died, and begins anew. */
  died(worker: number): void {
    for (const { said } of this.#seen.values()) said.delete(worker);
  }

  /** Backends may be others of the same name. */
  reloaded(): void {
    this.#seen.clear();
  }
}

const NOTHING_TOLD = -1;
/** States and proofs, the worst last. */
const KINDS: readonly (readonly string[])[] = [
  ["front.backend.up", "front.backend.starting", "front.backend.draining", "front.backend.down"],
  ["front.backend.authenticated", "front.backend.not-authenticated"],
];
