import { yieldToEventLoop } from '../../base/slices.ts';
import type { FieldValues, RowFields } from '../../data/row-fields.ts';
import { priority } from '../../model/random.ts';
import { type Legend, MISSING_SHADE, rankShades, textCounter, timeOf } from '../../model/shades.ts';

/** Columns by which the map is coloured: a byte for each row, made when it is asked for, of which the last ones are kept. */

/** A column in shades (model/shades.ts), one for each row. */
export interface Shaded {
  legend: Legend;
  shades: Uint8Array;
}

/** Bytes that are kept, but for the column that was asked for last; and values by which numbers are ranked, about. */
const [MOST_KEPT, SAMPLED] = [1 << 28, 1 << 16];

/** Values that are worked on without yielding. */
const PIECE = 1 << 12;

/** `make`: shades of a column, by its place. */
export function shadeStore(make: (column: number) => Promise<Shaded>) {
  const kept = new Map<number, Promise<Shaded>>();
  return (column: number, rows: number): Promise<Shaded> => {
    const own = kept.get(column) ?? make(column);
    // Those that were used last are the last in the map.
    kept.delete(column);
    kept.set(column, own);
    own.catch(() => kept.delete(column));
    for (const first of kept.keys()) {
      if (kept.size === 1 || kept.size * rows <= MOST_KEPT) break;
      kept.delete(first);
    }
    return own;
  };
}

/** Reads a column twice: for its scale, then for the shade of each row. */
export async function shadesOf({ fields, read }: RowFields, column: number, rows: number): Promise<Shaded> {
  const isText = fields[column].kind === 'text';
  return read([column], async (slices) => {
    const [counter, sample] = [textCounter(), [] as number[]];
    let missing = 0;
    const priorityOf = priority(0n);
    for await (const { from, values } of numbered(slices()))
      for (let i = 0; i < values.length; i++) {
        const value = values[i];
        if (isText) counter.add(value as string | null);
        else if (Number.isNaN(value)) missing++;
        if (priorityOf(from + i) * rows >= SAMPLED) continue;
        sample.push(isText ? timeOf((value as string | null) ?? '') : (value as number));
      }
    const isTime = isText && counter.areTimes();
    const ranks = rankShades(sample);
    const categories = counter.result();
    const shadeOf =
      isText && !isTime
        ? categories.shadeOf
        : (value: string | number | null) =>
            ranks.shadeOf(typeof value === 'number' ? value : timeOf(value ?? ''));
    const shades = new Uint8Array(rows).fill(MISSING_SHADE);
    for await (const { from, values } of numbered(slices()))
      for (let i = 0; i < values.length; i++) shades[from + i] = shadeOf(values[i] as never);
    const numbers = { values: ranks.quartiles, isTime, missing: isText ? counter.missing() : missing };
    return { shades, legend: isText && !isTime ? categories.legend : { kind: 'number', ...numbers } };
  });
}

/** Values with the number of their first row, piece by piece. */
async function* numbered(
  slices: AsyncGenerator<FieldValues[]>,
): AsyncGenerator<{ from: number; values: FieldValues }> {
  let from = 0;
  for await (const [values] of slices)
    for (let at = 0; at < values.length; at += PIECE) {
      const piece = values.slice(at, at + PIECE);
      yield { from, values: piece };
      from += piece.length;
      await yieldToEventLoop();
    }
}
