import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { statusOf } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { CONFIDENCES, DISTANCES, readRowColumn } from '../data/saved/row-columns.ts';
import {
  type FileHashes,
  readRunLabels,
  readRunResponsibilities,
  recordedHashes,
  runFiles,
} from '../data/saved/run-files.ts';
import { CLUSTERS, readSavedClusters } from '../data/saved/saved-clusters.ts';
import type { Summary } from '../view/summary.ts';
import type { RunResult } from './result.ts';

interface ResultLocation {
  soft: boolean;
  report: string | null;
  files?: FileHashes;
  /** The directory as the caller knows it. */
  shown?: string;
}

/**
 * The public result of the run in `directory`. Its arrays are read from there on first access: UserError then for a file that
 * has another hash than in `files`, by default those of its run.json.
 */
export function resultOf(
  summary: Summary,
  directory: string,
  { soft, report, files, shown = directory }: ResultLocation,
): RunResult {
  const { nmi, ari, acc, silhouette, rows, dim, k, loss, epochs, rounds, workers, seconds } = summary;
  const { outliers, notes, replicates, stability, alternations = null } = summary;
  const properties = {
    k,
    scores: { nmi, ari, acc, silhouette },
    ...{ loss, rows, outliers, columns: dim, epochs, rounds, workers, seconds },
    ...{ replicates, stability, alternations, notes, directory: shown, report },
  };
  // As they are now: the caller may change its folder, and a later run may replace this one.
  const path = resolve(directory);
  const [labels, responsibilities] = ['labels.npy', 'responsibilities.npy'].map((name) => join(path, name));
  const assertSame = sameFile(labels, 'the run ended');
  const assertIntact = (name: string) => {
    assertSame();
    runFiles(path, files ?? recordedHashes(path)).assertIntact(name);
  };
  const ofEarlierVersion = (name: string) =>
    new UserError(`${join(shown, name)} is not there, as an earlier version wrote the run: repeat it`);
  const rowColumn = (name: string) => {
    if (!existsSync(join(path, name))) throw ofEarlierVersion(name);
    assertIntact(name);
    return readRowColumn(path, name, rows);
  };
  return withArrays(properties, {
    labels() {
      assertIntact('labels.npy');
      return readRunLabels(labels, rows);
    },
    responsibilities() {
      if (!soft) return null;
      assertIntact('responsibilities.npy');
      return readRunResponsibilities(responsibilities, rows, k);
    },
    confidences: () => rowColumn(CONFIDENCES),
    distances: () => rowColumn(DISTANCES),
    clusters() {
      assertSame();
      const saved = readSavedClusters(runFiles(path, files ?? recordedHashes(path)));
      if (!saved) throw ofEarlierVersion(CLUSTERS);
      return saved.clusters;
    },
  });
}

/** A function that throws a UserError once the path leads to another file than now. `since`: what has happened now. */
export function sameFile(path: string, since: string): () => void {
  const stamp = stampOf(path);
  return () => {
    if (stampOf(path) !== stamp)
      throw new UserError(
        `${path} has been replaced or removed since ${since}; read the arrays of a result before that`,
      );
  };
}

/** Identifies the content of a file, cheaply. */
function stampOf(path: string): string {
  const stat = statusOf(path);
  return stat ? [stat.dev, stat.ino, stat.size, stat.mtimeMs].join('/') : 'missing';
}

/** Adds properties that are read on first access. They are not enumerable, so printing and copying the object omits them. */
export function withArrays<T extends object, Arrays extends Record<string, unknown>>(
  object: T,
  readers: { [Name in keyof Arrays]: () => Arrays[Name] },
): T & Arrays {
  for (const [name, read] of Object.entries(readers) as [string, () => unknown][]) {
    let cached: { value: unknown } | null = null;
    Object.defineProperty(object, name, {
      get() {
        cached ??= { value: read() };
        return cached.value;
      },
    });
  }
  return object as T & Arrays;
}
