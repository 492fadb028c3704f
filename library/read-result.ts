import { join } from 'node:path';
import { readNpy } from '../data/npy.ts';
import { readRunLabels } from '../data/run-files.ts';
import type { Summary } from '../view/summary.ts';
import type { RunResult } from './result.ts';

/** The result of the run in `directory`. */
export function resultOf(
  { nmi, ari, acc, silhouette, rows, dim, k, loss, epochs, rounds, workers, seconds }: Summary,
  directory: string,
  { soft, report }: { soft: boolean; report: string | null },
): RunResult {
  const facts = {
    k,
    scores: { nmi, ari, acc, silhouette },
    ...{ loss, rows, columns: dim, epochs, rounds, workers, seconds, directory, report },
  };
  return withArrays(facts, {
    labels: () => readRunLabels(join(directory, 'labels.npy'), rows),
    responsibilities: () =>
      soft
        ? (readNpy(join(directory, 'responsibilities.npy'), { within: directory }).data as Float32Array)
        : null,
  });
}

/** Adds large arrays that are read when they are first asked for; printing and copying the object leaves them out. */
export function withArrays<Facts extends object, Arrays extends Record<string, unknown>>(
  facts: Facts,
  readers: { [Name in keyof Arrays]: () => Arrays[Name] },
): Facts & Arrays {
  for (const [name, read] of Object.entries(readers) as [string, () => unknown][]) {
    let kept: { value: unknown } | null = null;
    Object.defineProperty(facts, name, {
      get() {
        kept ??= { value: read() };
        return kept.value;
      },
    });
  }
  return facts as Facts & Arrays;
}
