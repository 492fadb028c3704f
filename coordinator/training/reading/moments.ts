import { HASH_BYTES } from '../../../data/blocks.ts';
import type { Fences } from '../../../data/fences.ts';
import type { Moments } from '../../../data/transform.ts';
import { type Block, blockCount, type Layout, shardBlocks } from '../../../model/layout.ts';
import { mean, statisticsLength } from '../../../model/statistics.ts';
import { nd, type Tensors, take } from '../../../proto/tensors.ts';
import type { RunConfig } from '../../config.ts';
import type { Dispatcher } from '../../scheduler/dispatcher.ts';
import type { Calculate } from '../calculation/calculator.ts';
import { areMoments } from '../plausible.ts';
import { sampledCounts } from '../sampled-rows.ts';
import { sumInSlices } from '../sums.ts';
import { type Counts, falseBadRows, type OwnData, wrongCounts } from './claims.ts';
import { falseMoments } from './own-moments.ts';
import { momentsCovariance } from './undecided.ts';

/** What the moments round yields; checkpoints have it too. */
export interface DataMoments {
  moments: Moments;
  /** Sample rows of each shard. */
  sampleRows: number[];
  /** Content hashes of all blocks, concatenated in the order of the file. */
  hashes: Uint8Array;
  /** With `fences`, moments and sample rows are without the outliers beyond them. */
  fences: Fences | null;
}

/** What was read. */
export interface Reading {
  data: DataMoments;
  /**
   * Before the run ends because of these moments: compares them with those of the coordinator's own file, has the shards of
   * workers whose moments are false read again, and returns what was read then. Null if the moments are true, or if that is not
   * known.
   */
  reread(): Promise<Reading | null>;
}

export interface MomentsInput {
  dispatcher: Dispatcher;
  calculate: Calculate;
  own: OwnData;
}

/**
 * The moments round: reads every row once. Sums are taken about `origin`, any row of the data; rows whose priority is below
 * `sampleThreshold` are kept as the sample. UserError if rows have NaN, infinite or too large values, also in the coordinator's
 * own file. The shards of workers whose claims are false are read again.
 */
export async function momentsRound(
  { dispatcher, calculate, own }: MomentsInput,
  config: RunConfig,
  layout: Layout,
  origin: Float64Array,
  sampleThreshold: number,
): Promise<Reading> {
  const { dim } = layout;
  const normalize = config.transform === 'normalize';
  const covariance = momentsCovariance(config, dim);
  const shards = shardBlocks(layout);
  dispatcher.publish('origin', { row: nd(origin) });
  const read = (wanted: number[]) =>
    dispatcher.round({
      tasks: [
        {
          task: 'moments',
          normalize,
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
  // Counted while the workers read.
  const sampled = sampledCounts(layout, sampleThreshold);
  const parts: Tensors[] = [];
  const by: string[] = [];
  const shardsOf = (workers: Set<string>) => [...shards.keys()].filter((shard) => workers.has(by[shard]));

  /** Reads these shards, and again those of workers whose claims are false. */
  async function readUntilTrue(first: number[]): Promise<Reading> {
    let hashes = new Uint8Array();
    for (let wanted = first; wanted.length; ) {
      for (const [i, { tasks, worker }] of (await read(wanted)).entries()) {
        [parts[wanted[i]]] = tasks;
        by[wanted[i]] = worker;
      }
      hashes = hashesOf(parts, shards, blockCount(layout));
      const counts = parts.map(countsOf);
      const liars = wrongCounts(counts, await sampled, by, own);
      const stale = (await own.staleShards?.(hashes, by)) ?? [];
      // Of a worker that has read another file, bad rows say nothing.
      if (!stale.length)
        for (const worker of await falseBadRows(counts, by, own, config, layout)) liars.add(worker);
      wanted = [...new Set([...stale, ...shardsOf(liars)])].sort((a, b) => a - b);
    }
    return { data: await summedUp(hashes), reread };
  }

  async function reread(): Promise<Reading | null> {
    if (!own.read) return null;
    const found = await falseMoments(parts, {
      ...{ shards, dim, covariance, normalize, origin, read: own.read },
    });
    if (!found.length) return null;
    const liars = new Set(found.map((shard) => by[shard]));
    for (const worker of liars)
      own.workers.misread(
        worker,
        `its sums of shard ${found.find((shard) => by[shard] === worker)} are false`,
      );
    return readUntilTrue(shardsOf(liars));
  }

  async function summedUp(hashes: Uint8Array): Promise<DataMoments> {
    const T = await sumInSlices(parts.map((part) => take(part, 'T', 'float64')));
    const extreme = (name: 'min' | 'max', choose: (...values: number[]) => number) =>
      Float64Array.from({ length: dim }, (_, d) =>
        choose(...parts.map((part) => take(part, name, 'float64', dim)[d])),
      );
    const rows = layout.rows;
    return {
      sampleRows: await sampled,
      hashes,
      fences: null,
      moments: {
        rows,
        mean: mean(T, dim).map((value, d) => value + origin[d]),
        covariance: await calculate('dataCovariance', T, dim, covariance, rows),
        min: extreme('min', Math.min),
        max: extreme('max', Math.max),
      },
    };
  }

  return readUntilTrue([...shards.keys()]);
}

function countsOf(part: Tensors): Counts {
  const [kept, bad, first] = take(part, 'counts', 'float64', 3);
  return { kept, bad, first };
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
