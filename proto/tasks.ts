import * as z from 'zod/mini';
import { SHA256_BYTES } from '../base/hash.ts';
import { MAX_MAGNITUDE } from '../model/arrays.ts';
import { type Block, blockCount, HASH_BYTES, type Layout, unitBlocks } from '../model/layout.ts';
import { type RowColumn, rowColumns } from '../model/row-columns.ts';
import { type Covariance, centreWidth, statisticsLength } from '../model/statistics.ts';
import { KEPT_MEMBERSHIPS, MOST_SHOWN, MOST_TERMS, QUANTILES } from '../model/widths.ts';
import { areCells, type Cell, checkCells } from './partition.ts';
import {
  anyNumbers,
  between,
  bytesOfSpecs,
  counts,
  extreme,
  float32,
  float64,
  index,
  int32,
  label,
  must,
  positiveOrZero,
  problemWith,
  type Sizes,
  type TensorSpecs,
  uint8,
  whole,
} from './shapes.ts';
import {
  bindState,
  DENSITIES,
  named,
  rows,
  STATES,
  type StateSpec,
  transformOf,
  UNDIRECTED,
  whitened,
} from './states.ts';
import { FORWARD_ROWS, MAX_BATCH_SIZE, MAX_LOCAL_STEPS, MAX_MESSAGE } from './task-limits.ts';
import type { Nd, Tensors } from './tensors.ts';

/**
 * The tasks of a round, in one table: for each its parameters, the states that it reads, and its results with their shapes and ranges.
 * The schema of the wire, the checks of requests and of results, and the table in README.md follow from it; README.md says what each
 * computes.
 *
 * Sizes in shapes: `dim` columns of the data, D numbers of a transformed row, P of statistics of rows, K clusters, n rows that a
 * result is about, N rows of the whole sample.
 */

/** What a worker returns of each row: the columns, or the hashes of the files that it has written them to. */
const rowResults = (columns: [string, RowColumn][], areFiles: boolean): TensorSpecs =>
  areFiles
    ? { hashes: uint8([columns.length, SHA256_BYTES], index(256)) }
    : Object.fromEntries(columns.map(([name, column]) => [name, rowSpec(column)]));
function rowSpec({ width, values }: RowColumn) {
  const shape = width === 1 ? ['n'] : ['n', width];
  if (values === 'clusters') return label(shape, index('K'));
  if (values === 'flags') return uint8(shape, index(2));
  if (values === 'finite') return float32(shape);
  return float32(shape, values === 'any' ? anyNumbers : positiveOrZero);
}

/** Float32 numbers of a tensor: WebAssembly addresses 4 GiB. */
const MOST_NUMBERS = 2 ** 30;

const count = z.int().check(z.nonnegative());
const positive = z.number().check(z.positive());
const natural = z.int().check(z.positive());
const upTo = (least: number, most: number) => z.int().check(z.gte(least), z.lte(most));
const steps = upTo(1, MAX_LOCAL_STEPS);
const batch = upTo(1, MAX_BATCH_SIZE);
const bins = upTo(2, 1 << 12);
const share = z.number().check(z.gte(0), z.lte(1));
const positiveShare = z.number().check(z.gt(0), z.lte(1));
const name = z.string().check(z.maxLength(64));
const MOST_NEIGHBOURS = 1024;
const MOST_LANGUAGES = 64;
/** Numbers of terms by cluster, and of words, in the texts of a unit. */
const MOST_ENTRIES = 1 << 25;
const [MOST_RESOLUTIONS, MOST_REPLICATES] = [64, 64];
/** Limits on a Gaussian without clusters, to which partitions are compared. */
const [MOST_DIMENSIONS, MOST_NULL_ROWS] = [1024, 1 << 12];
/** With larger ones, rounding errors of volumes could look like gains, and the search for a partition would not end. */
const resolution = z.number().check(z.positive(), z.lte(1024));
const resolutions = z.array(resolution).check(z.minLength(1), z.maxLength(MOST_RESOLUTIONS));
/** Parameters of the mean field of the graph likelihood. */
const field = z.object({ coupling: positive, resolution });

