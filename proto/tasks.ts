import * as z from 'zod/mini';
import type { Covariance } from '../model/statistics.ts';
import { MAX_BATCH_SIZE, MAX_LOCAL_STEPS } from './task-limits.ts';

/**
 * The tasks of a round, with the parameters that go into the header. README.md lists the states that each task reads and the
 * tensors that it returns.
 */
const count = z.int().check(z.nonnegative());
const positive = z.number().check(z.positive());
const dim = z.int().check(z.positive());
const steps = z.int().check(z.positive(), z.lte(MAX_LOCAL_STEPS));
const batch = z.int().check(z.positive(), z.lte(MAX_BATCH_SIZE));
/** In one task, at all levels. */
export const MOST_CELLS = 1 << 16;
const MOST_BINS = 1 << 12;
const binCount = z.int().check(z.gte(2), z.lte(MOST_BINS));
const share = z.number().check(z.gte(0), z.lte(1));

/**
 * A decision tree that assigns a row to a leaf: the number of a leaf, or -1 for none; the child whose centre is nearest; the child
 * whose linear function w·x + offset is largest; or the side of a threshold along an axis. Centres, weights w and axes are rows
 * of the state `vectors`.
 */
export type Cell =
  | number
  | { near: number[]; into: Cell[] }
  | { linear: number[]; offsets: number[]; into: Cell[] }
  | { axis: number; at: number; into: Cell[] };

/** Validates cells iteratively: a recursive schema would try both forms of a cell at each level, in exponential time. */
function areCells(value: unknown): boolean {
  const isCount = (number: unknown) => Number.isSafeInteger(number) && (number as number) >= 0;
  const left: unknown[] = [value];
  let cells = 0;
  while (left.length) {
    const into = left.pop();
    if (!Array.isArray(into)) return false;
    cells += into.length;
    if (cells > MOST_CELLS) return false;
    for (const cell of into) {
      if (cell === -1 || isCount(cell)) continue;
      if (typeof cell !== 'object' || cell === null) return false;
      left.push(cell.into);
      const children = Array.isArray(cell.into) ? cell.into.length : 0;
      if (!(isNear(cell, children) || isLinear(cell, children) || isSide(cell, children))) return false;
    }
  }
  return true;

  function isNear({ near }: Record<string, unknown>, children: number): boolean {
    return Array.isArray(near) && children > 0 && near.length === children && near.every(isCount);
  }
  function isLinear({ linear, offsets }: Record<string, unknown>, children: number): boolean {
    return (
      isNear({ near: linear }, children) &&
      Array.isArray(offsets) &&
      offsets.length === children &&
      offsets.every(Number.isFinite)
    );
  }
  function isSide({ axis, at }: Record<string, unknown>, children: number): boolean {
    return isCount(axis) && Number.isFinite(at) && children === 2;
  }
}

const name = z.string().check(z.maxLength(64));
const MOST_NEIGHBOURS = 1024;
const [MOST_RESOLUTIONS, MOST_REPLICATES] = [64, 64];
/** Of a Gaussian without clusters. */
const [MOST_DIMENSIONS, MOST_NULL_ROWS] = [1024, 1 << 12];
/** With larger ones, rounding errors of volumes could look like gains, and the search for a partition would not end. */
const resolution = z.number().check(z.positive(), z.lte(1024));
const resolutions = z.array(resolution).check(z.minLength(1), z.maxLength(MOST_RESOLUTIONS));
/** Of the mean field of the graph likelihood. */
const field = z.object({ coupling: positive, resolution });

/** Groups of rows: one of all rows, one per label of the clustering net, or two per label by its sub-net (2k and 2k+1). */
const cells = {
  groups: z.enum(['all', 'net', 'sub-net']),
  cells: z.custom<Cell[]>(areCells),
  leaves: dim,
  vectors: name,
};

