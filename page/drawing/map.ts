import type { Legend } from '../../model/shades.ts';
import type { SampledMap, WholeMap } from '../../run/whole-map.ts';
import { base64Of, bytesIn } from './api.ts';

/**
 * From where the map of all rows of a finished run comes. Rows are in tiles (model/map-tiles.ts);
 * whether these are read from a run directory, asked for over HTTP or are one sample in a file, who shows them does not know.
 */

/** What is known of the rows on it beside that: `GET /api/map/data`. */
export interface MapData {
  /** Can words be looked for in them? */
  hasTexts: boolean;
  /** The names of the columns by which it can be coloured. */
  columns: string[];
}

/** `GET /api/map/search?words=…`: the first rows with these words, as `FOUND` of model/map-tiles.ts, in base64. */
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

/** From where the map is had: tile by tile, or as one sample. Null: it cannot be had; promises may reject once `signal` aborts. */
export interface MapSource {
  about: WholeMap;
  density(): Promise<Uint8Array | null>;
  /** The rows of a tile, as `RECORD` of model/map-tiles.ts says. */
  tile(number: number): Promise<Uint8Array | null>;
  /** What else is known of rows; null: nothing. */
  data(): Promise<MapData | null>;
  /** What the shades of a column stand for, and those of a tile. */
  legend(column: number, signal: AbortSignal): Promise<Legend | null>;
  shades(column: number, tile: number, signal?: AbortSignal): Promise<Uint8Array | null>;
  /** What sets these rows, ascending, apart from all others. */
  telling(rows: readonly number[], signal: AbortSignal): Promise<SelectionTelling | null>;
  /** Rows with these words in their texts. */
  search(words: string, signal: AbortSignal): Promise<FoundRows | null>;
}

/** The same in a file: bytes in base64. */
export type PackedMap = WholeMap & Record<'sample' | 'density', string>;

/** Of a sample nothing is known but what its records have. */
export function ofSample({ about, sample, density }: SampledMap): MapSource {
  const none = async () => null;
  const known = { about, tile: async () => sample, density: async () => density };
  return { ...known, data: none, legend: none, shades: none, telling: none, search: none };
}

export const packedMap = ({ about, sample, density }: SampledMap): PackedMap => ({
  ...about,
  sample: base64Of(sample),
  density: base64Of(density),
});

export const unpackedMap = ({ sample, density, ...about }: PackedMap): SampledMap => ({
  about,
  sample: bytesIn(sample),
  density: bytesIn(density),
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
