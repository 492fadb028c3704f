import type { HalfLinks } from '../../../model/graph/halves.ts';
import { diagonalOf } from '../../../model/linalg.ts';
import { bySize } from '../../../model/numbering.ts';
import type { State } from '../../../model/state.ts';
import type { Task } from '../../../proto/tasks.ts';
import { nd } from '../../../proto/tensors.ts';
import { publishSubs } from '../publish.ts';
import { createRounds, shardSizes } from '../rounds.ts';
import type { Run } from '../run-context.ts';
import { areHalfLinks, areSides } from './plausible.ts';
import type { SampleGraph } from './sample-graph.ts';
import { joined, shardResults, shardSums, summed } from './shard-rounds.ts';

/** Rounds about two-way cuts of all clusters' parts of the graph, which workers have as the states `labels` and `halves`. */

/** J of the annealed mean field, in its first sweep and in its last. */
const [FIRST_COUPLING, LAST_COUPLING] = [0.5, 4.1];
/** Principal axes of a cluster along which it is cut, and sweeps, where a split step decides by the cuts. */
const [AXES, SWEEPS] = [2, 25];
/** Columns along which it is cut, and sweeps, where the cuts are only shown: heights are within a few per cent of those above. */
const [COLUMNS, FEW_SWEEPS] = [3, 8];

/** Directions of each cluster, [K,count,D], and where its rows are cut along each. */
interface CutAxes {
  axes: Float64Array;
  threshold: Float64Array;
  count: number;
}

/** Sides of all rows, [n,cuts]; published as the state `halves`. */
interface Sides {
  side: Float32Array;
  cuts: number;
}

/**
 * Two-way cuts of each cluster, by its sub-net and along its two leading principal axes. The workers have to have the net of `state`.
 * `labels`: the cluster of each row.
 */
export async function refinedHalves(
  run: Run,
  state: State,
  graph: SampleGraph,
  labels: Int32Array,
): Promise<Sides> {
  const { dispatcher, calculate, d } = run;
  const { k, means } = state.mixture;
  const clusters = { groups: 'net' as const, cells: [...Array(k).keys()], leaves: k };
  const full = createRounds(dispatcher, shardSizes(run.layout), d, 'full');
  const [T] = await full.cellStatistics([clusters], [], [means]);
  const found = await calculate('leadingAxes', T, d, AXES);
  const axes = Float64Array.from(found.flatMap((own) => own.flatMap(({ axis }) => [...axis])));
  const threshold = Float64Array.from(found.flatMap((own) => own.map(({ centre }) => centre)));
  return annealed(run, state, graph, labels, { axes, threshold, count: AXES }, SWEEPS);
}

/** The same at a fraction of the cost: by its sub-net and along the columns in which the mixture says that it varies most. */
export function quickHalves(run: Run, state: State, graph: SampleGraph, labels: Int32Array): Promise<Sides> {
  const { k, d, means, covariances } = state.mixture;
  const axes = new Float64Array(k * COLUMNS * d);
  const threshold = new Float64Array(k * COLUMNS);
  covariances.forEach((covariance, cluster) => {
    const columns = bySize(diagonalOf(covariance, d));
    for (let i = 0; i < COLUMNS; i++) {
      const [at, column] = [cluster * COLUMNS + i, columns[Math.min(i, d - 1)]];
      axes[at * d + column] = 1;
      threshold[at] = means[cluster][column];
    }
  });
  return annealed(run, state, graph, labels, { axes, threshold, count: COLUMNS }, FEW_SWEEPS);
}

/** The sides after so many sweeps of the annealed mean field. */
async function annealed(
  run: Run,
  state: State,
  graph: SampleGraph,
  labels: Int32Array,
  { axes, threshold, count }: CutAxes,
  sweeps: number,
): Promise<Sides> {
  const { dispatcher, d } = run;
  const { k } = state.mixture;
  const cuts = count + 1;
  publishSubs(run, state.subs);
  dispatcher.publish('half-axes', { axes: nd(axes, k, count, d), threshold: nd(threshold, k, count) });
  dispatcher.publish('labels', { label: nd(labels), clusters: nd(Int32Array.of(k)) });
  /** Publishes the sides that the task finds, and the volumes of the halves. */
  const next = async (task: Task, uses: string[]): Promise<Float32Array> => {
    const results = await shardResults(
      dispatcher,
      graph.shards,
      task,
      ['points', 'graph', 'labels', ...uses],
      (rows) => ({ side: ['float32', rows * cuts], volume: ['float64', k * cuts * 2] }),
      (result) => areSides(result, cuts, graph.total),
    );
    const side = joined.float32(results, 'side');
    dispatcher.publish('halves', {
      side: nd(side, graph.n, cuts),
      volume: nd(summed(results, 'volume'), k, cuts, 2),
    });
    return side;
  };
  let side = await next({ task: 'half-start' }, ['net', 'subs', 'half-axes']);
  const rise = (LAST_COUPLING - FIRST_COUPLING) / (sweeps - 1);
  for (let sweep = 0; sweep < sweeps; sweep++)
    side = await next({ task: 'half-sweep', coupling: FIRST_COUPLING + rise * sweep }, ['halves']);
  return { side, cuts };
}

/** Rows and volume of both halves by each cut of each cluster, and the weight between them: sums over all rows. */
export async function linksOfHalves(
  { dispatcher }: Run,
  graph: SampleGraph,
  k: number,
  cuts: number,
): Promise<HalfLinks> {
  const { rows, volume, between } = await shardSums(
    dispatcher,
    graph.shards,
    { task: 'half-links' },
    ['points', 'graph', 'labels', 'halves'],
    { rows: k * cuts * 2, volume: k * cuts * 2, between: k * cuts },
    (sums, range) => areHalfLinks(sums, cuts, range, graph.degree),
  );
  return { rows, volume, between };
}
