import { realPath, sha256OfFile } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { type FoundPart as Found, partsAt } from '../../data/parts.ts';
import { isRemote } from '../../data/remote/address.ts';
import { createSettling, type Part, SETTLED_MS, sortOut } from './manifest.ts';

/** `age`: ms since it last changed. */
export type ArrivedPart = Found & { age: number };

/** Parts that have come and were not taken yet, in the order of their names. */
export interface Arrivals {
  complete: ArrivedPart[];
  /** Those that are still being written. */
  growing: ArrivedPart[];
}

/** Looks for parts. UserError if one of those that are taken has changed. */
export type Lookout = (taken: ReadonlyMap<string, Part>) => Promise<Arrivals>;

/** Looks in a folder, by a pattern, or below an address, but not in the follow's `own` folder. */
export function createLookout(data: string, own: string, signal?: AbortSignal): Lookout {
  const settling = createSettling();
  const below = `${realPath(own)}/`;
  // An object of a store appears at once.
  const isComplete = ({ path, age }: ArrivedPart) => isRemote(path) || age >= SETTLED_MS;
  return async (taken) => {
    const all = await partsAt(data, signal);
    const found = isRemote(data) ? all : all.filter(({ path }) => !realPath(path).startsWith(below));
    const { fresh, changed } = sortOut(settling(found, Date.now()), taken);
    for (const { part, before } of changed) if (isComplete(part)) await assertTouched(part, before);
    const growing = [...fresh, ...changed.map(({ part }) => part)].filter((part) => !isComplete(part));
    return { complete: fresh.filter(isComplete), growing };
  };
}

/** UserError unless only the time of the part has changed. */
async function assertTouched({ path, bytes }: Found, before: Part): Promise<void> {
  if (!isRemote(path) && bytes === before.bytes && (await sha256OfFile(path)) === before.sha256) return;
  const when = before.update === null ? '' : ` (update ${before.update})`;
  throw new UserError(
    `${path} has changed since it was taken${when}, and each row counts once: put new rows into a file of another name, and restore or remove this one`,
  );
}
