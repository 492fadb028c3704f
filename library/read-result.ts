import { join, resolve } from 'node:path';
import { statusOf } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { readNpy } from '../data/npy.ts';
import { type FileHashes, readRunLabels, recordedHashes, runFiles } from '../data/run-files.ts';
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
  { nmi, ari, acc, silhouette, rows, dim, k, loss, epochs, rounds, workers, seconds }: Summary,
  directory: string,
  { soft, report, files, shown = directory }: ResultLocation,
): RunResult {
  const properties = {
    k,
    scores: { nmi, ari, acc, silhouette },
    ...{ loss, rows, columns: dim, epochs, rounds, workers, seconds, directory: shown, report },
  };
  // As they are now: the caller may change its folder, and a later run may replace this one.
  const path = resolve(directory);
  const [labels, responsibilities] = ['labels.npy', 'responsibilities.npy'].map((name) => join(path, name));
  const stamp = stampOf(labels);
  const assertIntact = (name: string) => {
    if (stampOf(labels) !== stamp)
      throw new UserError(
        `${labels} has been replaced or removed since the run ended; read the arrays of a result before that`,
      );
    runFiles(path, files ?? recordedHashes(path)).assertIntact(name);
  };
  return withArrays(properties, {
    labels() {
      assertIntact('labels.npy');
      return readRunLabels(labels, rows);
    },
    responsibilities() {
      if (!soft) return null;
      assertIntact('responsibilities.npy');
      return readNpy(responsibilities, { within: path }).data as Float32Array;
    },
  });
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
