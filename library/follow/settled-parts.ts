import type { FoundPart } from '../../data/parts.ts';
import type { Part } from './manifest.ts';

/** Which of the parts in a folder are complete, and which of these are new. */

/** A part counts as complete if it has not changed for this long, ms. */
export const SETTLED_MS = 2000;
/** One that cannot be read, or has no rows, may still be being written if it changed this recently, ms. */
export const GROWING_MS = 10_000;

/** Tells which parts are complete: by their time, and, as clocks differ, by what was seen before. */
export function createSettling() {
  let seen = new Map<string, { bytes: number; modified: string; since: number }>();
  /** ms since the part last changed. `now`: of this machine. */
  return (found: readonly FoundPart[], now: number) => {
    const before = seen;
    seen = new Map();
    return found.map((part): FoundPart & { age: number } => {
      const { name, bytes, modified } = part;
      const known = before.get(name);
      const isSame = known?.bytes === bytes && known.modified === modified;
      const since = isSame ? known.since : now;
      seen.set(name, { bytes, modified, since });
      return { ...part, age: Math.max(now - since, now - Date.parse(modified)) };
    });
  };
}

/** Those that were not taken yet, and those that were but have changed since. Of what has no rows yet, nothing was taken. */
export function sortOut<Found extends FoundPart>(found: readonly Found[], taken: ReadonlyMap<string, Part>) {
  const fresh: Found[] = [];
  const changed: { part: Found; before: Part }[] = [];
  for (const part of found) {
    const before = taken.get(part.name);
    const isSame = before?.bytes === part.bytes && before.modified === part.modified;
    if (isSame) continue;
    if (before && before.rows > 0) changed.push({ part, before });
    else fresh.push(part);
  }
  return { fresh, changed };
}
