import { UserError } from '../../../base/user-error.ts';
import { isPca, type TransformChoice } from '../../../data/transform-choice.ts';
import { formatNumber, MAX_FLOAT32 } from '../../../data/value-range.ts';
import { concat, MAX_MAGNITUDE } from '../../../model/arrays.ts';
import { blockCount, HASH_BYTES, type Layout, shardBlocks } from '../../../model/layout.ts';
import { type Covariance, covarianceOf, mean, statisticsLength } from '../../../model/statistics.ts';
import type { WorkUnit } from '../../../proto/messages.ts';
import { nd, type Tensors, take } from '../../../proto/tensors.ts';
import type { RunConfig } from '../../../run/config.ts';
import type { DataMoments } from '../../../run/data-moments.ts';
import type { Task } from '../../../tasks/table.ts';
import { sumOfParts, unitsOf } from '../../rounds/sums.ts';
import type { Reading, ReadUnit } from './reading.ts';

export interface MomentsRequest {
  config: RunConfig;
  layout: Layout;
  /** Any row of the data, about which sums are taken. */
  origin: Float64Array;
  /** Rows with a lower priority are the sample. */
  sample: number;
}

/**
 * The moments round: reads every row once. The rows of the sample stay with the workers that will own their shards, or come here if they
 * are few. UserError if rows have NaN, infinite or too large values. Units of workers that read another copy of the file are read again.
 */
export async function momentsRound(
  reading: Reading,
  { config, layout, origin, sample }: MomentsRequest,
): Promise<DataMoments> {
  const { rows, dim } = layout;
  const normalize = transformChoice(config, dim) === 'normalize';
  const covariance = momentsCovariance(config, dim);
  const sends = isSent(layout, sample);
  const task: Task = { task: 'moments', normalize, diagonal: covariance === 'diag', sample, sends };
  reading.publish('origin', { row: nd(origin) });
  const units = readingUnits(layout, statisticsLength(dim, covariance));
  const found: ReadUnit[] = [];
  let hashes = new Uint8Array();
  for (let wanted = [...units.keys()]; wanted.length; wanted = await reading.staleUnits(hashes, found)) {
    // Rows that stay have to be read by the owner of their shard.
    const round = { tasks: [task], units: wanted.map((i) => units[i]), streams: sends };
    for (const [i, { tasks, worker }] of (await reading.round(round)).entries())
      found[wanted[i]] = { ...units[wanted[i]], part: tasks[0], by: worker };
    hashes = hashesOf(found, layout);
  }
  await assertNoBadRows(found, reading, config, layout);
  reading.hold(sends ? { below: sample, shards: sampleOf(found, layout) } : null);
  const parts = found.map(({ part }) => part);
  const T = sumOfParts(parts.map((part) => take(part, 'T', 'float64')));
  const sampleRows = Array<number>(layout.shards).fill(0);
  for (const { shard, part } of found) sampleRows[shard] += countsOf(part).kept;
  return {
    ...{ sampleRows, hashes, fences: null },
    moments: {
      rows,
      mean: mean(T, dim).map((value, d) => value + origin[d]),
      covariance: covarianceOf(T, dim, covariance, rows),
      min: extreme(parts, dim, 'min', Math.min),
      max: extreme(parts, dim, 'max', Math.max),
    },
  };
}

/** A sample of so small a share of the rows, and of so many bytes, is sent rather than read by the owners of shards, who may be few. */
const [MOST_SENT_SHARE, MOST_SENT] = [1 / 16, 1 << 28];

/** Does a sample of this share of the rows go through the coordinator? */
export const isSent = ({ rows, dim }: Pick<Layout, 'rows' | 'dim'>, sample: number) =>
  sample <= MOST_SENT_SHARE && sample * rows * dim * Float32Array.BYTES_PER_ELEMENT <= MOST_SENT;

/** Rows and bytes of a unit, at least: enough to be worth a message, few enough that a thousand workers have work. */
const [UNIT_ROWS, UNIT_BYTES] = [1 << 13, 1 << 23];
/** Units, and bytes of their statistics, that are held at a time, unless there are as many shards. */
const [MOST_UNITS, MOST_BYTES] = [1 << 12, 1 << 28];

/** The ranges of blocks whose `numbers` statistics are added up in this order: they do not depend on the workers. */
export function readingUnits(layout: Layout, numbers: number): WorkUnit[] {
  const { rows, dim, shards } = layout;
  const least = Math.max(UNIT_ROWS, UNIT_BYTES / Float32Array.BYTES_PER_ELEMENT / dim);
  const most = Math.max(shards, Math.min(MOST_UNITS, MOST_BYTES / Float64Array.BYTES_PER_ELEMENT / numbers));
  return unitsOf(layout, shardBlocks(layout), 2 ** Math.ceil(Math.log2(Math.max(least, rows / most))));
}

/** By column, the least or largest of the values in results, which have one for each. */
export function extreme(
  parts: readonly Tensors[],
  dim: number,
  name: 'min' | 'max',
  choose: (a: number, b: number) => number,
): Float64Array {
  const all = take(parts[0], name, 'float64', dim).slice();
  for (const part of parts) {
    const own = take(part, name, 'float64', dim);
    for (let d = 0; d < dim; d++) all[d] = choose(all[d], own[d]);
  }
  return all;
}

