import { closeSync } from 'node:fs';
import { readFully } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { decode } from '../data/arrays/dtype.ts';
import type { Labels } from '../data/labels.ts';
import { openRunLabels } from '../data/saved/run-files.ts';
import { sampledRanges } from '../view/sample-rows.ts';

/** What the labels of a run say of its rows: those of a sample, and all of them against true classes. */

/** Rows of each cluster and class. */
export interface ContingencyTable {
  /** Names of the classes. */
  names: string[];
  /** `counts[cluster][class]`. */
  counts: number[][];
}

/** Labels read at once. */
const CHUNK = 1 << 18;
/** Larger tables are not useful. */
const MOST_CELLS = 1 << 21;

/** Counts a run's `labels.npy` against true classes. Returns the reason as text if there are too many of either. */
export function tabulate(path: string, { codes, names }: Labels): ContingencyTable | string {
  const counts: number[][] = [];
  const file = openRunLabels(path, codes.length);
  try {
    for (let at = 0; at < codes.length; at += CHUNK) {
      const count = Math.min(CHUNK, codes.length - at);
      const bytes = new Uint8Array(count * file.dtype.size);
      readFully(file, bytes, file.offset + at * file.dtype.size);
      const labels = decode(bytes, file.dtype);
      for (let i = 0; i < count; i++) {
        if (labels[i] < 0) throw new UserError(`${path} is damaged: it has a negative label`);
        while (labels[i] >= counts.length) {
          if ((counts.length + 1) * names.length > MOST_CELLS)
            return `${labels[i] + 1} or more clusters and ${names.length} classes are too many to compare`;
          counts.push(Array<number>(names.length).fill(0));
        }
        counts[labels[i]][codes[at + i]]++;
      }
    }
  } finally {
    closeSync(file.fd);
  }
  return { names, counts };
}

/** The clusters, of `k`, of a sample of `sampled` rows out of `rows`. UserError if the file is damaged. */
export function sampledLabels(path: string, rows: number, sampled: number, k: number): Int32Array {
  const labels = new Int32Array(sampled);
  const file = openRunLabels(path, rows);
  try {
    for (const { start, count, at } of sampledRanges(sampled, rows)) {
      const bytes = new Uint8Array(count * file.dtype.size);
      readFully(file, bytes, file.offset + start * file.dtype.size);
      labels.set(Int32Array.from(decode(bytes, file.dtype)), at);
    }
  } finally {
    closeSync(file.fd);
  }
  if (labels.every((label) => label >= 0 && label < k)) return labels;
  throw new UserError(`${path} is damaged: it has labels that are not from 0 to ${k - 1}`);
}
