import type { OutlierBounds } from '../../../data/steps/fences.ts';
import type { Moments } from '../../../data/transform.ts';
import { MIN_DEVIATION } from '../../../data/value-range.ts';
import { type Layout, shardBlocks } from '../../../model/layout.ts';
import { diagonalOf } from '../../../model/linalg.ts';
import {
  areFound,
  binsFor,
  bulkOf,
  type KeyRanges,
  narrowed,
  wholeRanges,
} from '../../../model/quantile-search.ts';
import { covarianceOf, mean } from '../../../model/statistics.ts';
import { QUANTILES } from '../../../model/widths.ts';
import { nd, type Tensors, take } from '../../../proto/tensors.ts';
import type { RunConfig } from '../../../run/config.ts';
import type { DataMoments } from '../../../run/data-moments.ts';
import type { Task } from '../../../tasks/table.ts';
import type { RoundDispatcher } from '../../rounds/dispatcher.ts';
import { sumOf, sumOfParts } from '../../rounds/sums.ts';
import { publishHashes } from '../publish.ts';
import { extreme, isUndecided, momentsCovariance } from './moments.ts';

/** How far beyond the quartiles a bound is, in their distance from each other: 41 standard deviations of a normal column. */
const DISTANCE = 30;
/**
 * A bound stands in a gap: of the rows farther off than this, most are beyond the bound. Where rows thin out, as in the tails
 * of a lognormal or a Cauchy distribution, it is the other way round.
 */
const NEAR = DISTANCE / 3;
/** Outliers are at most this share of the sample, or, in a small one, as many rows as no cluster has: more are a part of the data. */
const MOST_SHARE = 0.01;
const MOST_ROWS = 5;
const MOST_SHARE_OF_FEW = 0.05;
/** A column has a bound only if the rows beyond it multiply its variance by this, or more: others do not matter. */
const RUINED = 2;
/** Without a row as far from the mean as this, in standard deviations, that few rows cannot have multiplied the variance so. */
const FAR = 6;
/** Rounds in which ranges of keys of 32 bits are halved at least. */
const MOST_ROUNDS = 33;
/** Times that some of the bounds turn out not to be needed. */
const MOST_ATTEMPTS = 8;

interface OutliersInput {
  config: RunConfig;
  layout: Layout;
  dispatcher: RoundDispatcher;
  /** A row with a lower priority is in the sample. */
  sample: number;
}

/** Rows below `low` or above `high` in a column are outliers; others beyond the near limits show that the rows thin out. */
interface Limit {
  column: number;
  low: number;
  high: number;
  nearLow: number;
  nearHigh: number;
}

/** Limits on columns, and a point near the middle of the rows. */
interface Limits {
  fences: Limit[];
  pivot: Float64Array;
}

/**
 * Sets apart rows that are so far off that, few as they are, the covariance of the data is about them. Returns the moments of
 * the other rows of the sample, and the bounds beyond which outliers are; what it was given if there are none, which needs no
 * round at all for most data.
 */
export async function setOutliersApart(input: OutliersInput, data: DataMoments): Promise<DataMoments> {
  const { config, layout } = input;
  // Rows of unit length cannot be far off.
  if (config.schedule === 'paper' || config.transform === 'normalize') return data;
  const suspects = suspectColumns(data.moments);
  const rows = data.sampleRows.reduce((a, b) => a + b, 0);
  if (!suspects.length || mostOutliers(rows) < 1) return data;
  publishHashes(input, data.hashes);
  // In many columns, those of mostly equal values, such as pixels at the border of images, have rare values, not false ones.
  const isSparseFenced = !isUndecided(config, layout.dim);
  let limits = limitsOf(suspects, await quantiles(input, data, suspects), data.moments, isSparseFenced);
  for (let attempt = 0; limits.fences.length && attempt < MOST_ATTEMPTS; attempt++) {
    const parts = await fencedMoments(input, limits);
    const beyond = sumOfParts(parts.map((part) => take(part, 'beyond', 'float64')));
    const near = sumOfParts(parts.map((part) => take(part, 'near', 'float64')));
    const T = sumOfParts(parts.map((part) => take(part, 'T', 'float64')));
    const most = mostOutliers(rows);
    const isGap = (_: Limit, i: number) => beyond[i] <= most && (near[i] === 0 || beyond[i] > near[i]);
    const isRuined = await ruinedColumns(input, data, T);
    // Without a gap, rows are left out that are no outliers: then it is too early to judge of variances.
    const isNeeded = limits.fences.every(isGap) ? ({ column }: Limit) => isRuined(column) : isGap;
    const needed = limits.fences.filter(isNeeded);
    if (needed.length < limits.fences.length) limits = { ...limits, fences: needed };
    else return rows - T[0] > most ? data : { ...data, ...within(limits, parts, T) };
  }
  return data;

  function within(limits: Limits, parts: Tensors[], T: Float64Array) {
    const { dim } = layout;
    const { fences, pivot } = limits;
    const columns = fences.map(({ column }) => column);
    const [min, max] = [extreme(parts, dim, 'min', Math.min), extreme(parts, dim, 'max', Math.max)];
    const found: OutlierBounds = {
      columns: Int32Array.from(columns),
      low: valuesOf(fences, 'low'),
      high: valuesOf(fences, 'high'),
      least: Float32Array.from(columns, (column) => min[column]),
      most: Float32Array.from(columns, (column) => max[column]),
    };
    return {
      fences: found,
      sampleRows: parts.map((part) => take(part, 'T', 'float64')[0]),
      moments: {
        rows: data.moments.rows,
        mean: mean(T, dim).map((value, d) => value + pivot[d]),
        covariance: covarianceOf(T, dim, momentsCovariance(config, dim), T[0]),
        min,
        max,
      },
    };
  }
}

