import { modelRows, networkRows } from '../data/transform.ts';
import { mapOf, rowsOnMap } from '../model/graph/map.ts';
import type { Seed } from '../model/random.ts';
import type { FittedModel } from './fitted-model.ts';
import { type RowReader, sampleRanges } from './row-reader.ts';
import type { Points } from './scatter.ts';

/** Rows of a sample on a map, and their clusters. */
export interface MapView {
  points: Points & { cluster: Int32Array };
}

/** Rows of a sample on a map. Null where rows have two columns, which are a map already, and where they are too few. */
export async function mapView(
  { transform }: FittedModel,
  reader: RowReader,
  { count, seed }: { count: number; seed: Seed },
): Promise<MapView | null> {
  const { dim } = transform;
  if (dim <= 2) return null;
  const rows: Float32Array[] = [];
  const cluster: number[] = [];
  const row: number[] = [];
  const ranges = sampleRanges(count, rowsOnMap(dim), seed);
  for await (const raw of reader.readEach(ranges))
    rows.push(modelRows(transform, networkRows(transform, raw)));
  for (const range of ranges) {
    cluster.push(...(await reader.labels(range)));
    for (let i = 0; i < range.count; i++) row.push(range.start + i);
  }
  const n = cluster.length;
  if (n < 4) return null;
  const all = new Float32Array(n * dim);
  let at = 0;
  for (const own of rows) {
    all.set(own, at);
    at += own.length;
  }
  const places = mapOf(all, dim);
  const axis = (a: number) => Float64Array.from({ length: n }, (_, i) => places[2 * i + a]);
  return {
    points: { x: axis(0), y: axis(1), cluster: Int32Array.from(cluster), row: Float64Array.from(row) },
  };
}
