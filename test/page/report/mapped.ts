// What a run with a map has of its rows, in a folder that has nothing else.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeNpy } from '../../../data/npy.ts';

/** Places [n, 2] and labels [n] of rows, each with a confidence of 0.75. */
export function mappedRun(run: string, xy: Float32Array, labels: Int32Array): string {
  rmSync(run, { recursive: true, force: true });
  mkdirSync(run, { recursive: true });
  writeNpy(join(run, 'map.npy'), '<f4', [xy.length / 2, 2], xy);
  writeNpy(join(run, 'labels.npy'), '<i4', [labels.length], labels);
  writeNpy(join(run, 'confidences.npy'), '<f4', [labels.length], new Float32Array(labels.length).fill(0.75));
  writeNpy(join(run, 'distances.npy'), '<f4', [labels.length], new Float32Array(labels.length).fill(1));
  return run;
}
