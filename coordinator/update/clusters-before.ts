import { outliersIn } from '../../data/steps/fences.ts';
import type { Stream } from '../../model/stream/stream.ts';
import type { Ports, Update } from '../fit/run-state.ts';

/** The clusters that rows of the sample had before an update. */

/** What an update begins with, as its rows were drawn. */
export type DrawnUpdate = Omit<Update, 'unchanged' | 'before'>;

/** The cluster of each row, by its place among the ids; −1 of new rows. */
function placesOfLabels({ ids, labels }: Stream): Int32Array {
  const places = new Map(ids.map((id, k) => [id, k]));
  return labels.map((label) => places.get(label) ?? -1);
}

/** The same with −2 for outliers: as training begins with. */
export async function clustersBefore({ stream, sample, transform }: DrawnUpdate): Promise<Int32Array> {
  const clusters = placesOfLabels(stream);
  if (!transform.fences) return clusters;
  const areOutliers = outliersIn(await sample.read(0, sample.rows), sample.dim, transform.fences);
  return clusters.map((cluster, row) => (areOutliers[row] ? -2 : cluster));
}

/** Which clusters are as the last search for splits left them; of a graph, where there is no such search, none. */
export async function unchangedClusters(
  { trainer }: Ports<'trainer'>,
  { stream, state, sample, transform }: DrawnUpdate,
): Promise<boolean[]> {
  if (state.graph) return [];
  const rows = await sample.read(0, sample.rows);
  return trainer.unchanged(transform, state, rows, placesOfLabels(stream), stream.since, stream.looked);
}

/** Rows by which a cluster is found again. */
const ENOUGH_ROWS = 6;

/**
 * The id before of each row of the sample, −1 of new ones; but where a cluster has hardly any rows left, as with a short half-life, new ones that it
 * would have had count too.
 */
export async function idsBefore(
  { trainer }: Ports<'trainer'>,
  { stream: { ids, labels }, state, sample, transform }: Update,
): Promise<Int32Array> {
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const few = new Set(ids.filter((id) => (counts.get(id) ?? 0) < ENOUGH_ROWS));
  if (!few.size) return labels;
  const clusters = await trainer.explained(transform, state, await sample.read(0, sample.rows));
  return labels.map((label, i) => (label < 0 && few.has(ids[clusters[i]]) ? ids[clusters[i]] : label));
}
