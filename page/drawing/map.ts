import { RECORD } from '../../model/map-records.ts';
import type { Legend } from '../../model/shades.ts';
import type { SampledMap, WholeMap } from '../../run/whole-map.ts';
import { base64Of, bytesIn } from './api.ts';

/**
 * From where the map of all rows of a finished run comes. Rows are records (model/map-records.ts);
 * whether these are read from a run directory, asked for over HTTP or are a sample in a file, who shows them does not know.
 */

/** What is known of the rows on it beside that: `GET /api/map/data`. */
export interface MapData {
  /** Can words be looked for in them? */
  hasTexts: boolean;
  /** The names of the columns by which it can be coloured. */
  columns: string[];
}

/** `GET /api/map/search?words=…`: the first rows with these words, as records in base64. */
export interface FoundRows {
  /** There are no more of them. */
  isAll: boolean;
  rows: string;
}

/** `GET /api/map/telling?rows=…`: what sets rows apart from all others. */
export interface SelectionTelling {
  /** Words of their texts, the most telling first; null: they have none. */
  words: string[] | null;
  /** Such as `high income, low age`; null: none. */
  columns: string | null;
}

/** From where the map is had. Null: it cannot be had; promises may reject once `signal` aborts. */
export interface MapSource {
  about: WholeMap;
  /** Records `from … to−1`. */
  rows(from: number, to: number): Promise<Uint8Array | null>;
  /** What else is known of rows; null: nothing. */
  data(): Promise<MapData | null>;
  /** What the shades of a column stand for, and that of each record. */
  legend(column: number, signal: AbortSignal): Promise<Legend | null>;
  shades(column: number, signal: AbortSignal): Promise<Uint8Array | null>;
  /** What sets these rows, ascending, apart from all others. */
  telling(rows: readonly number[], signal: AbortSignal): Promise<SelectionTelling | null>;
  /** Rows with these words in their texts. */
  search(words: string, signal: AbortSignal): Promise<FoundRows | null>;
}

/** The same in a file: bytes in base64. */
export type PackedMap = WholeMap & { sample: string };

/** Of a sample nothing is known but what its records have. */
export function ofSample({ about, sample }: SampledMap): MapSource {
  const none = async () => null;
  const rows = async (from: number, to: number) => sample.subarray(RECORD * from, RECORD * to);
  return { about, rows, data: none, legend: none, shades: none, telling: none, search: none };
}

export const packedMap = ({ about, sample }: SampledMap): PackedMap => ({
  ...about,
  sample: base64Of(sample),
});

export const unpackedMap = ({ sample, ...about }: PackedMap): SampledMap => ({
  about,
  sample: bytesIn(sample),
});

/** Rows that stand for a selection. */
export const MOST_SELECTED = 2000;
const BASE = 36;

/** Ascending numbers of rows, short enough for an address: each by how much it is more than the one before. */
export const selectedText = (rows: readonly number[]): string =>
  rows.map((row, i) => (row - (rows[i - 1] ?? 0)).toString(BASE)).join('.');

/** The rows in such a text; null: it is none of rows below `all`, or has too many. */
export function selectedRows(text: unknown, all: number): number[] | null {
  if (typeof text !== 'string' || !/^[\da-z]{1,7}(\.[\da-z]{1,7})*$/.test(text)) return null;
  let last = 0;
  const rows = text.split('.').map((gap) => (last += Number.parseInt(gap, BASE)));
  const areAscending = rows.every((row, i) => i === 0 || row > rows[i - 1]);
  return rows.length <= MOST_SELECTED && areAscending && last < all ? rows : null;
}
