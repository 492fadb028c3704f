import { type Legend, MISSING_SHADE } from '../../model/shades.ts';
import type { FoundRows, MapData, SelectionTelling, WholeMap } from '../drawing/map/whole-map.ts';
import type { PointPainter } from './gl-points.ts';

/** From where the page has the map of all rows: tile by tile from a server, or a sample that is in the file. Null: it cannot be had. */
export interface MapSource {
  about: WholeMap;
  density(): Promise<Uint8Array | null>;
  /** The rows of a tile, as `RECORD` of model/map-tiles.ts says. */
  tile(number: number): Promise<Uint8Array | null>;
  /** What else is known of rows; null: nothing. */
  data(): Promise<MapData | null>;
  /** What the shades of a column stand for, and those of a tile; null: they cannot be had. */
  legend(column: number, signal: AbortSignal): Promise<Legend | null>;
  shades(column: number, tile: number): Promise<Uint8Array | null>;
  /** What sets these rows, ascending, apart from all others; null: it cannot be told. */
  telling(rows: readonly number[], signal: AbortSignal): Promise<SelectionTelling | null>;
  /** Rows with these words in their texts; null: they could not be looked for. Rejects once `signal` aborts. */
  search(words: string, signal: AbortSignal): Promise<FoundRows | null>;
}

export interface LoadedTile<Buffer> {
  records: Uint8Array;
  /** The same by two bytes. */
  words: Uint16Array;
  buffer: Buffer;
  /** By which its rows are coloured, if these are there. */
  shades: Buffer | null;
}

/** The shades of a tile's rows, by its number. */
export type Shading = (number: number, records: Uint8Array) => Promise<Uint8Array | null>;

/** Tiles on the device, and requests at a time. */
const [MOST_KEPT, AT_ONCE] = [400, 4];

/** The tiles that have been loaded. `arrived`: there is one more. */
export function tileStore<Buffer>(source: MapSource, points: PointPainter<Buffer>, arrived: () => void) {
  const kept = new Map<number, LoadedTile<Buffer>>();
  const asked = new Set<number>();
  const missing = new Set<number>();
  let wanted: readonly number[] = [];
  let shading: Shading | null = null;
  const drop = ({ buffer, shades }: LoadedTile<Buffer>) => {
    points.remove(buffer);
    if (shades) points.remove(shades);
  };

  async function load(number: number) {
    asked.add(number);
    const records = await source.tile(number).catch(() => null);
    asked.delete(number);
    if (!records) missing.add(number);
    else {
      const words = new Uint16Array(records.buffer, records.byteOffset, records.length / 2);
      kept.set(number, { records, words, buffer: points.buffer(records), shades: null });
      arrived();
    }
    next();
  }

  async function shade(number: number, tile: LoadedTile<Buffer>, by: Shading) {
    asked.add(number);
    const shades = await by(number, tile.records).catch(() => null);
    asked.delete(number);
    // The colours may be others meanwhile, and the tile forgotten.
    if (by === shading && kept.get(number) === tile) {
      tile.shades = points.buffer(shades ?? new Uint8Array(tile.words.length).fill(MISSING_SHADE));
      arrived();
    }
    next();
  }

  function next() {
    for (const number of wanted) {
      if (asked.size >= AT_ONCE) return;
      if (asked.has(number) || missing.has(number)) continue;
      const tile = kept.get(number);
      if (!tile) void load(number);
      else if (shading && !tile.shades) void shade(number, tile, shading);
    }
  }

  return {
    get(number: number): LoadedTile<Buffer> | undefined {
      const tile = kept.get(number);
      // Those that were used last are the last in the map.
      if (tile && kept.delete(number)) kept.set(number, tile);
      return tile;
    },
    /** Loads these, the first ones first, and forgets others where there are too many. */
    want(numbers: readonly number[]): void {
      wanted = numbers;
      const shown = new Set(numbers);
      for (const [number, tile] of kept) {
        if (kept.size <= MOST_KEPT) break;
        if (shown.has(number)) continue;
        drop(tile);
        kept.delete(number);
      }
      next();
    },
    /** Colours rows by other shades from now on; null: by none. */
    shadeBy(by: Shading | null): void {
      shading = by;
      for (const tile of kept.values()) {
        if (tile.shades) points.remove(tile.shades);
        tile.shades = null;
      }
      next();
    },
    /** The device has forgotten all of them. */
    clear(): void {
      kept.clear();
    },
  };
}
