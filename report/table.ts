import { closeSync } from 'node:fs';
import { readFully } from '../base/files.ts';
import type { Labels } from '../data/labels.ts';
import { decode, openNpy } from '../data/npy.ts';

/** Rows of each cluster and class. */
export interface Table {
  /** Of the classes. */
  names: string[];
  counts: number[][];
}

/** Labels are read in pieces of this many. */
const CHUNK_ELEMENTS = 1 << 18;
/** A larger table is of no use to anybody. */
const MOST_CELLS = 1 << 18;

/** Counts a run's `labels.npy` against true classes; a sentence where there are too many of them. */
export function tabulate(path: string, { codes, names }: Labels): Table | string {
  const counts: number[][] = [];
  const file = openNpy(path);
  try {
    for (let at = 0; at < codes.length; at += CHUNK_ELEMENTS) {
      const count = Math.min(CHUNK_ELEMENTS, codes.length - at);
      const bytes = new Uint8Array(count * file.dtype.size);
      readFully(file, bytes, file.offset + at * file.dtype.size);
      const labels = decode(bytes, file.dtype);
      for (let i = 0; i < count; i++) {
        while (labels[i] >= counts.length) {
          if ((counts.length + 1) * names.length > MOST_CELLS)
            return `${labels[i] + 1} clusters and ${names.length} classes are too many to compare`;
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
