import type { CutAxes, HalfLinks } from '../../../model/graph/halves.ts';
import { diagonalOf } from '../../../model/linalg.ts';
import { bySize } from '../../../model/numbering.ts';
import type { State } from '../../../model/state.ts';
import { createRounds, shardSizes } from '../rounds.ts';
import type { Run } from '../run-context.ts';
import type { SampleGraph } from './sample-graph.ts';

/** Two-way cuts of all clusters' parts of the graph. */

/** Principal axes of a cluster along which it is cut, and sweeps, where a split step decides by the cuts. */
const [AXES, SWEEPS] = [2, 25];
/** Columns along which it is cut, and sweeps, where the cuts are only shown: heights are within a few per cent of those above. */
const [COLUMNS, FEW_SWEEPS] = [3, 8];

/** The cuts of each cluster: the sides of all rows, [n,cuts], and what links them. */
export interface Cuts {
  side: Float32Array;
  cuts: number;
  links: HalfLinks;
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
): Promise<Cuts> {
  const { dispatcher, calculate, d } = run;
  const { k, means } = state.mixture;
  const clusters = { groups: 'net' as const, cells: [...Array(k).keys()], leaves: k };
  const full = createRounds(dispatcher, shardSizes(run.layout), d, 'full');
  const [T] = await full.cellStatistics([clusters], [], [means]);
  const found = await calculate('leadingAxes', T, d, AXES);
  const axes = Float64Array.from(found.flatMap((own) => own.flatMap(({ axis }) => [...axis])));
  const threshold = Float64Array.from(found.flatMap((own) => own.map(({ centre }) => centre)));
  return cutsAlong(run, state, graph, labels, { axes, threshold, count: AXES }, SWEEPS);
}

/** The same at a fraction of the cost: by its sub-net and along the columns in which the mixture says that it varies most. */
export function quickHalves(run: Run, state: State, graph: SampleGraph, labels: Int32Array): Promise<Cuts> {
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
  return cutsAlong(run, state, graph, labels, { axes, threshold, count: COLUMNS }, FEW_SWEEPS);
}

async function cutsAlong(
  { calculate, transform }: Run,
  { subs, mixture }: State,
  graph: SampleGraph,
  labels: Int32Array,
  axes: CutAxes,
  sweeps: number,
): Promise<Cuts> {
  const { scale } = transform;
  return {
    cuts: axes.count + 1,
    ...(await calculate('graphCuts', graph, labels, mixture.k, scale, subs, axes, sweeps)),
  };
}
