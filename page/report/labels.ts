import { join } from 'node:path';
import { ranges } from '../../base/slices.ts';
import { UserError } from '../../base/user-error.ts';
import type { Labels } from '../../data/label-spec.ts';
import { LABELS } from '../../data/row-parts.ts';
import { numberOfLabel, openRows } from '../../run/run-files.ts';
import { sampledRanges } from '../drawing/model-view.ts';

/** What the labels of a run say of its rows: those of a sample, and all of them against true classes. */

/** Rows of each cluster and class: `counts[cluster][class]`, with the names of the classes. */
export interface ContingencyTable {
  names: string[];
  counts: number[][];
}

/** Labels read at once. */
const CHUNK = 1 << 18;
/** Larger tables are not useful. */
const MOST_CELLS = 1 << 21;

/** The labels of a run of so many rows, by their ranges. */
function* labelsIn(path: string, rows: number, parts: Iterable<{ start: number; count: number }>) {
  const labels = openRows(path, LABELS, '<i4', rows);
  try {
    for (const { start, count } of parts) yield { start, labels: labels.read(start, count) };
  } finally {
    labels.close();
  }
}

/**
 * Counts a run's labels against true classes, by the clusters' numbers. Returns the reason as text if there are too many of either. `ids`: as of
 * `numberOfLabel`.
 */
export function tabulate(
  path: string,
  { codes, names }: Labels,
  ids?: readonly number[],
): ContingencyTable | string {
  const numberOf = numberOfLabel(ids);
  const counts: number[][] = [];
  const parts = ranges(codes.length, CHUNK).map(({ from, to }) => ({ start: from, count: to - from }));
  for (const { start, labels } of labelsIn(path, codes.length, parts))
    for (let i = 0; i < labels.length; i++) {
      const label = numberOf(labels[i]);
      if (label < 0)
        throw new UserError(
          `${join(path, LABELS)} is damaged: it has the label ${labels[i]}, which is no cluster`,
        );
      while (label >= counts.length) {
        if ((counts.length + 1) * names.length > MOST_CELLS)
          return `${label + 1} or more clusters and ${names.length} classes are too many to compare`;
        counts.push(Array<number>(names.length).fill(0));
      }
      counts[label][codes[start + i]]++;
    }
  return { names, counts };
}

/** The clusters, of `k`, of a sample of `sampled` rows out of `rows`. UserError if the file is damaged. `ids`: as of `numberOfLabel`. */
export function sampledLabels(
  path: string,
  rows: number,
  sampled: number,
  k: number,
  ids?: readonly number[],
): Int32Array {
  const parts = [...labelsIn(path, rows, sampledRanges(sampled, rows))];
  const labels = Int32Array.from(parts.flatMap((part) => Array.from(part.labels, numberOfLabel(ids))));
  if (labels.every((label) => label >= 0 && label < k)) return labels;
  throw new UserError(`${join(path, LABELS)} is damaged: it has labels that are none of its ${k} clusters`);
}
