import { join } from 'node:path';

/** Names in the folder of a follow. */

export const numbered = (what: string, number: number) => `${what}-${String(number).padStart(6, '0')}`;
/** The run directory of an update; 0: the run that is followed. */
export const directoryOf = (folder: string, run: string, update: number): string =>
  update === 0 ? run : join(folder, numbered('update', update));
