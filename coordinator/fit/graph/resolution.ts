import {
  areClusters,
  COARSE_GRID,
  type ComparedStability,
  chanceAt,
  chosenResolution,
  comparedTo,
  GRID,
  isPastLast,
  labelsOfAll,
  nullStability,
  replicateRows,
  type StabilityEstimate,
  stability,
  unslicedResolution,
} from '../../../model/graph/stability.ts';
import { leadingEigen } from '../../../model/principal-axes.ts';
import type { GraphState, Sample } from '../../../model/state.ts';
import { take } from '../../../proto/tensors.ts';
import { publishTransform } from '../publish.ts';
import type { TrainingRun } from '../run-context.ts';
import { largerSample, sampleOf } from '../sample.ts';
import { joined, shardResults } from '../shard-results.ts';
import { FEWEST_ROWS, type GraphSource, type SampleGraph } from './neighbour-graph.ts';

/** The resolution γ by replication, and partitions to start from (docs/algorithm.md, section 11). */

/** Random shares of the sample that are partitioned at each resolution. */
export const REPLICATES = 12;
/** Resolutions of which replicates are partitioned in one round: more than needed, at most three times. */
const AT_ONCE = 4;
/** Of the rows: of 85 % partitions find too few clusters. */
const SHARE = 0.6;
/** A Gaussian without clusters for comparison: few rows do, as agreement by chance depends on the size of parts. */
const NULL_ROWS = 2500;
const NULL_REPLICATES = 4;
const MOST_DIMENSIONS = 64;
/** In fewer intrinsic dimensions, clusters may be curves and surfaces. */
const MANIFOLD_DIMENSIONS = 3;

/** A resolution and how well the replicates agree at it. */
interface ResolutionPoint extends StabilityEstimate {
  resolution: number;
}

type ComparedPoint = ResolutionPoint & ComparedStability;

/**
 * Partitions random shares of the sample at each of several resolutions: the one at which these agree best, or that of the config.
 * Null: partitions of no resolution can be reproduced, so there is a single cluster. With fewer rows than `fewest` for each cluster on
 * average, a partition is too fine: of single rows, any two are the same.
 */
async function chooseResolution(
  run: TrainingRun,
  graph: SampleGraph,
  fewest: number,
): Promise<ResolutionPoint | null> {
  // As workers know it: replicates of a run have other seeds.
  const seed = run.layout.seed;
  const rows = Array.from({ length: REPLICATES }, (_, replicate) =>
    replicateRows(seed, replicate, graph.n, SHARE),
  );
  const stabilityOf = (labels: readonly Int32Array[]) =>
    stability(
      labels.map((found, replicate) => labelsOfAll(found, rows[replicate], graph.n)),
      graph.n,
    );
  const pointsAt = async (resolutions: readonly number[]): Promise<ResolutionPoint[]> => {
    const labels = await partitionsOf(run, graph, resolutions, rows[0].length);
    const points: ResolutionPoint[] = [];
    for (const [i, resolution] of resolutions.entries())
      points.push({
        resolution,
        ...stabilityOf(labels.slice(i * REPLICATES, (i + 1) * REPLICATES)),
      });
    return points;
  };
  const emitted = (points: ResolutionPoint[], chosen: ResolutionPoint | null) => {
    run.emit({
      type: 'resolutions',
      points: points.map(({ resolution, k, mean }) => ({ resolution, k, stability: mean })),
      chosen: chosen?.resolution ?? null,
    });
    return chosen;
  };
  const { resolution: given, clusters } = run.config;
  if (given !== null) {
    const points = await pointsAt([given]);
    return emitted(points, points[0]);
  }
  if (clusters !== null) {
    const points = await pointsUpTo(SURPLUS * clusters, pointsAt);
    return emitted(points, points.find(({ k }) => k >= SURPLUS * clusters) ?? points.at(-1)!);
  }
  const dimensions = Math.min(MOST_DIMENSIONS, Math.max(2, Math.round(graph.dimension)));
  const chance = nullStability(await stabilityByChance(run, graph, Array(dimensions).fill(1), GRID));
  const compared = (found: ResolutionPoint) => comparedTo(chanceAt(chance, rows[0].length / found.k), found);
  const curve: ComparedPoint[] = [];
  let isTooFine = false;
  const isDone = () => isTooFine || isPastLast(curve.map(({ beyond }) => beyond));
  for (let from = 0; from < GRID.length && !isDone(); from += AT_ONCE) {
    for (const found of await pointsAt(GRID.slice(from, from + AT_ONCE))) {
      isTooFine = graph.n < fewest * found.k;
      if (isTooFine) break;
      curve.push(compared(found));
      if (isDone()) break;
    }
  }
  if (graph.dimension < MANIFOLD_DIMENSIONS) {
    const coarse = (await pointsAt(COARSE_GRID)).map(compared);
    const whole = unslicedResolution(curve, coarse);
    if (whole !== null) return emitted([...coarse.toReversed(), ...curve], coarse[whole]);
  }
  const index = chosenResolution(curve);
  if (index === null) return emitted(curve, null);
  // From afar, a Gaussian may have fewer dimensions than nearby: its longest axes are cut where other rows are as well.
  const variances = variancesAlongAxes(run.covariance, run.d, MOST_DIMENSIONS);
  const { mean, resolution } = curve[index];
  const [none] = await stabilityByChance(run, graph, variances, [resolution]);
  return emitted(curve, areClusters(mean, none.mean) ? curve[index] : null);
}

/** Partitions of samples have more clusters than stay, up to a third more: with fewer than the wanted ones there would be none to join. */
const SURPLUS = 1.5;

