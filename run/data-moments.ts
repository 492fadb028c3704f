import type { OutlierBounds } from '../data/steps/fences.ts';
import type { Moments } from '../data/transform.ts';

/** What the moments round yields; checkpoints have it too. */
export interface DataMoments {
  moments: Moments;
  /** Sample rows of each shard. */
  sampleRows: number[];
  /** Content hashes of all blocks, concatenated in the order of the file. */
  hashes: Uint8Array;
  /** With `fences`, moments and sample rows are without the outliers beyond them. */
  fences: OutlierBounds | null;
}
