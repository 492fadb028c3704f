import { rowsAt } from '../../data/remote/read-ahead.ts';
import type { Source } from '../../data/source.ts';
import { fromRaw, missedLength, modelRows, type Transform } from '../../data/transform.ts';
import { concat } from '../../model/arrays.ts';
import { layersOf } from '../../model/nets/net.ts';
import { priority, type Seed } from '../../model/random.ts';
import { classify, type State } from '../../model/state.ts';
import { driftOf, explained, graphDriftOf, likeliest, unchangedClusters } from '../../model/stream/drift.ts';
import type { Drift } from '../../model/stream/findings.ts';
import { withNewRows } from '../../model/stream/sample.ts';

/** What an update asks of new rows by the clusters before: how they differ from the rows these were trained on, and which they explain. Rows are as they are in the file. */

/** Rows that are looked at, at least and at most. */
const [FEWEST_ROWS, MOST_ROWS] = [500, 20_000];
/** With a graph, which has no densities. */
const ROWS_OF_GRAPH = 5_000;

/** How many rows are looked at with so many operations for their log-densities. */
export const rowsFor = (operations: number, { mixture: { k, d }, graph }: State): number =>
  graph ? ROWS_OF_GRAPH : Math.max(FEWEST_ROWS, Math.min(MOST_ROWS, Math.floor(operations / (k * d * d))));

/** Up to so many rows of the sample, evenly. */
export function earlierRows(sample: Source, most: number): Promise<Float32Array> {
  const every = Math.ceil(sample.rows / most);
  return rowsAt(
    sample,
    Array.from({ length: Math.floor(sample.rows / every) }, (_, i) => i * every),
  );
}

/** The numbers of up to so many rows, by chance, ascending. */
export const drawnRows = ({ rows }: Source, most: number, seed: Seed): number[] =>
  withNewRows({ keys: new Float64Array(), most }, rows, priority(seed), null).joining;

/** `before`, `fresh`: rows as they are in the file. */
export function driftBetween(
  transform: Transform,
  { mixture, prior, graph, net, sample }: State,
  before: Float32Array,
  fresh: Float32Array,
): { drift: Drift; arrivals: Float64Array } {
  const ys = [before, fresh].map((rows) => fromRaw(transform, rows));
  const [own, other] = ys.map((y) => modelRows(transform, y));
  if (!graph) return driftOf(mixture, prior, own, other, sample.rows);
  const [old, now] = ys.map((y, i) => ({
    rows: [own, other][i],
    labels: classify({ net: layersOf(net) }, y),
    missed: missedLength(transform, y),
  }));
  return graphDriftOf(old, now, { d: mixture.d, k: mixture.k, sample: sample.rows });
}

/** The clusters that explain rows; −1 of those that none explains. */
export const explainedRows = (transform: Transform, { mixture, prior }: State, rows: Float32Array) =>
  explained(mixture, prior, modelRows(transform, fromRaw(transform, rows)));

/**
 * Which clusters are as the last search for splits left them, by the rows of the sample: the cluster of each (`labels`), −1 of those that have none yet;
 * the update that it has come with (`since`); and those in which clusters were searched (`looked`).
 */
export function unchangedSince(
  transform: Transform,
  { mixture, prior }: State,
  rows: Float32Array,
  labels: Int32Array,
  since: Int32Array,
  looked: readonly number[],
): boolean[] {
  const own = modelRows(transform, fromRaw(transform, rows));
  const { d } = mixture;
  const fresh = [...labels.keys()].filter((row) => labels[row] < 0);
  const freshRows = fresh.map((row) => own.subarray(row * d, (row + 1) * d));
  const found = likeliest(mixture, prior, concat(freshRows, Float32Array));
  const all = labels.slice();
  for (const [i, row] of fresh.entries()) all[row] = found[i];
  const isNew = Array.from(all, (label, row) => since[row] > looked[label]);
  return unchangedClusters(mixture, prior, own, all, isNew);
}
