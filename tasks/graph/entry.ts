import * as z from 'zod/mini';
import { MAX_MAGNITUDE } from '../../model/arrays.ts';
import { KEPT_MEMBERSHIPS } from '../../model/widths.ts';
import { between, counts, float32, float64, index, int32, must, positiveOrZero } from '../../proto/shapes.ts';
import { task } from '../../proto/tasks.ts';
import { natural, onSample, positive, positiveShare, resolution, sample, upTo } from '../parameters.ts';
import { STATES, UNDIRECTED } from '../states.ts';

/** The neighbour graph of the sample: features, neighbours, partitions, memberships. */

const { hashes, net, points } = STATES;

const MOST_NEIGHBOURS = 1024;
const [MOST_RESOLUTIONS, MOST_REPLICATES] = [64, 64];
/** Limits on a Gaussian without clusters, to which partitions are compared. */
const [MOST_DIMENSIONS, MOST_NULL_ROWS] = [1024, 1 << 12];
const resolutions = z.array(resolution).check(z.minLength(1), z.maxLength(MOST_RESOLUTIONS));

/** Of so many things that are dealt out to the shards in turn, those of one. */
const ownOf = (all: number, shards: number, shard: number) => Math.max(0, Math.ceil((all - shard) / shards));

export const entries = {
  'sample-covariance': task({
    parameters: {
      /** Rows are scaled to unit length. */
      unit: z.boolean(),
      /** Every m-th of the sample's rows is taken. */
      every: natural,
      /** Columns of a sketch; 0: the columns themselves. */
      sketch: z.int().check(z.nonnegative(), z.lte(1 << 10), z.multipleOf(4)),
    },
    ...onSample,
    reads: () => ({ hashes, columns: STATES.columns }),
    sizes: ({ sketch }, { dim }) => ({ width: sketch || dim }),
    results: () => ({
      n: float64([1], counts),
      s: float64(['width']),
      S: float64(['width', 'width']),
    }),
  }),
  'sample-rows': task({
    parameters: {
      /** Every so many-th row of a shard, from its first on; not given: all. */
      every: z.optional(natural),
    },
    ...onSample,
    sums: false,
    reads: () => sample,
    results: () => ({ rows: float32(['own', 'D'], between(-MAX_MAGNITUDE, MAX_MAGNITUDE)) }),
    limits: ({ every = 1 }, { n }) => ({ own: Math.ceil(n / every) }),
  }),
  neighbours: task({
    parameters: { k: upTo(1, MOST_NEIGHBOURS) },
    ...onSample,
    sums: false,
    reads: () => ({ ...sample, points }),
    check: ({ k }, { N }) => must(k < N, `${k} neighbours among ${N} rows`),
    results: () => ({
      index: int32(['n', 'k'], index('N')),
      weight: float64(['n', 'k'], between(0, 1)),
      distance: float32(['n', 'k'], positiveOrZero),
    }),
  }),
  partitions: task({
    parameters: { resolutions, replicates: upTo(1, MOST_REPLICATES), share: positiveShare },
    ...onSample,
    sums: false,
    reads: () => ({ ...sample, points, graph: UNDIRECTED }),
    sizes: ({ resolutions, replicates, share }, { N, shards }, shard) => ({
      m: ownOf(resolutions.length * replicates, shards, shard),
      part: Math.floor(share * N),
    }),
    results: () => ({ labels: int32(['m', 'part'], index('N')) }),
  }),
  'null-partitions': task({
    parameters: {
      /** Variances of the columns of a Gaussian, which are independent. */
      variances: z.array(positive).check(z.minLength(1), z.maxLength(MOST_DIMENSIONS)),
      rows: upTo(4, MOST_NULL_ROWS),
      neighbours: upTo(1, MOST_NEIGHBOURS),
      resolutions,
      replicates: upTo(2, MOST_REPLICATES),
      share: positiveShare,
    },
    ...onSample,
    sums: false,
    reads: () => ({}),
    sizes: ({ resolutions, rows }, { shards }, shard) => ({
      m: ownOf(resolutions.length, shards, shard),
      points: rows,
    }),
    check: ({ neighbours, rows }) => must(neighbours < rows, `${neighbours} neighbours among ${rows} rows`),
    results: () => ({ mean: float64(['m'], between(-1, 1)), size: float64(['m'], between(1, 'points')) }),
  }),
  'start-partition': task({
    parameters: { resolution },
    ...onSample,
    sums: false,
    reads: () => ({ ...sample, points, graph: UNDIRECTED }),
    results: () => ({ labels: int32(['N'], index('N')), quality: float64([1]) }),
  }),
  memberships: task({
    parameters: {},
    ...onSample,
    sums: false,
    reads: () => ({ ...sample, net, points, graph: STATES.graph }),
    results: () => ({
      cluster: int32(['n', KEPT_MEMBERSHIPS], index('K')),
      share: float32(['n', KEPT_MEMBERSHIPS], between(0, 1)),
      volume: float64(['K'], positiveOrZero),
    }),
  }),
};
