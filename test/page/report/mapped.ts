// What a run with a map has of its rows, in a folder that has nothing else.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeNpy } from '../../../data/npy.ts';
import { QUANTILE_STEPS } from '../../../model/description/distances.ts';
import { encodeModel, MODEL } from '../../../run/model-file.ts';

/** Places [n, 2] and labels [n] of rows, each with a confidence of 0.75. */
export function mappedRun(run: string, xy: Float32Array, labels: Int32Array): string {
  rmSync(run, { recursive: true, force: true });
  mkdirSync(run, { recursive: true });
  writeNpy(join(run, 'map.npy'), '<f4', [xy.length / 2, 2], xy);
  writeNpy(join(run, 'labels.npy'), '<i4', [labels.length], labels);
  writeNpy(join(run, 'confidences.npy'), '<f4', [labels.length], new Float32Array(labels.length).fill(0.75));
  writeNpy(join(run, 'distances.npy'), '<f4', [labels.length], new Float32Array(labels.length).fill(1));
  const k = labels.reduce((most, label) => Math.max(most, label), 0) + 1;
  const model = {
    mixture: { weights: new Float32Array(k), bias: new Float32Array(k), constant: new Float32Array(k) },
    // All rows are nearer to their centres than any of these.
    distances: {
      centres: new Float32Array(2 * k),
      quantiles: new Float32Array(k * (QUANTILE_STEPS + 1)).fill(2),
    },
  };
  mkdirSync(join(run, 'model'));
  writeFileSync(join(run, MODEL), Buffer.concat(encodeModel({ model, names: null })));
  return run;
}