/** Variances of rows along their principal axes, the largest first; of axes that do not vary, only rounding error is left. */
function variancesAlongAxes(covariance: Float64Array, d: number, most: number): number[] {
  const values = covariance.length === d ? covariance : leadingEigen(covariance, d, Math.min(most, d)).values;
  const sorted = Array.from(values).sort((a, b) => b - a);
  return sorted.slice(0, most).filter((value) => value > 1e-10 * sorted[0]);
}

/** Points of increasing resolution, up to one with so many clusters, near which they are closer to each other. */
async function pointsUpTo(
  clusters: number,
  pointsAt: (resolutions: readonly number[]) => Promise<ResolutionPoint[]>,
): Promise<ResolutionPoint[]> {
  const points: ResolutionPoint[] = [];
  for (let from = 0; from < GRID.length; from += AT_ONCE) {
    points.push(...(await pointsAt(GRID.slice(from, from + AT_ONCE))));
    const above = points.findIndex(({ k }) => k >= clusters);
    if (above < 0) continue;
    points.splice(above + 1);
    if (above > 0) {
      const [low, high] = [points[above - 1].resolution, points[above].resolution];
      const between = Array.from(
        { length: AT_ONCE },
        (_, i) => low * (high / low) ** ((i + 1) / (AT_ONCE + 1)),
      );
      points.splice(above, 0, ...(await pointsAt(between)));
    }
    break;
  }
  return points;
}

/** How stable partitions of a single Gaussian with these variances are, at some resolutions, and the rows of a cluster there. */
async function stabilityByChance(
  { dispatcher }: TrainingRun,
  { shards, neighbours }: SampleGraph,
  variances: number[],
  resolutions: readonly number[],
): Promise<{ mean: number; rows: number }[]> {
  const results = await shardResults(dispatcher, shards, {
    task: 'null-partitions',
    variances,
    rows: NULL_ROWS,
    neighbours,
    resolutions: [...resolutions],
    replicates: NULL_REPLICATES,
    share: SHARE,
  });
  const mean = joined.float64(results, 'mean');
  const size = joined.float64(results, 'size');
  return Array.from(mean, (value, i) => ({ mean: Math.max(0, value), rows: size[i] }));
}

/** The best partition to start from, finer than the clusters at this resolution will be. */
export async function startingPartition(
  { dispatcher }: TrainingRun,
  { shards }: SampleGraph,
  resolution: number,
): Promise<Int32Array> {
  const results = await shardResults(dispatcher, shards, { task: 'start-partition', resolution });
  const qualities = joined.float64(results, 'quality');
  return take(results[qualities.indexOf(Math.max(...qualities))], 'labels', 'int32');
}

/** Labels of each pair of a resolution and a replicate, in this order. `rows`: of a replicate. */
async function partitionsOf(
  { dispatcher }: TrainingRun,
  { shards }: SampleGraph,
  resolutions: readonly number[],
  rows: number,
): Promise<Int32Array[]> {
  const pairs = resolutions.length * REPLICATES;
  const results = await shardResults(dispatcher, shards, {
    task: 'partitions',
    resolutions: [...resolutions],
    replicates: REPLICATES,
    share: SHARE,
  });
  return Array.from({ length: pairs }, (_, pair) => {
    const all = take(results[pair % shards.length], 'labels', 'int32');
    const place = Math.floor(pair / shards.length);
    return all.slice(place * rows, (place + 1) * rows);
  });
}

/** Fewer rows of the sample for each cluster, and its neighbours' would be those of others. */
const ROWS_PER_CLUSTER = 50;
/** In a sample that cannot grow, of clusters with as many rows on average some have enough to stay: the search ends below. */
const FEWEST_ON_AVERAGE = FEWEST_ROWS / 2;
/** The same in a sample that can grow. */
const MORE_THAN_ONE = 2;
/** There is a warning if a larger share of the rows are copies of others. */
const FEW_COPIES = 0.1;

/**
 * The sample and the resolution at which partitions of its graph are stable. Where there are so many clusters that they would have
 * few rows, the sample is doubled, unless its size was given. The single cluster that a run begins with has all rows.
 */
export async function graphStart(
  run: TrainingRun,
  graphs: GraphSource,
): Promise<{ sample: Sample; graph: GraphState }> {
  let sample = run.sample;
  for (;;) {
    const graph = await graphs.of(sample, run.config.keepCopies ? null : undefined);
    sample = sampleOf(sample.below, [...graph.shards]);
    const mayGrow = run.config.sample === null && sample.below < 1;
    // With rows for two clusters at least.
    const chosen =
      graph.n < 2 * FEWEST_ROWS
        ? null
        : await chooseResolution(run, graph, mayGrow ? MORE_THAN_ONE : FEWEST_ON_AVERAGE);
    const wanted = ROWS_PER_CLUSTER * (chosen?.k ?? 1);
    const larger = mayGrow ? largerSample(run.layout, sample, wanted) : sample;
    if (larger === sample) {
      if (graph.same > FEW_COPIES * graph.n) run.emit({ type: 'warning', message: aboutCopies(graph, run) });
      return {
        sample,
        graph: {
          resolution: chosen?.resolution ?? 1,
          stability: chosen?.mean ?? null,
          range: chosen?.range ?? null,
          copies: graph.copies,
          labels: new Int32Array(graph.n),
        },
      };
    }
    sample = larger;
    publishTransform(run, sample.below);
  }
}

const aboutCopies = ({ same, n }: SampleGraph, { config }: TrainingRun): string =>
  `${config.data}: ${same.toLocaleString('en')} of the ${n.toLocaleString('en')} rows in the sample are the same as another one, as rows of zeros are: many copies of a row are a cluster; if it should be none, leave copies out`;
