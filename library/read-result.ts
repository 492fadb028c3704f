import { join } from 'node:path';
import { readNpy } from '../data/npy.ts';
import { readRunLabels } from '../data/run-files.ts';
import type { Summary } from '../view/summary.ts';
import type { RunResult } from './result.ts';

/** The public result of the run in `directory`. Its arrays are read from there on first access. */
export function resultOf(
  { nmi, ari, acc, silhouette, rows, dim, k, loss, epochs, rounds, workers, seconds }: Summary,
  directory: string,
  { soft, report }: { soft: boolean; report: string | null },
): RunResult {
  const properties = {
    k,
    scores: { nmi, ari, acc, silhouette },
    ...{ loss, rows, columns: dim, epochs, rounds, workers, seconds, directory, report },
  };
  return withArrays(properties, {
    labels: () => readRunLabels(join(directory, 'labels.npy'), rows),
    responsibilities: () =>
      soft
        ? (readNpy(join(directory, 'responsibilities.npy'), { within: directory }).data as Float32Array)
        : null,
  });
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
