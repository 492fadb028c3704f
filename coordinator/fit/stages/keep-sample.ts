import { ranges, yieldToEventLoop } from '../../../base/slices.ts';
import { rowsAt } from '../../../data/remote/read-ahead.ts';
import { priority } from '../../../model/random.ts';
import { ofFirst, onSample } from '../../../model/state.ts';
import { scaleStatistics } from '../../../model/statistics.ts';
import { withUpdate } from '../../../model/stream/findings.ts';
import type { Stream } from '../../../model/stream/stream.ts';
import { labelsAt } from '../../../run/row-files.ts';
import { partOf, SAMPLE, writeState } from '../../../run/stream-files.ts';
import { gapOf } from '../encoder/encoder.ts';
import { leastSample } from '../preparation/limits.ts';
import { aboutCheckpoint, type Ports, type RunState } from '../run-state.ts';
import { residualOfRows } from './encode.ts';

/**
 * Keeps what updates of a run go on from: the clusters at its end, and a sample of its rows, or of their latent vectors. Resolves with what
 * is said of that.
 */
export async function keepForUpdates(
  context: Ports<'config' | 'out' | 'server' | 'source' | 'spent' | 'trainer'>,
  state: RunState,
): Promise<Stream> {
  const { out } = context;
  const { layout, run, data, labelled, update } = state;
  const stream = labelled!.stream ?? (await firstSample(context, state));
  const { state: own } = labelled!;
  await writeState(out, {
    stage: 'cluster',
    ...aboutCheckpoint(context, update?.layout ?? layout),
    // Bytes of a run do not depend on how long it took.
    spent: { seconds: 0, rounds: 0, rowsRead: 0, workers: 0 },
    dataSummary: data!,
    transform: run!.transform,
    state: { ...onSample(ofFirst(own, stream.ids.length), own.sample), merged: [], steps: [] },
    ended: state.ended,
    stream,
  });
  return stream;
}

/** Rows whose priorities are looked at without yielding. */
const ROWS_AT_ONCE = 1 << 20;

/** Writes the rows of the sample of a first run. */
async function firstSample(
  context: Ports<'config' | 'out' | 'source' | 'trainer'>,
  state: RunState,
): Promise<Stream> {
  const { config, out } = context;
  const { source, layout, data, encoding } = state;
  const { found } = state.labelled!;
  const { sample, graph } = state.clusters!;
  const k = found.counts.filter((rows) => rows > 0).length;
  const priorityOf = priority(config.seed);
  const ids = Array.from({ length: k }, (_, cluster) => cluster);
  const rows: number[] = [];
  for (const { from, to } of ranges(layout.rows, ROWS_AT_ONCE)) {
    for (let row = from; row < to; row++) if (priorityOf(row) < sample.below) rows.push(row);
    await yieldToEventLoop();
  }
  const values = await rowsAt(source, rows);
  await out.npy(SAMPLE, '<f4', [rows.length, layout.dim], values);
  return {
    ...{ updates: 0, seen: layout.rows, weight: layout.rows },
    most: Math.max(rows.length, config.sample ?? leastSample(graph ? 0 : layout.dim)),
    keys: Float64Array.from(rows, priorityOf),
    labels: labelsAt(out.path, rows, layout.rows),
    since: new Int32Array(rows.length),
    looked: Array<number>(k).fill(state.ended === 'settled' ? 0 : -1),
    ...{ ids, next: k, history: withUpdate([], 0, ids, found.counts, []) },
    ...{ drift: null, alarm: null },
    parts: [partOf(config, layout, (encoding ?? data!).hashes, 0)],
    peaks: found.counts
      .slice(0, k)
      .map((weight, k) => ({ weight, T: scaleStatistics(found.T[k], rows.length / layout.rows) })),
    gone: [],
    covariance: state.run!.covariance,
    ...(encoding && {
      residual: await residualOfRows(context, encoding, rows, gapOf(config, encoding, layout.rows)),
    }),
  };
}
