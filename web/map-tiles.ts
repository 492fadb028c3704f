import type { FoundRows, MapData, WholeMap } from '../view/whole-map.ts';
import type { PointPainter } from './gl-points.ts';

/** From where the page has the map of all rows: tile by tile from a server, or a sample that is in the file. Null: it cannot be had. */
export interface MapSource {
  about: WholeMap;
  density(): Promise<Uint8Array | null>;
  /** The rows of a tile, as `RECORD` of model/map-tiles.ts says. */
  tile(number: number): Promise<Uint8Array | null>;
  /** What else is known of rows; null: nothing. */
  data(): Promise<MapData | null>;
  /** Rows with these words in their texts; null: they could not be looked for. Rejects once `signal` aborts. */
  search(words: string, signal: AbortSignal): Promise<FoundRows | null>;
}

export interface LoadedTile<Buffer> {
  records: Uint8Array;
  /** The same by two bytes. */
  words: Uint16Array;
  buffer: Buffer;
}

/** Tiles on the device, and requests at a time. */
const [MOST_KEPT, AT_ONCE] = [400, 4];

/** The tiles that have been loaded. `arrived`: there is one more. */
export function tileStore<Buffer>(source: MapSource, points: PointPainter<Buffer>, arrived: () => void) {
  const kept = new Map<number, LoadedTile<Buffer>>();
  const asked = new Set<number>();
  const missing = new Set<number>();
  let wanted: readonly number[] = [];

  async function load(number: number) {
    asked.add(number);
    const records = await source.tile(number).catch(() => null);
    asked.delete(number);
    if (!records) missing.add(number);
    else {
      const words = new Uint16Array(records.buffer, records.byteOffset, records.length / 2);
      kept.set(number, { records, words, buffer: points.buffer(records) });
      arrived();
    }
    next();
  }

  function next() {
    for (const number of wanted) {
      if (asked.size >= AT_ONCE) return;
      if (!kept.has(number) && !asked.has(number) && !missing.has(number)) void load(number);
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
      for (const [number, { buffer }] of kept) {
        if (kept.size <= MOST_KEPT) break;
        if (shown.has(number)) continue;
        points.remove(buffer);
        kept.delete(number);
      }
      next();
    },
    /** The device has forgotten all of them. */
    clear(): void {
      kept.clear();
    },
  };
}
