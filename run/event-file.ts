import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/user-error.ts';

export const EVENTS = 'events.jsonl';
/** The path of a run's event log. */
export const eventsIn = (run: string) => join(run, EVENTS);

/** UserError where appending would change a file elsewhere that has this one as a second name, or would not make a file. */
export function assertOwnFile(path: string, info: Stats): void {
  if (info.isFile() && info.nlink > 1)
    throw new UserError(
      `${path} has another name too (a hard link), where what is appended would appear; replace it by a copy, or use --out ELSEWHERE`,
    );
  // A character device cannot be there unless root made it; writing to one does no harm.
  if (!info.isFile() && !info.isCharacterDevice())
    throw new UserError(`${path} is not a regular file; remove it, or use --out ELSEWHERE`);
}
