/**
 * Points of a map in tiles, a quadtree with levels of detail: the map as a whole is the tile of level 0, whose quarters are those of level 1.
 * Each row has a random priority. Of the rows in a tile those that come first are in the tile itself, if no tile above has them, the others in its quarters. So
 * all tiles that cover a part of the map, down to some priority, have a uniform random sample of the rows there.
 */

/** Rows that a tile has, about. */
export const TILE_ROWS = 8192;
/** The smallest tiles have this level, of which there are 4¹⁰. */
export const DEEPEST = 10;
/** Cells along each side of the grid in which rows are counted: the smallest tiles. */
export const CELLS = 1 << DEEPEST;

/** The part of the map that tile (`column`, `row`) of its level covers, counted from the lower left corner, and which priorities its rows have. */
export interface MapTile {
  readonly level: number;
  readonly column: number;
  readonly row: number;
  /** `from` ≤ priority < `below`. */
  readonly from: number;
  readonly below: number;
}

export interface TilePlan {
  /** Larger tiles first. Several of the deepest level may cover the same cell. */
  readonly tiles: readonly MapTile[];
  /** The tile of a row in this cell of the grid. `priority`: 0 ≤ priority < 1. */
  tileOf(column: number, row: number, priority: number): number;
}

/**
 * Which tiles there are. `counts`: rows in each cell [CELLS, CELLS], from the lower left corner, row by row. A tile takes rows up to the priority up to which
 * `TILE_ROWS` of those that are left can be expected, so no pass over the rows in their order of priority is needed.
 */
export function planTiles(counts: Uint32Array, tileRows = TILE_ROWS): TilePlan {
  const levels = pyramidOf(counts);
  const tiles: MapTile[] = [];
  /** For each tile of a level the number of its (first) tile, −1 if it has none. */
  const numbers = levels.map((level) => new Int32Array(level.length).fill(-1));
  for (let level = 0; level <= DEEPEST; level++) {
    const side = 1 << level;
    for (let at = 0; at < side * side; at++) {
      const [column, row] = [at % side, Math.floor(at / side)];
      const above = level ? numbers[level - 1][(row >> 1) * (side >> 1) + (column >> 1)] : -1;
      const from = level ? (above < 0 ? 1 : tiles[above].below) : 0;
      const left = levels[level][at] * (1 - from);
      if (from >= 1 || levels[level][at] === 0) continue;
      numbers[level][at] = tiles.length;
      const parts = Math.max(1, Math.round(left / tileRows));
      const step = (1 - from) / parts;
      // The smallest tiles have no quarters.
      for (let part = 0; part < (level === DEEPEST ? parts : 1); part++) {
        const below = part + 1 === parts ? 1 : from + (part + 1) * step;
        tiles.push({ level, column, row, from: from + part * step, below });
      }
    }
  }
  return {
    tiles,
    tileOf(column, row, priority) {
      for (let level = 0; ; level++) {
        const up = DEEPEST - level;
        const number = numbers[level][(row >> up) * (1 << level) + (column >> up)];
        const { from, below } = tiles[number];
        if (priority < below) return number;
        if (level < DEEPEST) continue;
        let own = number + Math.floor((priority - from) / (below - from));
        // By rounding it may be the one beside it.
        while (priority < tiles[own].from) own--;
        while (priority >= tiles[own].below) own++;
        return own;
      }
    },
  };
}

/** Counts of all levels, from the whole to the cells. */
function pyramidOf(cells: Uint32Array): Uint32Array[] {
  const levels = [cells];
  for (let side = CELLS >> 1; side >= 1; side >>= 1) {
    const [below, own] = [levels[0], new Uint32Array(side * side)];
    for (let at = 0; at < below.length; at++)
      own[Math.floor(at / (4 * side)) * side + ((at >> 1) % side)] += below[at];
    levels.unshift(own);
  }
  return levels;
}

/** Cells along each side of the picture of density. */
export const DENSITY_CELLS = 512;

