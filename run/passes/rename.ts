import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../base/user-error.ts';
import type { Name } from '../../model/description/names.ts';
import { identityOf } from '../base-run.ts';
import { LABELS_CSV, LABELS_PARQUET, writeLabelTables } from '../descriptions.ts';
import { rowNames } from '../label-file.ts';
import { readModel } from '../model-file.ts';
import { assertRows, optionalColumnsOf } from '../row-files.ts';
import { type RunDirectory, reopenRunDirectory } from '../run-directory.ts';
import { readFinishedRun } from '../run-file.ts';
import { type FileHashes, readRunJson } from '../run-files.ts';
import {
  CLUSTERS,
  clusterNames,
  readSavedClusters,
  type SavedClusters,
  savedClusters,
} from '../saved-clusters.ts';

/** The names of the clusters of a finished run, in all files that have them. */

/** Names a cluster by hand. Returns the name before. UserError if it has no such cluster, or the name is another's. */
export function renameIn(saved: SavedClusters, run: string, label: number, name: string): string | null {
  const labelOf = ({ id, cluster }: { id?: number; cluster: number }) => id ?? cluster;
  const own = saved.clusters.find((one) => labelOf(one) === label);
  if (!own) {
    const labels = saved.clusters.map(labelOf).sort((a, b) => a - b);
    throw new UserError(`${run} has no cluster ${label}, but ${labels[0]} to ${labels.at(-1)}`);
  }
  const key = name.toLocaleLowerCase('en');
  const isSame = (one: { name?: string }) => one !== own && one.name?.toLocaleLowerCase('en') === key;
  const other = saved.clusters.find(isSame);
  if (other) throw new UserError(`cluster ${labelOf(other)} is called ${other.name}: choose another name`);
  if (saved.joins?.some(isSame))
    throw new UserError(`a join of the tree is called ${name}: choose another name`);
  const before = own.name ?? null;
  Object.assign(own, { name, namedBy: 'hand' } satisfies Name);
  return before;
}

/**
 * Has `change` set names in `clusters.json`, and writes the files of the run that have them, but for the report. `identity`: which run the names
 * were found for (`identityOf`), where that took a while.
 *
 * @throws {UserError} if the run is not finished or in use, or another by now
 */
export async function rewriteNames<T>(
  run: string,
  change: (saved: SavedClusters, out: RunDirectory) => T | Promise<T>,
  identity?: string,
): Promise<T> {
  readFinishedRun(run);
  const out = await reopenRunDirectory(run);
  try {
    const { about: before, files } = readFinishedRun(run);
    if (identity !== undefined && identityOf(before) !== identity)
      throw new UserError(
        `${run} is not the run any more whose clusters were to be named: another has taken its place, or it has gone on; name them again`,
      );
    const { config, data, ids, files: hashes = {} } = before;
    const saved = readSavedClusters(files);
    const hasTable = existsSync(join(run, LABELS_CSV));
    // The table is made of these, and gets a hash of its own.
    if (hasTable) assertRows(files);
    const result = await change(saved, out);
    const titles = hasTable ? await rowNames(files) : null;
    const quantiles = hasTable ? readModel(files).model.distances!.quantiles : null;
    // Without hashes of these, the files are right at any moment, whichever of them are new.
    const { files: _, ...about } = readRunJson(run) as { files: FileHashes };
    const changed = [CLUSTERS, LABELS_CSV, LABELS_PARQUET];
    const others = Object.entries(hashes).filter(
      ([file]) => !changed.includes(file) && !(file in out.hashes()),
    );
    const write = (now: FileHashes) => out.json('run.json', { ...about, files: now });
    write(Object.fromEntries(others));
    out.json(CLUSTERS, savedClusters(saved));
    if (quantiles)
      await writeLabelTables(out, titles, config, {
        ...{ quantiles, rows: data.rows, ids, called: clusterNames(saved) },
        has: optionalColumnsOf(run),
      }).finally(() => titles?.close());
    write({ ...Object.fromEntries(others), ...out.hashes() });
    return result;
  } finally {
    out.close();
  }
}