/** The sampled rows of each shard. */
function sampleOf(found: ReadUnit[], { shards, dim }: Layout): Float32Array[] {
  const parts = Array.from({ length: shards }, (): Float32Array[] => []);
  for (const { shard, part } of found)
    parts[shard].push(take(part, 'sampled', 'float32', countsOf(part).kept * dim));
  return parts.map((rows) => concat(rows, Float32Array));
}

/** Counts of a unit: rows in the sample, bad rows, and the first of these. */
function countsOf(part: Tensors): { kept: number; bad: number; first: number } {
  const [kept, bad, first] = take(part, 'counts', 'float64', 3);
  return { kept, bad, first };
}

/** UserError if rows have values that cannot be computed with; it names the first as the coordinator's file has it. */
async function assertNoBadRows(
  units: ReadUnit[],
  { diagnose, describe }: Reading,
  config: RunConfig,
  { rows, dim }: Layout,
): Promise<void> {
  const found = units.map(({ part, by }) => ({ ...countsOf(part), worker: by }));
  const bad = found.filter((one) => one.bad > 0).sort((a, b) => a.first - b.first);
  if (!bad.length) return;
  const { data } = config;
  const total = bad.reduce((sum, one) => sum + one.bad, 0);
  const { where, isLarge, isValid, empty } = await diagnose(
    bad[0].first,
    transformChoice(config, dim) === 'normalize' ? MAX_FLOAT32 : MAX_MAGNITUDE,
    total === rows,
  );
  if (isValid)
    throw new UserError(
      `worker ${describe(bad[0].worker)} found a bad value in ${where}, which is valid in ${data} here: replace its copy of the file`,
    );
  const [what, remedy] = isLarge
    ? [`values larger than the supported maximum (${formatNumber(MAX_MAGNITUDE)})`, 'scale the data']
    : ['NaN or infinite values', 'remove or fill them'];
  if (empty) throw new UserError(`${data} has no value in ${empty}: leave it out`);
  throw new UserError(`${data}: ${total} of ${rows} rows have ${what}, the first is ${where}; ${remedy}`);
}

/** The hashes of all blocks in the order of the file, from those of each unit. */
function hashesOf(found: ReadUnit[], layout: Layout): Uint8Array<ArrayBuffer> {
  const shards = shardBlocks(layout);
  const hashes = new Uint8Array(blockCount(layout) * HASH_BYTES);
  for (const { shard, from, to, part } of found) {
    const own = take(part, 'hashes', 'uint8', (to - from) * HASH_BYTES);
    for (let i = from; i < to; i++)
      hashes.set(
        own.subarray((i - from) * HASH_BYTES, (i - from + 1) * HASH_BYTES),
        shards[shard][i].index * HASH_BYTES,
      );
  }
  return hashes;
}

/** Up to so many columns, a Gaussian for each cluster is well determined by the default sample. */
export const FEW_COLUMNS = 32;
/** The covariance of more columns is that of a sketch. */
export const MOST_EXACT = 2048;

/** Is the transform, and with `auto` the likelihood, chosen by the sample once it is read (preparation/likelihood.ts)? */
export function isUndecided(
  { likelihood, transform }: Pick<RunConfig, 'likelihood' | 'transform'>,
  dim: number,
): boolean {
  return likelihood !== 'gaussian' && transform === 'auto' && dim > FEW_COLUMNS;
}

/** In so few dimensions clusters are blobs, which the graph takes apart: of six in two dimensions, it finds 9, 10 or none. */
const FEW_NUMBERS = 4;

/** Does the run have the graph likelihood because it clusters latent vectors, of `dim` numbers? */
export const isOfCodes = (
  { likelihood, encoder }: Pick<RunConfig, 'likelihood' | 'encoder'>,
  dim: number,
): boolean => likelihood === 'auto' && encoder !== 'none' && dim > FEW_NUMBERS;

/**
 * The transform of rows of `dim` numbers. The paper scales embeddings, of ten numbers or more, to unit length, and leaves points in the plane
 * as they are, where that would leave a circle.
 */
export function transformChoice(
  { schedule, ...config }: Choosing & Pick<RunConfig, 'schedule'>,
  dim: number,
): TransformChoice {
  const isPapers = schedule === 'paper' && config.transform === 'auto' && !mayBeGraph(config, dim);
  if (!isPapers) return config.transform;
  return dim > FEW_NUMBERS ? 'normalize' : 'center';
}

type Choosing = Pick<RunConfig, 'likelihood' | 'transform' | 'encoder'>;

/** Has the run the graph likelihood whatever its rows are? */
export const isGraph = (config: Choosing, dim: number): boolean =>
  config.likelihood === 'graph' || isOfCodes(config, dim);

/** May the run have the graph likelihood? */
export const mayBeGraph = (config: Choosing, dim: number): boolean =>
  isGraph(config, dim) || isUndecided(config, dim);

/** The covariance of the raw columns that a run needs. That of many columns is made of the sample instead; a graph needs none. */
export function momentsCovariance(config: RunConfig, dim: number): Covariance {
  if (isPca(config.transform)) return 'full';
  return config.covariance === 'diag' || mayBeGraph(config, dim) ? 'diag' : 'full';
}
