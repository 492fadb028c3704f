import { RECORD, WORDS } from '../../model/map-records.ts';
import { MISSING_SHADE } from '../../model/shades.ts';
import type { MapSource } from '../drawing/map.ts';

/** The records of the map that the page has, as many as are wanted; the density of these; and a shade for each, by which it may be coloured. */

/** Records that are asked for at first, and then at a time. */
const [FIRST, NEXT] = [1 << 16, 1 << 18];
/** Cells along each side of the picture of density. */
export const DENSITY_CELLS = 512;

export interface MapRecords {
  /** So many have been loaded, the first ones. */
  readonly count: number;
  /** Of all that there are, in their order. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same by four bytes, for x and y (`WORDS`). */
  readonly places: Float32Array;
  readonly shades: Uint8Array;
  /** Loads so many. Resolves once they are there, or cannot be had. */
  want(count: number): Promise<void>;
  /** How dense the map is, a byte for each cell [DENSITY_CELLS, DENSITY_CELLS] from the lower left corner: the logarithm of the records in it, by that of the most. */
  density(): Uint8Array;
  /** The shade of a record by its number; null: of none. */
  shadeBy(of: ((record: number) => number) | null): void;
}

/** `arrived`: there are more records, from this one on. */
export function mapRecords(source: MapSource, arrived: (from: number) => void): MapRecords {
  const all = source.about.index.records;
  const bytes = new Uint8Array(RECORD * all);
  const places = new Float32Array(bytes.buffer);
  const shades = new Uint8Array(all).fill(MISSING_SHADE);
  const cells = new Uint32Array(DENSITY_CELLS ** 2);
  let [count, wanted, isOver] = [0, 0, false];
  let shadeOf: ((record: number) => number) | null = null;
  let loading: Promise<void> | null = null;

  function shade(from: number) {
    if (shadeOf) for (let i = from; i < count; i++) shades[i] = shadeOf(i);
    else shades.fill(MISSING_SHADE);
  }

  async function load() {
    while (count < wanted && !isOver) {
      const from = count;
      const to = Math.min(all, from ? from + NEXT : FIRST);
      const part = await source.rows(from, to).catch(() => null);
      isOver = part?.length !== RECORD * (to - from);
      if (isOver) break;
      bytes.set(part!, RECORD * from);
      count = to;
      for (let i = from; i < to; i++) {
        const [x, y] = [WORDS.x, WORDS.y].map((at) => places[WORDS.record * i + at]);
        cells[cellAt(y) * DENSITY_CELLS + cellAt(x)]++;
      }
      if (shadeOf) shade(from);
      arrived(from);
    }
  }

  return {
    bytes,
    places,
    shades,
    get count() {
      return count;
    },
    async want(more) {
      wanted = Math.max(wanted, Math.min(all, more));
      while (count < wanted && !isOver)
        await (loading ??= load().finally(() => {
          loading = null;
        }));
    },
    density() {
      const most = Math.log1p(cells.reduce((a, b) => Math.max(a, b), 1));
      return Uint8Array.from(cells, (records) => Math.round((255 * Math.log1p(records)) / most));
    },
    shadeBy(of) {
      shadeOf = of;
      shade(0);
    },
  };
}

const cellAt = (place: number) => Math.min(DENSITY_CELLS - 1, Math.max(0, Math.floor(place * DENSITY_CELLS)));
