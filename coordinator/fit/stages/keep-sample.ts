import { ranges, yieldToEventLoop } from '../../../base/slices.ts';
import { rowsAt } from '../../../data/remote/read-ahead.ts';
import { NOISE } from '../../../model/order.ts';
import { priority } from '../../../model/random.ts';
import { ofUnits, onSample } from '../../../model/state.ts';
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
  const { stream, kept } = labelled!.stream
    ? { stream: labelled!.stream, kept: labelled!.kept! }
    : await firstSample(context, state);
  const { groups: _, background: __, ...own } = labelled!.state;
  await writeState(out, {
    stage: 'cluster',
    ...aboutCheckpoint(context, update?.layout ?? layout),
    // Bytes of a run do not depend on how long it took.
    spent: { seconds: 0, rounds: 0, rowsRead: 0, workers: 0 },
    dataSummary: data!,
    transform: run!.transform,
    state: { ...onSample(ofUnits(own, kept), own.sample), merged: [], steps: [] },
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
): Promise<{ stream: Stream; kept: number[] }> {
  const { config, out, trainer } = context;
  const { source, layout, data, encoding } = state;
  const { found, state: labelling } = state.labelled!;
  const { groups } = labelling;
  const { sample, graph } = state.clusters!;
  const alive = found.counts.filter((rows) => rows > 0).length;
  const priorityOf = priority(config.seed);
  const rows: number[] = [];
  for (const { from, to } of ranges(layout.rows, ROWS_AT_ONCE)) {
    for (let row = from; row < to; row++) if (priorityOf(row) < sample.below) rows.push(row);
    await yieldToEventLoop();
  }
  const values = await rowsAt(source, rows);
  await out.npy(SAMPLE, '<f4', [rows.length, layout.dim], values);
  const kept = [...found.T.keys()].filter((c) => (groups ? found.T[c][0] > 0 : c < alive));
  const ids = [...kept.keys()];
  const clusters = labelsAt(out.path, rows, layout.rows);
  const k = kept.length;
  const stream: Stream = {
    ...{ updates: 0, seen: layout.rows, weight: layout.rows },
    most: Math.max(rows.length, config.sample ?? leastSample(graph ? 0 : layout.dim)),
    keys: Float64Array.from(rows, priorityOf),
    labels: groups
      ? (await trainer.componentsOf(state.run!.transform, ofUnits(labelling, kept), values)).map(
          (component, i) => (clusters[i] === NOISE ? NOISE : component),
        )
      : clusters,
    ...(groups && { clusters: { of: kept.map((component) => groups[component]), next: alive } }),
    since: new Int32Array(rows.length),
    looked: Array<number>(k).fill(state.ended === 'settled' ? 0 : -1),
    ...{ ids, next: k, history: withUpdate([], 0, [...Array(alive).keys()], found.counts, []) },
    ...{ drift: null, alarm: null },
    parts: [partOf(config, layout, (encoding ?? data!).hashes, 0)],
    peaks: kept.map((c) => ({
      weight: groups ? found.T[c][0] : found.counts[c],
      T: scaleStatistics(found.T[c], rows.length / layout.rows),
    })),
    gone: [],
    covariance: state.run!.covariance,
    ...(encoding && {
      residual: await residualOfRows(context, encoding, rows, gapOf(config, encoding, layout.rows)),
    }),
  };
  return { stream, kept };
}
