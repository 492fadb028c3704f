import { join } from 'node:path';
import { ranges, yieldToEventLoop } from '../base/slices.ts';
import { openSource } from '../data/open.ts';
import { rowsAt } from '../data/remote/read-ahead.ts';
import type { ColumnSample } from '../model/description/telling-columns.ts';
import { clusterIds, clusterOfComponents, type Stream } from '../model/stream/stream.ts';
import { SAMPLE } from './stream-files.ts';

/** What clusters get names from: columns that mean something, and rows of each cluster. */

/** Rows whose keys are looked at without yielding. */
const ROWS_AT_ONCE = 1 << 18;
/** Rows of a cluster, at most and at least, and numbers in all. */
const [MOST_ROWS, LEAST_ROWS, MOST_NUMBERS] = [500, 20, 1 << 22];
/**
 * Rows of each cluster with the least keys among those that the run keeps of all rows so far, so that they do not depend on who has
 * labelled them. Null if there is no room for enough of each.
 *
 * @param sizes rows of each cluster
 */
export async function columnSample(
  run: string,
  stream: Pick<Stream, 'keys' | 'labels' | 'ids' | 'clusters'>,
  sizes: readonly number[],
): Promise<ColumnSample | null> {
  const source = await openSource(join(run, SAMPLE));
  try {
    const { dim } = source;
    const most = Math.min(MOST_ROWS, Math.floor(MOST_NUMBERS / (dim * sizes.length)));
    if (most < LEAST_ROWS) return null;
    const { keys, labels } = stream;
    const clusterOf = clusterOfComponents(stream);
    const places = new Map(clusterIds(stream).map((id, cluster) => [id, cluster]));
    const drawn = sizes.map((): number[] => []);
    const least = (own: number[]) => own.sort((a, b) => keys[a] - keys[b] || a - b).slice(0, most);
    for (const { from, to } of ranges(keys.length, ROWS_AT_ONCE)) {
      for (let row = from; row < to; row++) {
        const cluster = places.get(clusterOf(labels[row]));
        if (cluster === undefined || drawn[cluster].push(row) < 2 * most) continue;
        drawn[cluster] = least(drawn[cluster]);
      }
      await yieldToEventLoop();
    }
    const rows = drawn
      .flatMap((own, cluster) => least(own).map((row) => ({ row, cluster })))
      .sort((a, b) => a.row - b.row);
    const values = await rowsAt(
      source,
      rows.map(({ row }) => row),
    );
    return { values, dim, clusters: Int32Array.from(rows, ({ cluster }) => cluster), sizes };
  } finally {
    source.close();
  }
}
