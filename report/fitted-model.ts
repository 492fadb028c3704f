import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readNpy } from '../data/npy.ts';
import { readTrained } from '../data/trained.ts';
import type { Transform } from '../data/transform.ts';
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
    net: layersOf({ params: net.map(({ values }) => values), shapes: net.map(({ shape }) => shape) }),
    rows: array('counts').data,
    counted: true,
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
