import { generator, type Seed } from './random.ts';

/**
 * A random linear map from many columns to fewer that nearly keeps distances (Kane & Nelson, *Sparser Johnson–Lindenstrauss
 * transforms*, J. ACM 61, 2014): each column is added to a few of the new ones, with random signs. So the covariance of very many
 * columns need not be formed to find the axes along which rows differ most.
 */
export interface Sketch {
  readonly width: number;
  /** New columns of each column, [columns,PLACES], and the factors ±1/√PLACES. */
  readonly place: Int32Array;
  readonly factor: Float32Array;
}

const PLACES = 4;

/** Depends on seed, columns and width alone. */
export function columnSketch(seed: Seed, columns: number, width: number): Sketch {
  const rng = generator(seed, 'sketch', columns, width);
  const place = new Int32Array(columns * PLACES);
  const factor = new Float32Array(columns * PLACES);
  // One place in each of as many equal parts of the new columns: a column's places differ.
  const part = Math.floor(width / PLACES);
  for (let p = 0; p < place.length; p++) {
    place[p] = (p % PLACES) * part + rng.below(part);
    factor[p] = (rng.below(2) ? 1 : -1) / Math.sqrt(PLACES);
  }
  return { width, place, factor };
}

/** Rows [n,columns] → [n,width]. */
export function sketched({ width, place, factor }: Sketch, rows: Float32Array): Float32Array {
  const columns = place.length / PLACES;
  const n = rows.length / columns;
  const out = new Float32Array(n * width);
  for (let i = 0; i < n; i++)
    for (let j = 0, p = 0; j < columns; j++) {
      const value = rows[i * columns + j];
      for (let end = p + PLACES; p < end; p++) out[i * width + place[p]] += factor[p] * value;
    }
  return out;
}

/** Weights [width,d] of sketched rows as weights [columns,d] of the rows themselves. */
export function unsketched({ place, factor }: Sketch, weights: Float32Array, d: number): Float32Array {
  const columns = place.length / PLACES;
  const out = new Float32Array(columns * d);
  for (let j = 0; j < columns; j++)
    for (let p = j * PLACES; p < (j + 1) * PLACES; p++)
      for (let a = 0; a < d; a++) out[j * d + a] += factor[p] * weights[place[p] * d + a];
  return out;
}
