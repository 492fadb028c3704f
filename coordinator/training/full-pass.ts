import type { NpyWriter } from '../../data/npy.ts';
import { type Layout, shardBlocks } from '../../model/layout.ts';
import { type Contingency, contingencyCounter } from '../../model/scores.ts';
import { silhouette } from '../../model/silhouette.ts';
import { statisticsLength } from '../../model/statistics.ts';
import { treeSum } from '../../model/tree.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { labelDtype, type Tensors, take } from '../../proto/tensors.ts';
import type { Expected } from '../scheduler/round.ts';
import type { Run } from './run-context.ts';

/** Rows of a unit of the full pass: enough to be worth a message, few enough to share evenly. */
const UNIT_ROWS = 1 << 18;
/** Bytes of responsibilities in one message. */
const SOFT_BYTES = 16 << 20;
/** Rows whose silhouette is taken. */
const SILHOUETTE_ROWS = 1000;

/** Where labels and responsibilities go as they come. */
export interface Output {
  pieces(name: string, dtype: '<f4' | '<i4', shape: number[]): NpyWriter<Float32Array | Int32Array>;
}

export interface Labelled {
  /** Hard statistics of each cluster over all rows. */
  T: Float64Array[];
  silhouette: number | null;
  /** Clusters against classes, where labels are known. */
  table: Contingency | null;
}

/** The full pass: labels of all rows (and responsibilities) into the run directory as they come. */
export async function fullPass(
  run: Run,
  layout: Layout,
  k: number,
  truth: Int32Array | null,
  out: Output,
): Promise<Labelled> {
  const { soft, covariance } = run.config;
  const shards = shardBlocks(layout);
  const labels = out.pieces('labels.npy', '<i4', [layout.rows]);
  const responsibilities = soft ? out.pieces('responsibilities.npy', '<f4', [layout.rows, k]) : null;
  const counter = truth && contingencyCounter();
  const units = unitsOf(layout, shards, soft ? k : 0);
  const parts = new Map<WorkUnit, Tensors>();
  try {
    await run.dispatcher.round({
      tasks: [
        {
          task: 'full-pass',
          diagonal: covariance === 'diag',
          soft,
          silhouette: Math.min(1, SILHOUETTE_ROWS / layout.rows),
        },
      ],
      uses: ['net', 'transform', 'hashes'],
      units,
      streams: true,
      expects,
      isSound: ([{ labels, seen, seenLabels }]) =>
        seen.data.length === seenLabels.data.length * run.d &&
        [labels, seenLabels].every(({ data }) => data.every((label) => label >= 0 && label < k)),
      each(unit, [part]) {
        try {
          write(unit, part);
        } catch (error) {
          // The disk refuses: that ends the round, not the process.
          run.dispatcher.abort(error as Error);
          return;
        }
        const { T, seen, seenLabels } = part;
        parts.set(units.find((own) => own.shard === unit.shard && own.from === unit.from)!, {
          T,
          seen,
          seenLabels,
        });
      },
    });
    labels.finish();
    responsibilities?.finish();
  } catch (error) {
    labels.abort();
    responsibilities?.abort();
    throw error;
  }
  const inOrder = units.map((unit) => parts.get(unit)!);
  const flat = treeSum(inOrder.map((part) => take(part, 'T', 'float64')));
  return {
    T: Array.from({ length: k }, (_, c) => flat.slice((c * flat.length) / k, ((c + 1) * flat.length) / k)),
    silhouette: silhouetteOf(inOrder, run.d),
    table: counter ? counter.table() : null,
  };

  function expects({ shard, from, to }: WorkUnit): Expected[] {
    const rows = shards[shard].slice(from, to).reduce((sum, { count }) => sum + count, 0);
    return [
      {
        labels: [labelDtype(k), rows],
        T: ['float64', k * statisticsLength(run.d, covariance)],
        seen: ['float32', null],
        seenLabels: ['int32', null],
        ...(soft && { soft: ['float32', rows * k] as const }),
      },
    ];
  }

  function write({ shard, from, to }: WorkUnit, part: Tensors): void {
    const found = part.labels.data;
    const own = soft ? take(part, 'soft', 'float32') : null;
    let at = 0;
    for (const block of shards[shard].slice(from, to)) {
      const piece = Int32Array.from(found.subarray(at, at + block.count));
      labels.write(piece, block.start);
      if (own) responsibilities!.write(own.subarray(at * k, (at + block.count) * k), block.start * k);
      if (counter) counter.add(piece, truth!.subarray(block.start, block.start + block.count));
      at += block.count;
    }
  }
}

function unitsOf(layout: Layout, shards: { count: number }[][], softWidth: number): WorkUnit[] {
  const rows = softWidth ? Math.min(UNIT_ROWS, Math.ceil(SOFT_BYTES / 4 / softWidth)) : UNIT_ROWS;
  const blocks = Math.max(1, Math.floor(rows / layout.blockRows));
  return shards.flatMap((own, shard) =>
    Array.from({ length: Math.ceil(own.length / blocks) }, (_, i) => ({
      shard,
      from: i * blocks,
      to: Math.min(own.length, (i + 1) * blocks),
    })),
  );
}

function silhouetteOf(parts: Tensors[], d: number): number | null {
  const rows = parts.flatMap((part) => [...take(part, 'seen', 'float32')]);
  const labels = parts.flatMap((part) => [...take(part, 'seenLabels', 'int32')]);
  return rows.length ? silhouette(Float32Array.from(rows), d, labels) : null;
}
