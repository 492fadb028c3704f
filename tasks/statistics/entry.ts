import * as z from 'zod/mini';
import { anyNumbers, counts, float64, index, label, must, positiveOrZero } from '../../proto/shapes.ts';
import { task } from '../../proto/tasks.ts';
import {
  byMixture,
  count,
  natural,
  onSample,
  readsOfClusters,
  sample,
  share,
  statistics,
  widestOf,
} from '../parameters.ts';
import { STATES } from '../states.ts';

/** Statistics of the clusters of the sample, where clusters may start, and its labels. */

const { net } = STATES;

export const entries = {
  'seed-distances': task({
    parameters: { centres: count, draw: count },
    ...onSample,
    sums: false,
    reads: () => ({ ...sample, centres: STATES.centres }),
    check: ({ centres }, { seeds }) => must(seeds >= centres, 'centres has too few rows'),
    results: () => ({ weight: float64([1], positiveOrZero), row: float64(['D']) }),
  }),
  statistics: task({
    parameters: { diagonal: z.boolean(), block: natural },
    ...onSample,
    reads: () => ({ ...sample, net }),
    sizes: statistics('D'),
    largest: ({ block }, { rows, widest, P }) => Math.min(block, rows) * Math.max(widest, P),
    results: () => ({ T: float64(['K', 'P'], anyNumbers) }),
  }),
  'pivoted-statistics': task({
    parameters: { diagonal: z.boolean(), least: share, byMixture },
    ...onSample,
    reads: (task) => ({ ...sample, ...readsOfClusters(task), means: STATES.means }),
    sizes: statistics('D'),
    results: () => ({ T: float64(['K', 'P'], anyNumbers) }),
  }),
  'sample-labels': task({
    parameters: { every: natural, byMixture, draw: z.optional(count) },
    ...onSample,
    sums: false,
    reads: (task) => ({ ...sample, ...readsOfClusters(task) }),
    largest: (task, sizes) => sizes.blockRows * widestOf(task, sizes),
    results: ({ draw }) => ({
      labels: label(['own'], index('K')),
      counts: float64(['K'], counts),
      ...(draw !== undefined && { doubt: float64(['K'], positiveOrZero) }),
    }),
    limits: ({ every }, { n }) => ({ own: Math.ceil(n / every) }),
  }),
};