/** A row of the table. */
interface Entry<P extends z.core.$ZodLooseShape> {
  parameters: P;
  /** Its unit covers the sample of a shard, or blocks of rows. */
  rows: 'sample' | 'blocks';
  /** What is needed are sums of its results over shards, by the tree of model/tree.ts: they are float64 or float32. */
  sums: boolean;
  /** The states that it reads, in the order in which sizes follow from them. */
  reads: (task: z.infer<z.ZodMiniObject<P>>) => Record<string, StateSpec>;
  /** Sizes that follow from others and the parameters; at workers n is an upper limit. */
  sizes?: (task: z.infer<z.ZodMiniObject<P>>, sizes: Sizes, shard: number) => Sizes;
  /** Checks what shapes do not say. Throws Mismatch. */
  check?: (task: z.infer<z.ZodMiniObject<P>>, sizes: Sizes) => void;
  /** Float32 numbers of the largest tensor on the device. */
  largest?: (task: z.infer<z.ZodMiniObject<P>>, sizes: Sizes) => number;
  results: (task: z.infer<z.ZodMiniObject<P>>, given: Record<string, unknown>) => TensorSpecs;
  /** The largest that dimensions of results may be whose size only the worker knows. */
  limits?: (task: z.infer<z.ZodMiniObject<P>>, sizes: Sizes) => Sizes;
  /** Could rows give this result? What ranges do not say, where the coordinator would compute nonsense. */
  isPossible?: (result: Tensors, sizes: Sizes) => boolean;
}

const task = <P extends z.core.$ZodLooseShape>(entry: Entry<P>) => entry;

const { hashes, transform, net, subs, points } = STATES;
const sample = { transform, hashes };
/** A task on the sample, as the model or the networks see it. */
const onSample = { rows: 'sample', sums: true } as const;

/** The most rows of n with a priority below `share` that there are with any seed that anyone will meet: ten standard deviations. */
const mostSampled = (n: number, share: number) =>
  Math.min(n, Math.ceil(n * share + 10 * Math.sqrt(n * share) + 100));

const areRanges = (min: Nd, max: Nd) => min.data.every((least: number, i: number) => least <= max.data[i]);

const statistics = (d: 'D' | 'dim') => (task: { diagonal: boolean }, sizes: Sizes) => ({
  P: statisticsLength(sizes[d], covarianceOf(task)),
});

/** Rows go to clusters by the mixture's responsibilities, in Cholesky form, in place of those of the clustering net. */
const byMixture = z.optional(z.boolean());

const readsOfClusters = (task: { byMixture?: boolean | undefined }): Record<string, StateSpec> =>
  task.byMixture ? { 'e-step': DENSITIES } : { net };
/** The numbers of a row on its way to clusters. */
const widestOf = ({ byMixture }: { byMixture?: boolean | undefined }, { K, D, widest }: Sizes): number =>
  byMixture ? K * D : widest;

/** Groups of rows: one of all rows, one per cluster, or two per cluster by its sub-net (2k and 2k+1). */
const partition = {
  groups: z.enum(['all', 'net', 'sub-net']),
  cells: z.custom<Cell[]>(areCells),
  leaves: natural,
  vectors: name,
  byMixture,
};

const readsOfPartition = (task: {
  groups: 'all' | 'net' | 'sub-net';
  vectors: string;
  byMixture?: boolean | undefined;
}) => ({
  ...sample,
  ...(task.groups !== 'all' && readsOfClusters(task)),
  ...(task.groups === 'sub-net' && { subs }),
  [named(task.vectors)]: rows('vectors'),
});

function checkPartition(
  { groups, cells, leaves }: { groups: 'all' | 'net' | 'sub-net'; cells: Cell[]; leaves: number },
  { K, vectors }: Sizes,
): void {
  const needed = groups === 'all' ? 1 : groups === 'net' ? K : 2 * K;
  must(cells.length >= needed, `it has ${cells.length} cells for ${needed} groups`);
  checkCells(cells, leaves, vectors);
}

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

/** Of the latent vectors that `pull` draws to the centres of their clusters. */
const clustersOfLatent = (task: { byMixture?: boolean | undefined }) => ({
  ...{ transform: transformOf('L'), ...readsOfClusters(task), 'code-centres': STATES['code-centres'] },
});

