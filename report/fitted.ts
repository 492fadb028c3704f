import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readNpy } from '../data/npy.ts';
import { readTrained } from '../data/trained.ts';
import { applyColumns, type Transform } from '../data/transform.ts';
import type { Mixture } from '../model/mixture.ts';
import type { Net } from '../model/net.ts';

/** What a run has found until now: from `model/` and `mixture/` of a finished one, else from a checkpoint. */
export interface Fitted {
  transform: Transform;
  /** In the model's coordinates about the mean of the data, as in a checkpoint. */
  mixture: Mixture;
  /** Rows of each cluster, all rows counted; null where the run is not finished. */
  counts: Float64Array | null;
  net: Layer[];
}

export interface Layer {
  values: Float32Array;
  shape: readonly number[];
}

/** UserError where the files of a finished run are missing or damaged. */
export function fittedFrom(run: string): Fitted {
  const { transform, net } = readTrained(run);
  const array = (name: string) => {
    const { shape, data } = readNpy(join(run, 'mixture', `${name}.npy`));
    return { shape, data: Float64Array.from(data) };
  };
  const [means, covariances] = [array('means'), array('covariances')];
  const [k, d] = means.shape;
  const cut = ({ data }: { data: Float64Array }) =>
    Array.from({ length: k }, (_, c) => data.slice((c * data.length) / k, ((c + 1) * data.length) / k));
  return {
    transform,
    net,
    counts: array('counts').data,
    mixture: {
      k,
      d,
      covariance: covariances.shape.length === 3 ? 'full' : 'diag',
      weights: array('weights').data,
      means: cut(means).map((mean) => mean.map((value, i) => value - transform.offset[i])),
      covariances: cut(covariances),
    },
  };
}

export const isFinished = (run: string) =>
  ['labels.npy', 'model/transform.json', 'mixture/counts.npy'].every((name) => existsSync(join(run, name)));

/** Weights and biases in turn; of net `which` where there are several in one. */
export function layersOf({ params, shapes }: Net, which?: number): Layer[] {
  return params.map((values, i) => {
    if (which === undefined) return { values, shape: shapes[i] };
    const size = values.length / shapes[i][0];
    return { values: values.subarray(which * size, (which + 1) * size), shape: shapes[i].slice(1) };
  });
}

/** Rows as the networks see them; `raw` already of unit length where the transform asks for that. */
export function networkRows(transform: Transform, raw: Float32Array): Float32Array {
  const { columns, input, dim, weights, bias } = transform;
  return columns ? applyColumns(transform, raw) : affine(raw, input, weights, bias, dim);
}

/** Logits of each row, n×K. */
export function logits(layers: Layer[], rows: Float32Array): Float32Array {
  let at = rows;
  for (let i = 0; i < layers.length; i += 2) {
    const [input, output] = layers[i].shape;
    at = affine(at, input, layers[i].values, layers[i + 1].values, output);
    if (i + 2 < layers.length) for (let p = 0; p < at.length; p++) at[p] = Math.max(0, at[p]);
  }
  return at;
}

function affine(x: Float32Array, input: number, w: Float32Array, b: Float32Array, output: number) {
  const n = x.length / input;
  const out = new Float32Array(n * output);
  const sums = new Float64Array(output);
  for (let r = 0; r < n; r++) {
    sums.set(b);
    for (let i = 0; i < input; i++) {
      const value = x[r * input + i];
      if (value !== 0) for (let j = 0; j < output; j++) sums[j] += value * w[i * output + j];
    }
    out.set(sums, r * output);
  }
  return out;
}

/** The largest logit of each row. */
export function argmax(values: Float32Array, k: number): Int32Array {
  return Int32Array.from({ length: values.length / k }, (_, r) => {
    let best = 0;
    for (let c = 1; c < k; c++) if (values[r * k + c] > values[r * k + best]) best = c;
    return best;
  });
}
