import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readNpy } from '../data/npy.ts';
import { readTrainedModel } from '../data/trained-model.ts';
import type { Transform } from '../data/transform.ts';
import { splitEvenly } from '../model/arrays.ts';
import { type Layer, layersOf } from '../model/forward.ts';
import type { Mixture } from '../model/mixture.ts';

/** What a run has found until now: from `model/` and `mixture/` of a finished one, else from a checkpoint. */
export interface Fitted {
  transform: Transform;
  /** In the model's coordinates about the mean of the data, as in a checkpoint. */
  mixture: Mixture;
  /** Of each cluster: labels of all rows where the run is finished, so that they are `counted`; else soft counts of the sample. */
  rows: ArrayLike<number>;
  counted: boolean;
  net: Layer[];
}

/** UserError where the files of a finished run are missing or damaged. */
export function fittedFrom(run: string): Fitted {
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
