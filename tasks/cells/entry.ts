import * as z from 'zod/mini';
import { areCells, type Cell } from '../../model/cells.ts';
import { anyNumbers, counts, float64, must, type Sizes } from '../../proto/shapes.ts';
import { task } from '../../proto/tasks.ts';
import {
  bins,
  byMixture,
  name,
  natural,
  onSample,
  readsOfClusters,
  sample,
  statistics,
} from '../parameters.ts';
import { named, rows, STATES } from '../states.ts';

/** Sums over the leaves of decision trees, to which cells assign the rows of each group. */

const { net, subs } = STATES;

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

/** Leaves and vectors in cells must exist, at all levels. Throws Mismatch. */
function checkCells(cells: Cell[], leaves: number, vectors: number): void {
  const left = [...cells];
  for (let cell = left.pop(); cell !== undefined; cell = left.pop()) {
    if (typeof cell === 'number') must(cell < leaves, `there is no leaf ${cell}`);
    else {
      const used = 'near' in cell ? cell.near : 'linear' in cell ? cell.linear : [cell.axis];
      must(
        used.every((vector) => vector < vectors),
        'there is no such vector',
      );
      left.push(...cell.into);
    }
  }
}

export const entries = {
  'sub-statistics': task({
    parameters: { diagonal: z.boolean() },
    ...onSample,
    reads: () => ({ ...sample, net, subs, 'sub-pivots': rows('2*K') }),
    sizes: statistics('D'),
    results: () => ({ T: float64(['2*K', 'P'], anyNumbers), counts: float64(['2*K'], counts) }),
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
};
