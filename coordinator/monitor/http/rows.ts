import { imageShape, imageUri } from '../../../data/images/folder.ts';
import type { Source } from '../../../data/source.ts';
import type { RowContent, RowContents } from '../../../view/cluster-details.ts';

/** Most rows in one answer, and most columns of each. */
const MAX_ROWS = 24;
const MAX_COLUMNS = 40;

/** The numbers in `rows=1,2,3`; null if it is not that, has too many, or ones that are not in the data. */
export function rowNumbers(query: unknown, all: number): number[] | null {
  if (typeof query !== 'string' || !/^\d{1,15}(,\d{1,15})*$/.test(query)) return null;
  const rows = query.split(',').map(Number);
  return rows.length <= MAX_ROWS && rows.every((row) => row < all) ? rows : null;
}

/** Rows of the data as people may look at them: the picture of an image, else the values of the first columns. */
export async function readRows(source: Source, rows: readonly number[]): Promise<RowContents> {
  const shape = imageShape(source.shape);
  const found: RowContent[] = [];
  for (const row of rows) {
    const values = await source.read(row, 1);
    const id = source.images?.[row];
    found.push({
      row,
      ...(id !== undefined && { id }),
      ...(shape
        ? { image: imageUri(values, shape, rangeOf(source.dtype, values)) }
        : { values: Array.from(values.subarray(0, MAX_COLUMNS)) }),
    });
  }
  return { names: source.names?.slice(0, MAX_COLUMNS) ?? null, rows: found };
}

/** That of bytes, or of the numbers in the row. */
function rangeOf(dtype: string, values: Float32Array): [number, number] {
  if (dtype === 'uint8') return [0, 255];
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
}
