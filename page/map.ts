import { UserError } from '../base/user-error.ts';
import { openMap, type SavedMap } from '../run/map-file.ts';
import type { RunFile } from '../run/run-file.ts';
import { runFiles } from '../run/run-files.ts';
import { readSavedClusters } from '../run/saved-clusters.ts';
import { readSavedTree } from '../run/saved-tree.ts';
import { aboutMap, type SampledMap, type WholeMap } from '../run/whole-map.ts';

/** The map of all rows of a finished run, as its page, report and export read it. */

/** What run.json says of the map. */
export type MappedRunFile = Pick<RunFile, 'data' | 'result' | 'ids' | 'files'>;

export interface FoundMap {
  about: WholeMap;
  saved: SavedMap;
}

/** The map of all rows of a finished run, which is made if its file is missing, or else, unless `isToBeMade`, there is none yet; null of a run without one. UserError if files are damaged, or cannot be written. */
export async function wholeMapOf(
  path: string,
  { data, result, ids, files }: MappedRunFile,
  isToBeMade = true,
): Promise<FoundMap | null> {
  if (!result) return null;
  const saved = await openMap({ run: path, rows: data.rows, k: result.k, ids }, isToBeMade);
  if (!saved) return null;
  const own = runFiles(path, files);
  const about = aboutMap(saved.index, readSavedTree(own), readSavedClusters(own), ids);
  return { about, saved };
}

/** Rows of a sample. */
const SAMPLE_ROWS = 100_000;

/** A sample of it, for a file, and for a server that ends before all rows can be asked for. */
export function sampleOfMap({ about, saved }: FoundMap): SampledMap {
  const records = Math.min(SAMPLE_ROWS, about.index.records);
  return {
    about: { ...about, index: { ...about.index, records } },
    sample: saved.records(0, records),
  };
}

/** The same for a report, which can do without; the reason goes to the notes. */
export async function sampledMapOf(path: string, run: RunFile, notes: string[]): Promise<SampledMap | null> {
  try {
    const found = await wholeMapOf(path, run);
    return found && sampleOfMap(found);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    notes.push(`${error.message}: the map of all rows is left out`);
    return null;
  }
}
