// What a run has written so far: epochs, checkpoints, hashes of its results, the URL of its page.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { NONE_OPTIONAL, ROW_COLUMNS, rowColumns } from '../../model/row-columns.ts';
import { eventsOf, ofType, type RunningProcess, sha256, until } from '../bench/processes.ts';

/** The URL of the live page of a run, once it has logged it. */
export const pageUrlOf = (run: RunningProcess) =>
  until('the URL of its page', () => /watch it at (http:\S+\/)/.exec(run.stderr())?.[1], run);

/** The last epoch that a run has reported; 0 if none. */
export const epochOf = (run: string) => ofType(eventsOf(run), 'epoch').at(-1)?.epoch ?? 0;

/** File names of the checkpoints, oldest first. */
export function checkpointsOf(run: string): string[] {
  try {
    return readdirSync(join(run, 'checkpoints'))
      .filter((name) => name.endsWith('.ckpt'))
      .sort();
  } catch {
    return [];
  }
}

/** What there is of each row of a run without outliers. */
export const ROW_FILES = rowColumns({ ...NONE_OPTIONAL, log_density: true, map: true }).map(
  ([, { file }]) => file,
);

/** Hashes of the results that must be reproducible: labels and what is said of rows and clusters, tree, model, mixture. */
export function resultHashes(run: string): string[] {
  const names = ['model', 'mixture'].flatMap((folder) =>
    readdirSync(join(run, folder))
      .sort()
      .map((name) => join(folder, name)),
  );
  const { file: density } = ROW_COLUMNS.log_density;
  const others = ['labels.parquet', 'components.npy', 'copies.npy', density].filter((name) =>
    existsSync(join(run, name)),
  );
  return [
    ...ROW_FILES.filter((name) => name !== density),
    'labels.csv',
    ...others,
    'clusters.json',
    'tree.json',
    ...names,
  ].map((name) => `${name} ${sha256(join(run, name))}`);
}