const TASKS = {
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
  'seed-distances': task({
    parameters: { centres: count, draw: count },
    ...onSample,
    sums: false,
    reads: () => ({ ...sample, centres: STATES.centres }),
    check: ({ centres }, { seeds }) => must(seeds >= centres, 'centres has too few rows'),
    results: () => ({ weight: float64([1], positiveOrZero), row: float64(['D']) }),
  }),
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
  'sub-statistics': task({
    parameters: { diagonal: z.boolean() },
    ...onSample,
    reads: () => ({ ...sample, net, subs, 'sub-pivots': rows('2*K') }),
    sizes: statistics('D'),
    results: () => ({ T: float64(['2*K', 'P'], anyNumbers), counts: float64(['2*K'], counts) }),
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
  'cell-sums': task({
    parameters: partition,
    ...onSample,
    reads: readsOfPartition,
    check: checkPartition,
    results: () => ({ n: float64(['leaves'], counts), s: float64(['leaves', 'D']) }),
  }),
  'cell-scatter': task({
    parameters: { ...partition, diagonal: z.boolean(), pivots: name },
    ...onSample,
    reads: (task) => ({ ...readsOfPartition(task), [named(task.pivots)]: rows('leaves') }),
    sizes: statistics('D'),
    check: checkPartition,
    results: () => ({ T: float64(['leaves', 'P']) }),
  }),
  'cell-histogram': task({
    parameters: { ...partition, axes: name, bins },
    ...onSample,
    reads: (task) => ({
      ...readsOfPartition(task),
      [named(task.axes)]: {
        tensors: () => ({ rows: float64(['A', 'D']), centre: float64(['A']), sd: float64(['A']) }),
      },
    }),
    check(task, sizes) {
      checkPartition(task, sizes);
      const { axes, leaves } = task;
      must(sizes.A > 0 && sizes.A % leaves === 0, `${axes} does not have as many rows for each leaf`);
    },
    results: () => ({ counts: float64(['A', 'bins'], counts) }),
  }),
  'cell-fourth-moments': task({
    parameters: { ...partition, whitening: name },
    ...onSample,
    reads: (task) => ({
      ...readsOfPartition(task),
      [named(task.whitening)]: {
        tensors: () => ({ centre: float64(['leaves', 'D']), inverse: float64(['leaves', 'D', 'D']) }),
      },
    }),
    check: checkPartition,
    results: () => ({ F: float64(['leaves', 'D', 'D']) }),
  }),
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
  'full-pass': task({
    parameters: {
      ...{ diagonal: z.boolean(), soft: z.boolean(), silhouette: share, far: count, byMixture },
      /** Rows are placed on the map too. */
      map: z.optional(z.boolean()),
      /** Where the worker writes what there is of each row: a folder in that of the run. `gaussian`: distances say how sure labels are. */
      parts: z.optional(
        z.object({ folder: z.string().check(z.regex(/^[0-9a-f]{16}$/)), gaussian: z.boolean() }),
      ),
    },
    ...{ rows: 'blocks', sums: false },
    reads: (task) => ({
      ...{ ...sample, ...readsOfClusters(task), 'cluster-centres': STATES['cluster-centres'] },
      ...(task.far > 0 && { 'far-bounds': STATES['far-bounds'] }),
      ...(task.map && { map: STATES.map }),
    }),
    sizes: (task, sizes) => ({
      ...statistics('D')(task, sizes),
      centre: centreWidth(sizes.D, covarianceOf(task)),
    }),
    largest: (task, sizes) =>
      (FORWARD_ROWS / 2 + sizes.blockRows) * Math.max(widestOf(task, sizes), task.map ? sizes.units : 0),
    results: ({ soft, far, map = false, parts }, transform) => ({
      ...rowResults(rowColumns({ map, outliers: 'fenced' in transform }), parts !== undefined),
      T: float64(['K', 'P']),
      columns: float64(['K+1', 'dim']),
      exemplars: int32(['K', MOST_SHOWN], whole(-1, 'n')),
      border: int32(['K', MOST_SHOWN], whole(-1, 'n')),
      rival: int32(['K', MOST_SHOWN], whole(-1, 'K')),
      margin: float32(['K', MOST_SHOWN], anyNumbers),
      seenLabels: int32(['seen'], index('K')),
      seen: float32(['seen', 'D']),
      ...(far > 0 && {
        far: int32(['kept'], index('n')),
        farRows: float32(['kept', 'D']),
        allFar: int32([1], counts),
      }),
      ...(soft && { soft: float32(['n', 'K'], anyNumbers) }),
    }),
    limits: ({ silhouette, far }, { n }) => ({ seen: mostSampled(n, silhouette), kept: Math.min(n, far) }),
    isPossible: ({ border, rival }) => border.data.every((row, p) => row < 0 || rival.data[p] >= 0),
  }),
  terms: task({
    parameters: {
      /** Clusters. */
      k: natural,
      /** The languages whose lists of stop words are used. */
      languages: z.array(z.string().check(z.regex(/^[a-z]{2,3}$/))).check(z.maxLength(MOST_LANGUAGES)),
      /** The version of the library that finds words in texts of other than simple scripts. */
      icu: name,
    },
    ...{ rows: 'blocks', sums: false },
    reads: () => ({}),
    results: () => ({
      text: uint8(['bytes'], index(256)),
      documents: int32(['terms'], between(1, 'n')),
      credit: int32(['terms'], between(1, MOST_ENTRIES)),
      entries: int32(['terms'], between(1, 'k')),
      cluster: int32(['all'], index('k')),
      count: int32(['all'], between(1, MOST_ENTRIES)),
      totals: float64(['k'], whole(0, MOST_ENTRIES)),
      error: float64([1], whole(0, MOST_ENTRIES)),
    }),
    limits: () => ({ bytes: MOST_TERMS << 9, terms: MOST_TERMS, all: MOST_ENTRIES }),
    isPossible: ({ text, entries, cluster }) =>
      sumOf(entries.data as Int32Array) === cluster.data.length &&
      linesIn(text.data as Uint8Array) === entries.data.length,
  }),
};

const sumOf = (values: Int32Array) => values.reduce((sum, value) => sum + value, 0);
/** Lines of UTF-8, each with its line break; NaN if there is something after the last one. */
function linesIn(bytes: Uint8Array): number {
  const lines = bytes.reduce((sum, byte) => sum + Number(byte === 10), 0);
  return bytes.length && bytes.at(-1) !== 10 ? Number.NaN : lines;
}

/** Of so many things that are dealt out to the shards in turn, those of one. */
const ownOf = (all: number, shards: number, shard: number) => Math.max(0, Math.ceil((all - shard) / shards));

export type TaskName = keyof typeof TASKS;
export const TASK_NAMES = Object.keys(TASKS) as TaskName[];
type Parameters<P extends z.core.$ZodLooseShape> = keyof P extends never
  ? unknown
  : z.infer<z.ZodMiniObject<P>>;
export type TaskOf<N extends TaskName> = N extends TaskName
  ? { task: N } & Parameters<(typeof TASKS)[N]['parameters']>
  : never;
export type Task = TaskOf<TaskName>;
/** Coupling J and resolution γ of the mean field. */
export type FieldTaskParameters = z.infer<typeof field>;
/** Tasks about the leaves to which `cells` assigns the rows of each group. */
export type CellTask = TaskOf<'cell-sums' | 'cell-scatter' | 'cell-histogram' | 'cell-fourth-moments'>;

const schemas = TASK_NAMES.map((name) => z.object({ task: z.literal(name), ...TASKS[name].parameters }));
/** A task as it is on the wire. */
export const taskSchema = z.discriminatedUnion('task', schemas as never) as unknown as z.ZodMiniType<Task>;

type AnyEntry = Entry<z.core.$ZodLooseShape>;
/** What is common to all tasks: parameters of any kind. */
const entryOf = ({ task }: Task) => TASKS[task] as unknown as AnyEntry;

/** A task's covariance, which is a flag on the wire. */
export const covarianceOf = (task: { diagonal: boolean }): Covariance => (task.diagonal ? 'diag' : 'full');

/** The names of the states that the task reads. */
export const statesOf = (task: Task): string[] => Object.keys(entryOf(task).reads(task));

/** What a unit covers: a shard's sample, as a range of no blocks, or blocks `from … to−1` of it; of shard S those of the file. */
interface UnitOfRows {
  shard: number;
  from: number;
  to: number;
}

/** The blocks of each shard, and the rows before each of them, which follow from a layout by a shuffle: found once. */
const shardsOf = (() => {
  const known = new WeakMap<Layout, { blocks: Block[][]; before: number[][] }>();
  return (layout: Layout) => {
    let found = known.get(layout);
    if (!found) {
      const blocks = unitBlocks(layout);
      const before = blocks.map((own) => {
        let rows = 0;
        return [0, ...own.map(({ count }) => (rows += count))];
      });
      known.set(layout, (found = { blocks, before }));
    }
    return found;
  };
})();

/** Checks a task against the states that it reads, and says what is needed of its results. `values`: also the ranges of what states contain. */
function checksOf(task: Task, layout: Layout, get: (state: string) => Tensors, values: boolean) {
  const entry = entryOf(task);
  const of = shardsOf(layout);
  const { rows, dim, shards, blockRows } = layout;
  const numbers = Object.entries(task).filter(([, value]) => typeof value === 'number');
  const sizes: Sizes = {
    ...Object.fromEntries(numbers as [string, number][]),
    ...{ rows, dim, shards, blockRows, n: rows, blocks: blockCount(layout) },
  };
  const reads = entry.reads(task);
  for (const [state, spec] of Object.entries(reads)) {
    bindState(state, spec, get(state), sizes, values);
    Object.assign(sizes, entry.sizes?.(task, sizes, 0));
  }
  entry.check?.(task, sizes);
  const specs = entry.results(task, 'transform' in reads ? get('transform') : {});
  /** `sampled`: the rows of each shard's sample, where they are known. */
  const sizesOf = (units: UnitOfRows[], sampled?: readonly number[]) => {
    let n = 0;
    for (const { shard, from, to } of units) {
      const before = of.before[shard];
      n += entry.rows === 'blocks' ? before[to] - before[from] : (sampled?.[shard] ?? before.at(-1)!);
    }
    const own = { ...sizes, n, unitBlocks: units[0].to - units[0].from };
    const all: Sizes = { ...own, ...entry.sizes?.(task, own, units[0].shard) };
    return { sizes: all, limits: entry.limits?.(task, all) ?? {} };
  };
  return { entry, reads, sizes, specs, sizesOf };
}

/**
 * Checks a round before any work: do its states have the shapes that its tasks read, are its units there, do its results fit in
 * messages and on the device? Kernels work on addresses and sizes; with inconsistent shapes they would access memory outside of their
 * tensors. Throws Mismatch.
 */
export function checkRound(
  layout: Layout,
  get: (state: string) => Tensors,
  { tasks, units, sum }: { tasks: Task[]; units: UnitOfRows[]; sum: boolean },
): void {
  const { blocks } = shardsOf(layout);
  for (const { shard, from, to } of units)
    must(shard < blocks.length && from <= to && to <= blocks[shard].length, 'there is no such unit');
  for (const task of tasks) {
    const isOfShards = units.every(({ shard }) => shard < layout.shards);
    must(isOfShards || entryOf(task).rows === 'blocks', 'it is about the rows of a shard');
    const { entry, reads, sizes, specs, sizesOf } = checksOf(task, layout, get, true);
    must(!sum || entry.sums, 'its results cannot be added up');
    const largest = entry.largest?.(task, sizes) ?? 0;
    must(largest < MOST_NUMBERS, 'it needs a tensor of 4 GiB or more');
    const sampled = mostSampledRows(layout, reads, get);
    for (const unit of units) {
      const unitSizes = sizesOf([unit], sampled);
      must(
        bytesOfSpecs(specs, unitSizes.sizes, unitSizes.limits) <= MAX_MESSAGE,
        'its result would not fit in a message',
      );
    }
  }
}

/** The most rows that the sample of each shard can have, by the states of a task. */
function mostSampledRows(
  layout: Layout,
  reads: Record<string, StateSpec>,
  get: (state: string) => Tensors,
): number[] {
  if ('points' in reads) {
    const starts = get('points').starts.data;
    return Array.from({ length: layout.shards }, (_, shard) => starts[shard + 1] - starts[shard]);
  }
  const state = 'transform' in reads ? 'transform' : 'columns' in reads ? 'columns' : null;
  const share = state ? Math.min(1, Math.max(0, get(state).below.data[0])) : 1;
  return shardsOf(layout).before.map((before) => mostSampled(before.at(-1)!, share));
}

/** Says what is wrong with the results of a round's tasks for some units, or their sums over these; null: nothing. */
export type ResultCheck = (
  results: Tensors[],
  units: UnitOfRows[],
  sampled?: readonly number[],
) => string | null;

/** The check of the results of these tasks, given the states that they read. Throws Mismatch if these do not fit the tasks. */
export function resultCheck(layout: Layout, tasks: Task[], get: (state: string) => Tensors): ResultCheck {
  const checks = tasks.map((task) => checksOf(task, layout, get, false));
  return (results, units, sampled) => {
    for (const [i, { entry, specs, sizesOf }] of checks.entries()) {
      const { sizes, limits } = sizesOf(units, sampled);
      const problem = problemWith(results[i], specs, sizes, limits);
      if (problem) return `${tasks[i].task}: ${problem}`;
      if (entry.isPossible?.(results[i], sizes) === false) return `${tasks[i].task}: no rows give it`;
    }
    return null;
  };
}

/** What the documentation of the wire says of a task: its row of the table, for all values of its parameters. */
export function describeTask(name: TaskName) {
  const { parameters, rows, sums, reads, results } = TASKS[name] as unknown as AnyEntry;
  const schema = z.toJSONSchema(z.object(parameters), { unrepresentable: 'any' });
  return { parameters: schema, rows, sums, reads, results };
}
