/**
 * Rows on the map, as `map.bin` of a run directory has them: a record each, in the order of random priorities, so that those that come first are a uniform
 * random sample of all rows.
 */

/** Records of a map at most; one of more rows has a sample of them. */
export const MOST_RECORDS = 2_000_000;
/**
 * Bytes of a record, little-endian: the number of the row (uint32), where it is in units of the side of the map (x, y: float32), its cluster (uint16; K for noise), its
 * confidence and its outlier score (a byte each, from 0 to 1).
 */
export const RECORD = 16;
export const AT = { row: 0, x: 4, y: 8, cluster: 12, confidence: 14, outlier: 15 } as const;
/** The same by four bytes: from one record to the next, and where its x and y are. */
export const WORDS = { record: RECORD / 4, x: AT.x / 4, y: AT.y / 4 } as const;
/** Of numbers of rows and clusters. */
export const [MOST_MAP_ROWS, MOST_MAP_CLUSTERS] = [2 ** 32, 2 ** 16];

export interface MapRow {
  row: number;
  /** From the lower left corner of the map. */
  x: number;
  y: number;
  cluster: number;
  /** 0 … 1. */
  confidence: number;
  outlier: number;
}

const MOST_BYTE = 255;

export function writeRecord(
  into: DataView,
  at: number,
  { row, x, y, cluster, confidence, outlier }: MapRow,
): void {
  into.setUint32(at + AT.row, row, true);
  into.setFloat32(at + AT.x, x, true);
  into.setFloat32(at + AT.y, y, true);
  into.setUint16(at + AT.cluster, cluster, true);
  into.setUint8(at + AT.confidence, Math.round(MOST_BYTE * confidence));
  into.setUint8(at + AT.outlier, Math.round(MOST_BYTE * outlier));
}

export const readRecord = (from: DataView, at: number): MapRow => ({
  row: from.getUint32(at + AT.row, true),
  x: from.getFloat32(at + AT.x, true),
  y: from.getFloat32(at + AT.y, true),
  cluster: from.getUint16(at + AT.cluster, true),
  confidence: from.getUint8(at + AT.confidence) / MOST_BYTE,
  outlier: from.getUint8(at + AT.outlier) / MOST_BYTE,
});

/** What the records of a map are of. */
export interface MapIndex {
  readonly rows: number;
  /** Fewer than rows where they are a sample. */
  readonly records: number;
  /** SHA-256 of the files that it was made from, as run.json has them; null: it has none. */
  readonly of: { readonly map: string | null; readonly labels: string | null };
  /** The map as a whole is a square: its lower left corner and side in the coordinates of map.npy. All other places are in units of this side. */
  readonly box: { readonly x: number; readonly y: number; readonly side: number };
  /** What is shown first: all but a few far rows; left, bottom, right, top. */
  readonly home: readonly number[];
  /** Of each cluster its rows, and where the one nearest to the medians (of a sample) is; null of those without any. */
  readonly places: readonly ({ readonly rows: number; readonly x: number; readonly y: number } | null)[];
}
