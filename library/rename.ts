import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAtomicFile } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import { MAP, OUTLIERS } from '../data/row-parts.ts';
import { MOST_CHARACTERS, type Name, tidyName } from '../model/description/names.ts';
import { LABELS_CSV, LABELS_PARQUET, writeLabelTables } from '../run/descriptions.ts';
import { readSavedQuantiles } from '../run/row-files.ts';
import { type RunDirectory, reopenRunDirectory } from '../run/run-directory.ts';
import { readFinishedRun } from '../run/run-file.ts';
import { type FileHashes, readRunJson } from '../run/run-files.ts';
import {
  CLUSTERS,
  clusterNames,
  readSavedClusters,
  type SavedClusters,
  savedClusters,
} from '../run/saved-clusters.ts';
import { assertOptions, fixedPaths } from './arguments.ts';
import { rowNames } from './cut.ts';
import { openRun } from './open-run.ts';
import { reportOf } from './result.ts';

/** Options of `renameCluster`. */
export interface RenameOptions {
  /** The directory of a finished run. */
  run: string;
  /** The label of the cluster: its number, of an update its id. */
  cluster: number;
  /** What it is to be called: one line, at most 60 characters, which no other cluster and no join has. */
  name: string;
}

/** What `renameCluster` did. */
export interface Renamed {
  /** What the cluster was called; null in a run of an earlier version. */
  readonly before: string | null;
  /** What it is called now. */
  readonly name: string;
  /** What was left as it was and why, a sentence each. */
  readonly notes: readonly string[];
}

/** Of a report without the points that the one before may have. */
const WITHOUT_POINTS = /show no points/;

/**
 * Changes the name of a cluster of a finished run: in `clusters.json`, `labels.csv` and `labels.parquet`, and in the report if there is
 * one. Updates of the run keep it. A process that is killed meanwhile leaves a run that opens, and the same call makes it whole.
 *
 * @throws {UserError} (rejection) if the run is not finished or in use, has no such cluster, or if the name is empty, too long, or another's
 */
export async function renameCluster(options: RenameOptions): Promise<Renamed> {
  assertOptions('renameCluster', options, { run: 'string', cluster: 'number', name: 'string' }, [
    ...(['run', 'cluster', 'name'] as const),
  ]);
  const { cluster: label, name: given } = options;
  const paths = fixedPaths();
  const run = paths.fix(options.run);
  const name = tidyName(given, Number.POSITIVE_INFINITY);
  if (name === '') throw new UserError('the name of a cluster must have a character that can be seen');
  if ([...name].length > MOST_CHARACTERS)
    throw new UserError(`the name has ${[...name].length} characters, more than ${MOST_CHARACTERS}`);
  return paths.naming(async () => {
    const before = await rewriteNames(run, (saved) => renameIn(saved, run, label, name));
    return { before, name, notes: (await redrawn(run)).map(paths.asGiven) };
  });
}

/** Returns the name before. */
function renameIn(saved: SavedClusters, run: string, label: number, name: string): string | null {
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

/** Has `change` set names in `clusters.json`, and writes the files of the run that have them, but for the report. UserError if it is not finished or in use. */
export async function rewriteNames<T>(
  run: string,
  change: (saved: SavedClusters, out: RunDirectory) => T | Promise<T>,
): Promise<T> {
  readFinishedRun(run, dpmeshVersion());
  const out = await reopenRunDirectory(run);
  try {
    const { about: before, files } = readFinishedRun(run, dpmeshVersion());
    const { config, data, ids, files: hashes = {} } = before;
    const saved = readSavedClusters(files);
    if (!saved)
      throw new UserError(`${run} has no ${CLUSTERS}, as an earlier version wrote it: repeat the run`);
    const result = await change(saved, out);
    const hasTable = existsSync(join(run, LABELS_CSV));
    const titles = hasTable ? await rowNames(files) : null;
    const quantiles = hasTable ? readSavedQuantiles(files) : null;
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
        hasOutliers: existsSync(join(run, OUTLIERS)),
        hasMap: existsSync(join(run, MAP)),
      }).finally(() => titles?.close());
    write({ ...Object.fromEntries(others), ...out.hashes() });
    return result;
  } finally {
    out.close();
  }
}

/** Draws the report again, if there is one and nothing that it shows would be lost. */
export async function redrawn(run: string): Promise<string[]> {
  if (reportOf(run) === null) return [];
  const folder = mkdtempSync(join(tmpdir(), 'dpmesh-report-'));
  try {
    const { notes } = await (await openRun(run)).draw({ out: folder });
    const lost = notes.find((note) => WITHOUT_POINTS.test(note));
    if (lost) return [`${lost}: the report has the name before until dpmesh plot ${run} draws it`];
    for (const name of readdirSync(folder)) {
      const file = createAtomicFile(join(run, 'report', name));
      file.write(readFileSync(join(folder, name)), 0);
      file.finish();
    }
    return [];
  } finally {
    rmSync(folder, { recursive: true });
  }
}