/** The most rows of a sample of so many that are outliers. */
const mostOutliers = (rows: number) =>
  Math.max(MOST_SHARE * rows, Math.min(MOST_ROWS, Math.floor(MOST_SHARE_OF_FEW * rows)));

/** Columns with a row so far off that rows beyond a bound may have multiplied their variance. */
function suspectColumns({ mean, covariance, min, max }: Moments): number[] {
  const variance = diagonalOf(covariance, mean.length);
  const isSuspect = (d: number) => {
    const farthest = Math.max(max[d] - mean[d], mean[d] - min[d]);
    const sd = Math.sqrt(Math.max(0, variance[d]));
    // Of columns that count as constant no row is far off.
    return sd >= MIN_DEVIATION && farthest >= FAR * sd;
  };
  return [...mean.keys()].filter(isSuspect);
}

/** Finds the quantiles of these columns of the sample. */
async function quantiles(
  { dispatcher, layout, sample }: OutliersInput,
  { moments, sampleRows }: DataMoments,
  columns: number[],
): Promise<KeyRanges> {
  const bins = binsFor(columns.length);
  const shape = [columns.length, QUANTILES.length];
  const rows = sampleRows.reduce((a, b) => a + b, 0);
  let ranges = wholeRanges(
    columns.map((column) => moments.min[column]),
    columns.map((column) => moments.max[column]),
  );
  for (let round = 0; round < MOST_ROUNDS && !areFound(ranges); round++) {
    dispatcher.publish('key-ranges', {
      columns: nd(Int32Array.from(columns)),
      from: nd(ranges.from, ...shape),
      to: nd(ranges.to, ...shape),
    });
    const results = await dispatcher.round({
      tasks: [{ task: 'column-histogram', sample, bins } satisfies Task],
      units: unitsOf(layout),
      sum: true,
    });
    ranges = narrowed(ranges, sumOf(results, 0, 'counts'), bins, rows);
  }
  return ranges;
}

const unitsOf = (layout: Layout) => shardBlocks(layout).map((_, shard) => ({ shard, from: 0, to: 0 }));

/** The limits on those of the columns that have rows beyond them. */
function limitsOf(
  columns: number[],
  ranges: KeyRanges,
  { mean, min, max }: Moments,
  isSparseFenced: boolean,
): Limits {
  const pivot = mean.slice();
  const fences = columns.flatMap((column, i): Limit[] => {
    const bulk = bulkOf(ranges, i);
    if (!bulk || (bulk.isSparse && !isSparseFenced)) return [];
    const [low, high, nearLow, nearHigh] = [DISTANCE, NEAR].flatMap((distance) => [
      Math.fround(bulk.low - distance * bulk.spread),
      Math.fround(bulk.high + distance * bulk.spread),
    ]);
    if (min[column] >= low && max[column] <= high) return [];
    pivot[column] = (bulk.low + bulk.high) / 2;
    return [{ column, low, high, nearLow, nearHigh }];
  });
  return { fences, pivot };
}

const valuesOf = (fences: Limit[], name: keyof Limit) => Float32Array.from(fences, (fence) => fence[name]);

/** What each shard's sample is within these limits. */
async function fencedMoments(
  { config, dispatcher, layout, sample }: OutliersInput,
  { fences, pivot }: Limits,
): Promise<Tensors[]> {
  const { dim } = layout;
  const covariance = momentsCovariance(config, dim);
  const columns = Int32Array.from(fences, ({ column }) => column);
  const [low, high] = [valuesOf(fences, 'low'), valuesOf(fences, 'high')];
  dispatcher.publish('fences', {
    columns: nd(columns),
    low: nd(low),
    high: nd(high),
    nearLow: nd(valuesOf(fences, 'nearLow')),
    nearHigh: nd(valuesOf(fences, 'nearHigh')),
    pivot: nd(pivot),
  });
  const results = await dispatcher.round({
    tasks: [{ task: 'fenced-moments', sample, diagonal: covariance === 'diag' } satisfies Task],
    units: unitsOf(layout),
  });
  return results.map(({ tasks: [part] }) => part);
}

/** Whether the variance of a column of all rows is a multiple of that within the bounds, with statistics `T`. */
async function ruinedColumns({ config, layout }: OutliersInput, { moments }: DataMoments, T: Float64Array) {
  const { dim } = layout;
  if (T[0] < 2) return () => false;
  const all = diagonalOf(moments.covariance, dim);
  const inside = diagonalOf(covarianceOf(T, dim, momentsCovariance(config, dim), T[0]), dim);
  return (column: number) => all[column] >= RUINED * inside[column];
}
