import * as z from 'zod/mini';
import { anyNumbers, counts, float32, float64, type TensorSpecs } from '../../proto/shapes.ts';
import { task } from '../../proto/tasks.ts';
import {
  batch,
  byMixture,
  count,
  field,
  onSample,
  positive,
  readsOfClusters,
  sample,
  statistics,
  steps,
} from '../parameters.ts';
import { STATES, whitened } from '../states.ts';

/** Local steps of the clustering net, and of the sub-clustering nets. */

const { net, subs, points } = STATES;

/** Local steps of nets of so many parameters: weights or gradients times their weight in the average, and these weights. */
const stepResults = (
  { average }: { average: 'weights' | 'gradients' },
  size: string,
  nets: number | string,
): TensorSpecs => {
  const names = average === 'gradients' ? ['gradients'] : ['params', 'first', 'second'];
  return {
    ...Object.fromEntries(names.map((name) => [name, float64([size], anyNumbers)])),
    loss: float64([1], anyNumbers),
    count: float64([nets], counts),
    shards: float64([1], counts),
  };
};

const localSteps = {
  epoch: count,
  steps,
  batch,
  rate: positive,
  /** Adam steps that were taken before. */
  done: count,
  average: z.enum(['weights', 'gradients']),
};

export const entries = {
  'cluster-steps': task({
    parameters: {
      ...localSteps,
      form: z.enum(['product', 'cholesky']),
      diagonal: z.boolean(),
      /** The targets are those of the mean field, and `form` does not matter. */
      field: z.optional(field),
    },
    ...onSample,
    reads: ({ form, field }) => ({
      ...{ ...sample, net, 'net-moments': STATES['net-moments'] },
      ...(field
        ? { points, graph: STATES.graph, memberships: STATES.memberships }
        : {
            'e-step': {
              tensors: () => (form === 'product' ? { theta: float32(['P', 'K']) } : whitened([], 'K')),
            },
          }),
    }),
    sizes: statistics('D'),
    largest: ({ batch }, { rows, widest }) => Math.min(batch, rows) * widest,
    results: (task) => stepResults(task, 'W', 1),
  }),
  'sub-steps': task({
    parameters: { ...localSteps, byMixture },
    ...onSample,
    reads: (task) => ({
      ...{ ...sample, ...readsOfClusters(task), subs, 'subs-moments': STATES['subs-moments'] },
      parts: { tensors: () => ({ centres: float32(['K', 2, 'D']), metric: float32(['D']) }) },
    }),
    largest: ({ batch }, { K, D, subWidest }) => K * batch * Math.max(D, subWidest),
    results: (task) => stepResults(task, 'S', 'K'),
  }),
};
