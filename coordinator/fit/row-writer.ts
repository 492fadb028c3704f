import type { MutableNumbers } from '../../data/npy.ts';
import { LABELS } from '../../data/row-parts.ts';
import { firstColumns } from '../../model/arrays.ts';
import { confidenceOf, reachOf } from '../../model/description/distances.ts';
import type { Block, Layout } from '../../model/layout.ts';
import { isUnchanged, type Order, renumberLabels, reorderColumns } from '../../model/order.ts';
import {
  columnShape,
  type FinalNumbers,
  type OptionalColumns,
  type RowColumn,
  rowColumns,
} from '../../model/row-columns.ts';
import { type Tensors, take } from '../../proto/tensors.ts';

/** Writes what there is of each row to the whole files of a run, as it comes from workers, in whatever order. */

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
  pieces(name: string, dtype: RowColumn['dtype'], shape: number[]): OutputFile;
}

/** In the tensors of workers. */
const TYPES = { '<i4': 'int32', '<f4': 'float32', '|b1': 'uint8' } as const;

const NO_FILE: OutputFile = { write() {}, async update() {}, async finish() {}, abort() {} };

export const NO_FILES: Output = { pieces: () => NO_FILE };

/** Keeps labels only: in the file that `open` starts. */
export const labelsOnly = (
  open: (dtype: RowColumn['dtype'], shape: number[]) => Partial<OutputFile>,
): Output => ({
  pieces: (name, dtype, shape) => ({ ...NO_FILE, ...(name === LABELS && open(dtype, shape)) }),
});

/**
 * Writes what the full pass found for the rows of a unit to their places in the files, with responsibilities if `soft`, and keeps none of it. Clusters
 * are renumbered by size later, once all rows are counted.
 *
 * @param d dimensions of Gaussian clusters, whose distances limit the confidence of labels; null with the graph likelihood
 * @param labelled how many labels there are: those from k on are noise
 * @param each is called with the labels of each block
 */
export function rowWriter(
  out: Output,
  layout: Layout,
  k: number,
  {
    soft,
    has,
    d,
    labelled = k,
  }: { soft: boolean; has: OptionalColumns; d: number | null; labelled?: number },
  each: (labels: Int32Array, start: number) => void,
) {
  const { rows } = layout;
  const columns = rowColumns(has).map(([name, column]) => {
    const { file, dtype, width } = column;
    return { name, dtype, width, file: out.pieces(file, dtype, columnShape(column, rows)) };
  });
  const responsibilities = soft ? out.pieces('responsibilities.npy', '<f4', [rows, k]) : null;
  const files = [...columns.map(({ file }) => file), ...(responsibilities ? [responsibilities] : [])];
  let unexplained = 0;
  /** Says, in place, how sure labels are: less where rows are beyond the reach of their clusters. */
  function judge(part: Tensors): void {
    if (d === null) return;
    const [confidence, distance] = ['confidence', 'distance'].map((name) => take(part, name, 'float32'));
    const reach = reachOf(d);
    const labels = part.labels.data;
    for (let i = 0; i < confidence.length; i++) {
      if (labels[i] >= k) continue;
      if (distance[i] > reach && !part.outliers?.data[i]) unexplained++;
      confidence[i] = confidenceOf(confidence[i], distance[i], d, reach);
    }
  }
  return {
    unexplained: () => unexplained,
    write(blocks: readonly Block[], part: Tensors): void {
      judge(part);
      const labels = Int32Array.from(part.labels.data);
      const values = (name: string, dtype: RowColumn['dtype']) =>
        name === 'labels' ? labels : take(part, name, TYPES[dtype]);
      let at = 0;
      for (const { start, count } of blocks) {
        for (const { name, dtype, width, file } of columns)
          file.write(values(name, dtype).subarray(at * width, (at + count) * width), start * width);
        if (responsibilities) {
          const all = take(part, 'soft', 'float32').subarray(at * labelled, (at + count) * labelled);
          responsibilities.write(labelled > k ? firstColumns(all, labelled, k) : all, start * k);
        }
        each(labels.subarray(at, at + count), start);
        at += count;
      }
    },
    /** `order`: of clusters. */
    async finish(order: Order, numbers: FinalNumbers): Promise<void> {
      for (const { name, file } of columns) {
        const own = numbers[name];
        if (own && !isUnchanged(own)) await file.update(1, (piece) => renumberLabels(piece, own));
      }
      if (!isUnchanged(order)) await responsibilities?.update(k, (piece) => reorderColumns(piece, order));
      for (const file of files) await file.finish();
    },
    abort(): void {
      for (const file of files) file.abort();
    },
  };
}
