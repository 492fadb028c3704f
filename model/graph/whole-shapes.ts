import { generator, type Seed } from '../random.ts';
import { partition } from './louvain.ts';
import { nearestRows } from './map.ts';
import {
  COARSE_GRID,
  comparedTo,
  labelsOfAll,
  replicateRows,
  stability,
  unslicedResolution,
} from './stability.ts';
import { directedWeights, subgraph, symmetrized } from './weights.ts';

const NEIGHBOURS = 20;
const REPLICATES = 8;
/** Finer resolutions, whose partitions would have to be worse. */
const FINER = [1, 0.5, 0.25];
/** How well parts of a single Gaussian agree in two or three dimensions. */
const BY_CHANCE = 0.45;

/**
 * How many parts rows fall into that hardly touch, as moons, rings and other curved shapes do, which a mixture of Gaussians cuts into
 * pieces: those of the neighbour graph at a low resolution, if random subsets of the rows agree on them far more than on any finer
 * partition (`unslicedResolution`). O(n²·dim): for a few thousand rows.
 *
 * @param rows [n,dim] of few intrinsic dimensions
 * @returns null if there are none
 */
export function wholeShapes(rows: Float32Array, dim: number, seed: Seed): number | null {
  const n = rows.length / dim;
  const k = Math.min(NEIGHBOURS, n - 1);
  if (k < 2) return null;
  const { index, distance } = nearestRows(rows, dim, k);
  const graph = symmetrized(index, directedWeights(distance, k), k);
  const replicates = Array.from({ length: REPLICATES }, (_, replicate) => {
    const own = replicateRows(seed, replicate, n);
    return { own, graph: subgraph(graph, own) };
  });
  const curveOf = (resolutions: readonly number[]) =>
    resolutions.map((resolution) => {
      const labels = replicates.map(({ own, graph }, replicate) =>
        labelsOfAll(partition(graph, resolution, generator(seed, 'partition', replicate)), own, n),
      );
      return comparedTo(BY_CHANCE, stability(labels, n));
    });
  const coarse = curveOf(COARSE_GRID);
  const at = unslicedResolution(curveOf(FINER), coarse);
  return at === null ? null : Math.round(coarse[at].k);
}
