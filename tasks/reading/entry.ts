import * as z from 'zod/mini';
import { HASH_BYTES } from '../../model/layout.ts';
import { QUANTILES } from '../../model/widths.ts';
import { anyNumbers, counts, extreme, float32, float64, uint8, whole } from '../../proto/shapes.ts';
import { task } from '../../proto/tasks.ts';
import { areRanges, bins, mostSampled, onSample, share, statistics } from '../parameters.ts';
import { STATES } from '../states.ts';

/** Reading the data: sums over all rows, and what there is of outliers in the sample. */

const { hashes } = STATES;

export const entries = {
  moments: task({
    parameters: {
      ...{ normalize: z.boolean(), diagonal: z.boolean(), sample: share },
      /** Rows of the sample are results; else the worker keeps them. */
      sends: z.boolean(),
    },
    ...{ rows: 'blocks', sums: false },
    reads: () => ({ origin: STATES.origin }),
    sizes: statistics('dim'),
    results: ({ sends }) => ({
      T: float64(['P']),
      min: float64(['dim'], extreme),
      max: float64(['dim'], extreme),
      hashes: uint8(['unitBlocks', HASH_BYTES]),
      /** Rows in the sample, bad rows, and the first of these; -1: there are none. */
      counts: float64([3], whole(-1, 'rows+1')),
      ...(sends && { sampled: float32(['own', 'dim'], anyNumbers) }),
    }),
    limits: ({ sample }, { n }) => ({ own: mostSampled(n, sample) }),
    isPossible({ counts: { data }, min, max, sampled }, { n, rows, dim }) {
      const [kept, bad, first] = data;
      if (sampled && sampled.data.length !== kept * dim) return false;
      if (!(kept >= 0 && kept <= n && bad >= 0 && bad <= n && first < rows)) return false;
      return bad > 0 === first >= 0 && (bad === n || areRanges(min, max));
    },
  }),
  'column-histogram': task({
    parameters: { sample: share, bins },
    ...onSample,
    reads: () => ({ hashes, 'key-ranges': STATES['key-ranges'] }),
    results: () => ({ counts: float64(['C', QUANTILES.length, 'bins'], counts) }),
  }),
  'fenced-moments': task({
    parameters: { sample: share, diagonal: z.boolean() },
    ...onSample,
    sums: false,
    reads: () => ({ hashes, fences: STATES.fences }),
    sizes: statistics('dim'),
    results: () => ({
      T: float64(['P']),
      min: float64(['dim'], extreme),
      max: float64(['dim'], extreme),
      beyond: float64(['C'], counts),
      near: float64(['C'], counts),
    }),
    isPossible: ({ T: { data }, min, max }, { n }) =>
      Number.isInteger(data[0]) && data[0] >= 0 && data[0] <= n && (data[0] === 0 || areRanges(min, max)),
  }),
};