/** How dense the map is, a byte for each cell [DENSITY_CELLS, DENSITY_CELLS] from the lower left corner: the logarithm of the rows in it, by that of the most. */
export function densityOf(counts: Uint32Array): Uint8Array {
  const level = pyramidOf(counts)[Math.log2(DENSITY_CELLS)];
  const most = level.reduce((a, b) => Math.max(a, b), 1);
  return Uint8Array.from(level, (rows) => Math.round((255 * Math.log1p(rows)) / Math.log1p(most)));
}

/**
 * What there is of a row in a tile, 12 bytes, little-endian: its number (uint32), where it is in the tile (x, y: uint16), its cluster (uint16), its confidence
 * and its outlier score (a byte each, from 0 to 1).
 */
export const RECORD = 12;
export const AT = { row: 0, x: 4, y: 6, cluster: 8, confidence: 10, outlier: 11 } as const;
/** Of numbers of rows and clusters. */
export const [MOST_MAP_ROWS, MOST_MAP_CLUSTERS] = [2 ** 32, 2 ** 16];

export interface MapRow {
  row: number;
  /** 0 ≤ x, y < 1, of the tile. */
  x: number;
  y: number;
  cluster: number;
  /** 0 … 1. */
  confidence: number;
  outlier: number;
}

const [STEPS, MOST_BYTE] = [1 << 16, 255];

export function writeRecord(
  into: DataView,
  at: number,
  { row, x, y, cluster, confidence, outlier }: MapRow,
): void {
  into.setUint32(at + AT.row, row, true);
  into.setUint16(at + AT.x, Math.min(STEPS - 1, Math.floor(x * STEPS)), true);
  into.setUint16(at + AT.y, Math.min(STEPS - 1, Math.floor(y * STEPS)), true);
  into.setUint16(at + AT.cluster, cluster, true);
  into.setUint8(at + AT.confidence, Math.round(MOST_BYTE * confidence));
  into.setUint8(at + AT.outlier, Math.round(MOST_BYTE * outlier));
}

export const readRecord = (from: DataView, at: number): MapRow => ({
  row: from.getUint32(at + AT.row, true),
  x: (from.getUint16(at + AT.x, true) + 0.5) / STEPS,
  y: (from.getUint16(at + AT.y, true) + 0.5) / STEPS,
  cluster: from.getUint16(at + AT.cluster, true),
  confidence: from.getUint8(at + AT.confidence) / MOST_BYTE,
  outlier: from.getUint8(at + AT.outlier) / MOST_BYTE,
});

/** A row that was looked for: as in a tile of the whole map, and its x and y there as float32, which are exact enough for the strongest magnification. */
export const FOUND = RECORD + 8;
const [FOUND_X, FOUND_Y] = [RECORD, RECORD + 4];

export function writeFound(into: DataView, at: number, row: MapRow): void {
  writeRecord(into, at, row);
  into.setFloat32(at + FOUND_X, row.x, true);
  into.setFloat32(at + FOUND_Y, row.y, true);
}

export const readFound = (from: DataView, at: number): MapRow => ({
  ...readRecord(from, at),
  x: from.getFloat32(at + FOUND_X, true),
  y: from.getFloat32(at + FOUND_Y, true),
});

/** What the tiles of a map are: `map/index.json` of a run directory. */
export interface MapIndex {
  readonly rows: number;
  /** SHA-256 of the files that it was made from, as run.json has them; null: it has none. */
  readonly of: { readonly map: string | null; readonly labels: string | null };
  /** The map as a whole is a square: its lower left corner and side in the coordinates of map.npy. All other places are in units of this side. */
  readonly box: { readonly x: number; readonly y: number; readonly side: number };
  /** What is shown first: all but a few far rows; left, bottom, right, top. */
  readonly home: readonly number[];
  /** Of each cluster the row nearest to the medians (of a sample); null of those without any. */
  readonly places: readonly ({ readonly rows: number; readonly x: number; readonly y: number } | null)[];
  /** In the order in which they are in the file. `count`: rows in it. */
  readonly tiles: readonly (MapTile & { readonly count: number })[];
  /** Rows in the sample of the whole. */
  readonly sample: number;
}
