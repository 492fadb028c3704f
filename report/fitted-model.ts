import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readNpy } from '../data/npy.ts';
import { readTrainedModel } from '../data/trained-model.ts';
import type { Transform } from '../data/transform.ts';
import { splitEvenly } from '../model/arrays.ts';
import { type Layer, layersOf } from '../model/forward.ts';
import type { Mixture } from '../model/mixture.ts';

/** The fitted model: from `model/` and `mixture/` of a finished run, else from a checkpoint. */
export interface FittedModel {
  transform: Transform;
  /** In model coordinates, centred on the mean of the data, as in a checkpoint. */
  mixture: Mixture;
  /** Rows of each cluster. `counted`: by the labels of all rows (finished runs); else soft counts of the sample. */
  rows: ArrayLike<number>;
  counted: boolean;
  net: Layer[];
}

/** Reads the model of a finished run. UserError if files are missing or damaged. */
export function readFittedModel(run: string): FittedModel {
  const { transform, net } = readTrainedModel(run);
  const array = (name: string) => {
    const { shape, data } = readNpy(join(run, 'mixture', `${name}.npy`));
    return { shape, data: Float64Array.from(data) };
  };
  const [means, covariances] = [array('means'), array('covariances')];
  const [k, d] = means.shape;
  return {
    transform,
    net: layersOf({ params: net.map(({ values }) => values), shapes: net.map(({ shape }) => shape) }),
    rows: array('counts').data,
    counted: true,
    mixture: {
      k,
      d,
      covariance: covariances.shape.length === 3 ? 'full' : 'diag',
      weights: array('weights').data,
      means: splitEvenly(means.data, k).map((mean) => mean.map((value, i) => value - transform.offset[i])),
      covariances: splitEvenly(covariances.data, k),
    },
  };
}

export const isFinished = (run: string) =>
  ['labels.npy', 'model/transform.json', 'mixture/counts.npy'].every((name) => existsSync(join(run, name)));
