import * as z from 'zod/mini';
import { MAX_MAGNITUDE } from '../../model/arrays.ts';
import { anyNumbers, between, float32, float64 } from '../../proto/shapes.ts';
import { FORWARD_ROWS } from '../../proto/task-limits.ts';
import { task } from '../../proto/tasks.ts';
import {
  batch,
  byMixture,
  count,
  natural,
  positive,
  positiveShare,
  readsOfClusters,
  widestOf,
} from '../parameters.ts';
import { STATES, transformOf } from '../states.ts';

/** The auto-encoder: a part of an epoch of its training, and latent vectors. */

const { hashes } = STATES;

/** Of the latent vectors that `pull` draws to the centres of their clusters. */
const clustersOfLatent = (task: { byMixture?: boolean | undefined }) => ({
  ...{ transform: transformOf('L'), ...readsOfClusters(task), 'code-centres': STATES['code-centres'] },
});

export const entries = {
  'encoder-steps': task({
    parameters: {
      epoch: count,
      batch,
      /** The learning rate of a training of `total` epochs, of which `done` are done; the unit's rows are `length` of one. */
      rate: positive,
      done: z.number().check(z.nonnegative()),
      length: positiveShare,
      total: natural,
      /** Steps of Adam that were taken before. */
      steps: count,
      /** Standard deviation of the noise on inputs. */
      noise: z.number().check(z.nonnegative(), z.lte(100)),
      /** Weight of a latent vector's squared distance from the centre of its cluster; 0: there are no clusters. */
      pull: z.number().check(z.nonnegative()),
      byMixture,
    },
    ...{ rows: 'blocks', sums: true },
    reads: (task) => ({
      ...{ hashes, encoder: STATES.encoder, 'encoder-input': STATES['encoder-input'] },
      'encoder-moments': STATES['encoder-moments'],
      ...(task.pull && clustersOfLatent(task)),
    }),
    largest: (task, sizes) => {
      const { E, rows, encoderWidest } = sizes;
      const widest = task.pull ? Math.max(encoderWidest, widestOf(task, sizes)) : encoderWidest;
      return Math.max(E, Math.max(task.pull ? FORWARD_ROWS : 0, Math.min(task.batch, rows)) * widest);
    },
    results: () => ({
      params: float32(['E'], anyNumbers),
      first: float32(['E'], anyNumbers),
      second: float32(['E'], anyNumbers),
      loss: float64([1], anyNumbers),
    }),
  }),
  encode: task({
    parameters: {},
    ...{ rows: 'blocks', sums: false },
    reads: () => ({ hashes, encoder: STATES.encoder, 'encoder-input': STATES['encoder-input'] }),
    largest: (_, { E, encoderWidest }) => Math.max(E, FORWARD_ROWS * encoderWidest),
    results: () => ({ codes: float32(['n', 'L'], between(-MAX_MAGNITUDE, MAX_MAGNITUDE)) }),
  }),
};
