import { UserError } from '../../base/user-error.ts';
import { HASH_BYTES } from '../../data/blocks.ts';
import { type Moments, pcaAxes } from '../../data/transform.ts';
import { formatNumber, MAX_MAGNITUDE } from '../../data/value-range.ts';
import { type Block, blockCount, type Layout, shardBlocks } from '../../model/layout.ts';
import { type Covariance, mean, statisticsLength } from '../../model/statistics.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import type { RunConfig } from '../config.ts';
import type { Dispatcher } from '../scheduler/dispatcher.ts';
import type { Calculate } from './calculation/calculator.ts';
import { areMoments } from './plausible.ts';
import { sumInSlices } from './sums.ts';

/** What the moments round yields; checkpoints have it too. */
export interface DataMoments {
  moments: Moments;
  /** Sample rows of each shard. */
  sampleRows: number[];
  /** Content hashes of all blocks, concatenated in the order of the file. */
  hashes: Uint8Array;
}

/**
 * The moments round: reads every row once. Sums are taken about `origin`, any row of the data; rows whose priority is below
 * `sampleThreshold` are kept as the sample. UserError if rows have NaN, infinite or too large values; `diagnose` locates the
 * first of them. `staleShards` names shards whose workers (`by`, for each shard) read other rows than they should, by the hashes
 * of all blocks: these are read again.
 */
export async function momentsRound(
  { dispatcher, calculate }: { dispatcher: Dispatcher; calculate: Calculate },
  config: RunConfig,
  layout: Layout,
  origin: Float64Array,
  sampleThreshold: number,
  diagnose: (row: number) => Promise<{ where: string; isLarge: boolean; isValid?: boolean }>,
  staleShards: (hashes: Uint8Array, by: string[]) => Promise<number[]> = async () => [],
): Promise<DataMoments> {
  const { dim } = layout;
  // PCA needs the full covariance.
  const covariance: Covariance =
    config.covariance === 'diag' && pcaAxes(config.transform) === null ? 'diag' : 'full';
  const shards = shardBlocks(layout);
  dispatcher.publish('origin', { row: nd(origin) });
  const read = (wanted: number[]) =>
    dispatcher.round({
      tasks: [
        {
          task: 'moments',
          normalize: config.transform === 'normalize',
          diagonal: covariance === 'diag',
          sample: sampleThreshold,
        },
      ],
      uses: ['origin'],
      units: wanted.map((shard) => ({ shard, from: 0, to: shards[shard].length })),
      streams: false,
      expects: ({ shard }) => [
        {
          T: ['float64', statisticsLength(dim, covariance)],
          min: ['float64', dim],
          max: ['float64', dim],
          hashes: ['uint8', shards[shard].length * HASH_BYTES],
          counts: ['float64', 3],
        },
      ],
      isSound: ([result], [{ shard }]) => areMoments(result, shards[shard], dim, covariance),
    });
  const parts: Tensors[] = [];
  const by: string[] = [];
  let hashes = new Uint8Array();
  for (let wanted = [...shards.keys()]; wanted.length; wanted = await staleShards(hashes, by)) {
    for (const [i, { tasks, worker }] of (await read(wanted)).entries()) {
      [parts[wanted[i]]] = tasks;
      by[wanted[i]] = worker;
    }
    hashes = hashesOf(parts, shards, blockCount(layout));
  }
  const counts = parts.map((part) => take(part, 'counts', 'float64', 3));
  const bad = counts.reduce((sum, [, rows]) => sum + rows, 0);
  if (bad > 0) {
    const first = Math.min(...counts.filter(([, rows]) => rows > 0).map(([, , row]) => row));
    const { where, isLarge, isValid } = await diagnose(first);
    if (isValid)
      throw new UserError(
        `${config.data}: a worker reported a bad value in ${where}, which is valid in the coordinator's file; start the run again without that worker`,
      );
    const [what, remedy] = isLarge
      ? [`values larger than the supported maximum (${formatNumber(MAX_MAGNITUDE)})`, 'scale the data']
      : ['NaN or infinite values', 'remove or fill them'];
    throw new UserError(
      `${config.data}: ${bad} of ${layout.rows} rows have ${what}, the first is ${where}; ${remedy}`,
    );
  }
  const T = await sumInSlices(parts.map((part) => take(part, 'T', 'float64')));
  const extreme = (name: 'min' | 'max', choose: (...values: number[]) => number) =>
    Float64Array.from({ length: dim }, (_, d) =>
      choose(...parts.map((part) => take(part, name, 'float64', dim)[d])),
    );
  const rows = layout.rows;
  return {
    sampleRows: counts.map(([sampled]) => sampled),
    hashes,
    moments: {
      rows,
      mean: mean(T, dim).map((value, d) => value + origin[d]),
      covariance: await calculate('dataCovariance', T, dim, covariance, rows),
      min: extreme('min', Math.min),
      max: extreme('max', Math.max),
    },
  };
}

/** The hashes of all blocks in the order of the file, from those of each shard. */
function hashesOf(parts: Tensors[], shards: Block[][], blocks: number): Uint8Array<ArrayBuffer> {
  const hashes = new Uint8Array(blocks * HASH_BYTES);
  parts.forEach((part, s) => {
    const shardHashes = take(part, 'hashes', 'uint8', shards[s].length * HASH_BYTES);
    shards[s].forEach(({ index }, i) => {
      hashes.set(shardHashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES), index * HASH_BYTES);
    });
  });
  return hashes;
}