export const taskSchema = z.discriminatedUnion('task', [
  z.object({
    task: z.literal('moments'),
    normalize: z.boolean(),
    diagonal: z.boolean(),
    sample: share,
  }),
  z.object({ task: z.literal('column-histogram'), sample: share, bins: binCount }),
  z.object({ task: z.literal('fenced-moments'), sample: share, diagonal: z.boolean() }),
  z.object({ task: z.literal('seed-distances'), centres: count, draw: count }),
  z.object({
    task: z.literal('cluster-steps'),
    epoch: count,
    steps,
    batch,
    rate: positive,
    done: count,
    loss: z.enum(['kl', 'isotropic', 'diag']),
    form: z.enum(['product', 'cholesky']),
    diagonal: z.boolean(),
    average: z.enum(['weights', 'gradients']),
    /** The targets are those of the mean field, with loss `kl`, and `form` does not matter. */
    field: z.optional(field),
  }),
  z.object({ task: z.literal('statistics'), diagonal: z.boolean(), block: dim }),
  z.object({
    task: z.literal('pivoted-statistics'),
    diagonal: z.boolean(),
    least: z.number().check(z.gte(0), z.lte(1)),
  }),
  z.object({
    task: z.literal('sub-steps'),
    epoch: count,
    steps,
    batch,
    rate: positive,
    done: count,
    loss: z.enum(['isotropic', 'kl']),
    average: z.enum(['weights', 'gradients']),
  }),
  z.object({ task: z.literal('sample-labels'), every: dim }),
  z.object({ task: z.literal('cell-sums'), ...cells }),
  z.object({ task: z.literal('cell-scatter'), ...cells, diagonal: z.boolean(), pivots: name }),
  z.object({
    task: z.literal('cell-histogram'),
    ...cells,
    axes: name,
    bins: binCount,
  }),
  z.object({ task: z.literal('cell-fourth-moments'), ...cells, whitening: name }),
  /**
   * Of every m-th of the sample's rows (`every`), shifted, scaled by column and, if `unit`, scaled to unit length; of a sketch of
   * so many columns if `sketch` is not 0.
   */
  z.object({
    task: z.literal('sample-covariance'),
    unit: z.boolean(),
    every: dim,
    sketch: z.int().check(z.nonnegative(), z.lte(1 << 10), z.multipleOf(4)),
  }),
  z.object({ task: z.literal('sample-rows') }),
  z.object({ task: z.literal('neighbours'), k: z.int().check(z.gte(1), z.lte(MOST_NEIGHBOURS)) }),
  z.object({
    task: z.literal('partitions'),
    resolutions,
    replicates: z.int().check(z.gte(1), z.lte(MOST_REPLICATES)),
    share: z.number().check(z.gt(0), z.lte(1)),
  }),
  z.object({
    task: z.literal('null-partitions'),
    /** Of a Gaussian with independent columns. */
    variances: z.array(positive).check(z.minLength(1), z.maxLength(MOST_DIMENSIONS)),
    rows: z.int().check(z.gte(4), z.lte(MOST_NULL_ROWS)),
    neighbours: z.int().check(z.gte(1), z.lte(MOST_NEIGHBOURS)),
    resolutions,
    replicates: z.int().check(z.gte(2), z.lte(MOST_REPLICATES)),
    share: z.number().check(z.gt(0), z.lte(1)),
  }),
  z.object({ task: z.literal('start-partition'), resolution }),
  z.object({ task: z.literal('memberships') }),
  /** One pass over the unit's places in the epoch's order of blocks. */
  z.object({
    task: z.literal('encoder-steps'),
    epoch: count,
    batch,
    /** The learning rate of a training of `total` epochs, of which `done` are done; the unit's rows are `length` of one. */
    rate: positive,
    done: z.number().check(z.nonnegative()),
    length: z.number().check(z.positive(), z.lte(1)),
    total: dim,
    /** Steps of Adam that were taken before. */
    steps: count,
    /** Standard deviation of the noise on inputs. */
    noise: z.number().check(z.nonnegative(), z.lte(100)),
    /** Weight of a code's squared distance from the centre of its cluster; 0: there are no clusters. */
    pull: z.number().check(z.nonnegative()),
  }),
  z.object({ task: z.literal('encode') }),
  z.object({
    task: z.literal('full-pass'),
    diagonal: z.boolean(),
    soft: z.boolean(),
    silhouette: share,
  }),
]);

export type Task = z.infer<typeof taskSchema>;
/** Coupling J and resolution γ of the mean field. */
export type FieldParameters = z.infer<typeof field>;
export type TaskOf<N extends Task['task']> = Extract<Task, { task: N }>;

/** Tasks about the leaves to which `cells` assigns the rows of each group. */
export type CellTask =
  | TaskOf<'cell-sums'>
  | TaskOf<'cell-scatter'>
  | TaskOf<'cell-histogram'>
  | TaskOf<'cell-fourth-moments'>;

/** A task's covariance, which is a flag on the wire. */
export const covarianceOf = (task: { diagonal: boolean }): Covariance => (task.diagonal ? 'diag' : 'full');
