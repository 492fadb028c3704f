import { UserError } from '../../../base/user-error.ts';
import type { OutlierBounds } from '../../../data/outlier-bounds.ts';
import { isPca, type Moments, type TransformChoice } from '../../../data/transform.ts';
import { formatNumber, MAX_FLOAT32 } from '../../../data/value-range.ts';
import { MAX_MAGNITUDE } from '../../../model/arrays.ts';
import { type Block, blockCount, HASH_BYTES, type Layout, shardBlocks } from '../../../model/layout.ts';
import { type Covariance, covarianceOf, mean } from '../../../model/statistics.ts';
import { nd, type Tensors, take } from '../../../proto/tensors.ts';
import type { RunConfig } from '../../config.ts';
import type { RoundDispatcher } from '../../scheduler/dispatcher.ts';
import { sumOfParts } from '../rounds.ts';

/** What the moments round yields; checkpoints have it too. */
export interface DataMoments {
  moments: Moments;
  /** Sample rows of each shard. */
  sampleRows: number[];
  /** Content hashes of all blocks, concatenated in the order of the file. */
  hashes: Uint8Array;
  /** With `fences`, moments and sample rows are without the outliers beyond them. */
  fences: OutlierBounds | null;
}

/** What the moments round is computed by, and what is asked of the coordinator's own file. */
export interface Reading extends RoundDispatcher {
  /** Locates the first value of a row that cannot be computed with: none above `max` can. */
  diagnose(row: number, max: number): Promise<{ where: string; isLarge: boolean; isValid: boolean }>;
  /** Shards that have to be read again, as their workers (`by`, for each shard) did not read the coordinator's rows. */
  staleShards(hashes: Uint8Array, by: string[]): Promise<number[]>;
  /** Names a worker in messages. */
  describe(worker: string): Promise<string>;
}

export interface MomentsRequest {
  config: RunConfig;
  layout: Layout;
  /** Any row of the data, about which sums are taken. */
  origin: Float64Array;
  /** Rows with a lower priority are the sample. */
  sample: number;
}

/**
 * The moments round: reads every row once. The workers keep the rows of the sample. UserError if rows have NaN, infinite or too large values. The shards of workers that
 * read another copy of the file are read again.
 */
export async function momentsRound(
  reading: Reading,
  { config, layout, origin, sample }: MomentsRequest,
): Promise<DataMoments> {
  const { dim } = layout;
  const normalize = transformChoice(config, dim) === 'normalize';
  const covariance = momentsCovariance(config, dim);
  const shards = shardBlocks(layout);
  reading.publish('origin', { row: nd(origin) });
  const read = (wanted: number[]) =>
    reading.round({
      tasks: [{ task: 'moments', normalize, diagonal: covariance === 'diag', sample }],
      units: wanted.map((shard) => ({ shard, from: 0, to: shards[shard].length })),
    });
  const parts: Tensors[] = [];
  const by: string[] = [];
  let hashes = new Uint8Array();
  for (let wanted = [...shards.keys()]; wanted.length; wanted = await reading.staleShards(hashes, by)) {
    for (const [i, { tasks, worker }] of (await read(wanted)).entries()) {
      [parts[wanted[i]]] = tasks;
      by[wanted[i]] = worker;
    }
    hashes = hashesOf(parts, shards, blockCount(layout));
  }
  await assertNoBadRows(parts, by, reading, config, layout);
  const T = sumOfParts(parts.map((part) => take(part, 'T', 'float64')));
  const extreme = (name: 'min' | 'max', choose: (...values: number[]) => number) =>
    Float64Array.from({ length: dim }, (_, d) =>
      choose(...parts.map((part) => take(part, name, 'float64', dim)[d])),
    );
  const { rows } = layout;
  return {
    sampleRows: parts.map((part) => countsOf(part).kept),
    hashes,
    fences: null,
    moments: {
      rows,
      mean: mean(T, dim).map((value, d) => value + origin[d]),
      covariance: covarianceOf(T, dim, covariance, rows),
      min: extreme('min', Math.min),
      max: extreme('max', Math.max),
    },
  };
}

/** Counts of a shard: rows in the sample, bad rows, and the first of these. */
function countsOf(part: Tensors): { kept: number; bad: number; first: number } {
  const [kept, bad, first] = take(part, 'counts', 'float64', 3);
  return { kept, bad, first };
}

/** UserError if rows have values that cannot be computed with; it names the first as the coordinator's file has it. */
async function assertNoBadRows(
  parts: Tensors[],
  by: string[],
  { diagnose, describe }: Reading,
  config: RunConfig,
  { rows, dim }: Layout,
): Promise<void> {
  const found = parts.map((part, shard) => ({ ...countsOf(part), worker: by[shard] }));
  const bad = found.filter((one) => one.bad > 0).sort((a, b) => a.first - b.first);
  if (!bad.length) return;
  const { data } = config;
  const { where, isLarge, isValid } = await diagnose(
    bad[0].first,
    transformChoice(config, dim) === 'normalize' ? MAX_FLOAT32 : MAX_MAGNITUDE,
  );
  if (isValid)
    throw new UserError(
      `worker ${await describe(bad[0].worker)} found a bad value in ${where}, which is valid in ${data} here: replace its copy of the file`,
    );
  const [what, remedy] = isLarge
    ? [`values larger than the supported maximum (${formatNumber(MAX_MAGNITUDE)})`, 'scale the data']
    : ['NaN or infinite values', 'remove or fill them'];
  const total = bad.reduce((sum, one) => sum + one.bad, 0);
  throw new UserError(`${data}: ${total} of ${rows} rows have ${what}, the first is ${where}; ${remedy}`);
}

/** The hashes of all blocks in the order of the file, from those of each shard. */
function hashesOf(parts: Tensors[], shards: readonly Block[][], blocks: number): Uint8Array<ArrayBuffer> {
  const hashes = new Uint8Array(blocks * HASH_BYTES);
  parts.forEach((part, s) => {
    const shardHashes = take(part, 'hashes', 'uint8', shards[s].length * HASH_BYTES);
    shards[s].forEach(({ index }, i) => {
      hashes.set(shardHashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES), index * HASH_BYTES);
    });
  });
  return hashes;
}

/** Up to so many columns, a Gaussian for each cluster is well determined by the default sample. */
export const FEW_COLUMNS = 32;
/** The covariance of more columns is that of a sketch. */
export const MOST_EXACT = 2048;

/** Is the transform, and with `auto` the likelihood, chosen by the sample once it is read (training/preparation/likelihood.ts)? */
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
