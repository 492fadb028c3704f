import { yieldToEventLoop } from '../../base/slices.ts';
import type { FieldValues, RowFields } from '../../data/fields.ts';
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

/** `make`: shades of a column, by its place, or throws once nobody wants them any more. */
export function shadeStore(make: (column: number, isWanted: () => boolean) => Promise<Shaded>) {
  const kept = new Map<number, { shaded: Promise<Shaded>; waiting: Set<() => boolean> }>();
  function begun(column: number) {
    const waiting = new Set<() => boolean>();
    const own = { shaded: make(column, () => [...waiting].some((isWanted) => isWanted())), waiting };
    own.shaded.catch(() => kept.get(column) === own && kept.delete(column));
    return own;
  }
  return async (column: number, rows: number, isWanted: () => boolean): Promise<Shaded> => {
    const own = kept.get(column) ?? begun(column);
    // Those that were used last are the last in the map.
    kept.delete(column);
    kept.set(column, own);
    for (const first of kept.keys()) {
      if (kept.size === 1 || kept.size * rows <= MOST_KEPT) break;
      kept.delete(first);
    }
    own.waiting.add(isWanted);
    return own.shaded.finally(() => own.waiting.delete(isWanted));
  };
}

/** Reads a column twice: for its scale, then for the shade of each row. Throws once it is not wanted any more. */
export async function shadesOf(
  { fields, read }: RowFields,
  column: number,
  rows: number,
  isWanted: () => boolean,
): Promise<Shaded> {
  const isText = fields[column].kind === 'text';
  return read([column], async (slices) => {
    const [counter, sample] = [textCounter(), [] as number[]];
    let missing = 0;
    const priorityOf = priority(0n);
    for await (const { from, values } of numbered(slices(), isWanted))
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
    for await (const { from, values } of numbered(slices(), isWanted))
      for (let i = 0; i < values.length; i++) shades[from + i] = shadeOf(values[i] as never);
    const numbers = { values: ranks.quartiles, isTime, missing: isText ? counter.missing() : missing };
    return { shades, legend: isText && !isTime ? categories.legend : { kind: 'number', ...numbers } };
  });
}

/** Values with the number of their first row, piece by piece. */
async function* numbered(
  slices: AsyncGenerator<FieldValues[]>,
  isWanted: () => boolean,
): AsyncGenerator<{ from: number; values: FieldValues }> {
  let from = 0;
  for await (const [values] of slices)
    for (let at = 0; at < values.length; at += PIECE) {
      if (!isWanted()) throw new Error('nobody waits for the column any more');
      const piece = values.slice(at, at + PIECE);
      yield { from, values: piece };
      from += piece.length;
      await yieldToEventLoop();
    }
}
