import type { MutableNumbers } from '../../data/npy.ts';
import { CONFIDENCES, DISTANCES, LABELS, MAP, rowShape } from '../../data/row-parts.ts';
import { confidenceOf, reachOf } from '../../model/description/distances.ts';
import type { Layout } from '../../model/layout.ts';
import { isUnchanged, type Order, placesOf, renumberLabels, reorderColumns } from '../../model/order.ts';
import { type Tensors, take } from '../../proto/tensors.ts';

/** Writes what there is of each row to the whole files of a run, as it comes from workers, in whatever order. */

/** What there is of each row besides its label: the tensor, and the file that it goes to. */
const ROW_COLUMNS = [
  ['confidence', CONFIDENCES],
  ['distance', DISTANCES],
  ['map', MAP],
] as const;
/** A file that is written in pieces: `data` from element `first` on. */
export interface OutputFile {
  write(data: Float32Array | Int32Array | Uint8Array, first: number): void;
  /** Changes what has been written, in place and in pieces of whole rows of `width` elements. */
  update(width: number, change: (piece: MutableNumbers) => void): Promise<void>;
  finish(): Promise<void>;
  abort(): void;
}

/** Creates the files for labels and responsibilities. */
export interface Output {
  pieces(name: string, dtype: '<f4' | '<i4' | '|b1', shape: number[]): OutputFile;
}

const NO_FILE: OutputFile = { write() {}, async update() {}, async finish() {}, abort() {} };

export const NO_FILES: Output = { pieces: () => NO_FILE };

/** Keeps labels only: in the file that `open` starts. */
export const labelsOnly = (
  open: (dtype: '<f4' | '<i4' | '|b1', shape: number[]) => Partial<OutputFile>,
): Output => ({
  pieces: (name, dtype, shape) => ({ ...NO_FILE, ...(name === LABELS && open(dtype, shape)) }),
});

/**
 * Writes a unit's labels, largest responsibilities, distances and places on the map, all responsibilities if `soft`, and which rows are `outliers`, to
 * their places; none of it stays in memory. Clusters get their numbers in the files once all rows are counted. `each` gets the
 * labels of every block. `d`: of Gaussian clusters, whose distances say how sure labels are.
 */
export function rowWriter(
  out: Output,
  layout: Layout,
  k: number,
  { soft, map, outliers, d }: { soft: boolean; map: boolean; outliers: boolean; d: number | null },
  each: (labels: Int32Array, start: number) => void,
) {
  const labels = out.pieces(LABELS, '<i4', [layout.rows]);
  let unexplained = 0;
  const columns = ROW_COLUMNS.filter(([tensor]) => tensor !== 'map' || map).map(([tensor, name]) => {
    const shape = rowShape(name, layout.rows);
    return { tensor, width: shape[1] ?? 1, file: out.pieces(name, '<f4', shape) };
  });
  const responsibilities = soft ? out.pieces('responsibilities.npy', '<f4', [layout.rows, k]) : null;
  const flags = outliers ? out.pieces('outliers.npy', '|b1', [layout.rows]) : null;
  return {
    unexplained: () => unexplained,
    write(blocks: { start: number; count: number }[], part: Tensors): void {
      const all = Int32Array.from(part.labels.data);
      const r = soft ? take(part, 'soft', 'float32') : null;
      const confidence = take(part, 'confidence', 'float32');
      if (d !== null) {
        const distance = take(part, 'distance', 'float32');
        const reach = reachOf(d);
        for (let i = 0; i < confidence.length; i++) {
          if (distance[i] > reach && !part.outliers?.data[i]) unexplained++;
          confidence[i] = confidenceOf(confidence[i], distance[i], d, reach);
        }
      }
      let at = 0;
      for (const { start, count } of blocks) {
        const own = all.subarray(at, at + count);
        labels.write(own, start);
        for (const { tensor, width, file } of columns)
          file.write(take(part, tensor, 'float32').subarray(at * width, (at + count) * width), start * width);
        if (r) responsibilities!.write(r.subarray(at * k, (at + count) * k), start * k);
        flags?.write(take(part, 'outliers', 'uint8').subarray(at, at + count), start);
        each(own, start);
        at += count;
      }
    },
    async finish(order: Order, ids?: readonly number[]): Promise<void> {
      const numbers = Array.from(placesOf(order), (place) => ids?.[place] ?? place);
      if (!isUnchanged(numbers)) await labels.update(1, (piece) => renumberLabels(piece, numbers));
      if (!isUnchanged(order)) await responsibilities?.update(k, (piece) => reorderColumns(piece, order));
      await labels.finish();
      for (const { file } of columns) await file.finish();
      await responsibilities?.finish();
      await flags?.finish();
    },
    abort(): void {
      labels.abort();
      for (const { file } of columns) file.abort();
      responsibilities?.abort();
      flags?.abort();
    },
  };
}
