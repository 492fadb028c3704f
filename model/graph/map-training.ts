import { product } from '../nets/net.ts';
import { columnSketch, roughLeadingEigen, sketched, unsketched } from '../principal-axes.ts';
import { mapOf } from './map.ts';
import { type MapNet, within } from './map-net.ts';

/** How the net of the map is learned: from the laid-out places of a sample. */

/** Units at most: each row is compared to all of them. */
const MOST_UNITS = 1_024;
/** Axes at most: beyond, there is mostly noise, and rows that are the neighbours of nearly all. */
const MOST_AXES = 32;
/** Columns of which principal axes are found as they are; more are sketched. */
const MOST_COLUMNS = 512;
/** Rows at most: their neighbours are found by comparing all pairs. */
export const LAID_OUT = 2_000;
/** Fewer different rows than these have no layout. */
const FEWEST_ROWS = 4;
/** Units that share a place: 1/Σw² of a unit's weights on the others, in the median. */
const SHARING = 2;
/** Units by which that is measured. */
const MOST_PROBES = 256;
/** How exact principal axes are, relative to the largest eigenvalue. */
const TOLERANCE = 0.03;
/** Widths that are tried, in distances of a unit from the nearest other one, and how often their range is halved. */
const [NARROWEST, WIDEST, HALVINGS] = [0.02, 2, 16];

/**
 * The net of a sample of rows [n,dim], which are laid out, in steps of a few milliseconds. O(n²): for `LAID_OUT` of them. `known`: the places
 * that they have already [n,2].
 */
export function* mapNetOf(rows: Float32Array, dim: number, known?: Float32Array): Generator<void, MapNet> {
  if (dim <= 2 && !known) return planeOf(identity(dim), new Float64Array(dim), dim);
  const { axes, shift, count } = yield* principalAxes(rows, dim);
  const coordinates = along(rows, dim, axes, shift);
  const units = spreadRows(coordinates, count);
  if (units.length < FEWEST_ROWS) return planeOf(axes, shift, dim);
  const laidOut = known ?? (yield* mapOf(coordinates, count));
  const own = rowsOf(coordinates, count, units);
  const width = yield* widthOf(own, count);
  if (!(width > 0)) return planeOf(axes, shift, dim);
  const centre = shift.map((_, p) => medianOf(own.filter((_, at) => at % count === p)));
  return {
    dim,
    axes: Float32Array.from(axes, (value) => value / width),
    shift: Float32Array.from(shift, (value, p) => (value - centre[p]) / width),
    units: Float32Array.from(own, (value, at) => within((value - centre[at % count]) / width)),
    places: Float32Array.from(rowsOf(laidOut, 2, units)),
  };
}

/** Rows `numbers` of [n,width]. */
const rowsOf = (rows: ArrayLike<number>, width: number, numbers: readonly number[]) =>
  Float64Array.from(
    { length: numbers.length * width },
    (_, p) => rows[numbers[Math.floor(p / width)] * width + (p % width)],
  );

const identity = (dim: number) =>
  Float64Array.from({ length: dim * dim }, (_, p) => Number(p % (dim + 1) === 0));

/** The net whose places are the coordinates along the first two axes. */
function planeOf(axes: Float64Array, shift: Float64Array, dim: number): MapNet {
  const [count, p] = [shift.length, Math.min(2, shift.length)];
  return {
    dim,
    axes: Float32Array.from({ length: dim * p }, (_, at) => axes[Math.floor(at / p) * count + (at % p)]),
    shift: Float32Array.from(shift.subarray(0, p)),
    ...{ units: new Float32Array(0), places: new Float32Array(0) },
  };
}

/**
 * What columns count in distances: one of two values at most as much as one standard deviation of the others. Standardized, the values are
 * 1/√(p(1 − p)) apart, and what few rows have would put these on islands of their own, whatever else they have.
 */
function columnWeights(rows: Float32Array, dim: number): Float32Array {
  const n = rows.length / dim;
  return Float32Array.from({ length: dim }, (_, column) => {
    const first = rows[column];
    let other = first;
    for (let i = 1; i < n; i++) {
      const value = rows[i * dim + column];
      if (value === first || value === other) continue;
      if (other !== first) return 1;
      other = value;
    }
    return Math.min(1, 1 / Math.abs(other - first));
  });
}

/** Principal axes of rows with weighted columns [dim,count], and the shift to their mean. */
function* principalAxes(rows: Float32Array, dim: number) {
  const n = rows.length / dim;
  const weights = columnWeights(rows, dim);
  const weighted = rows.map((value, at) => value * weights[at % dim]);
  const sketch = dim > MOST_COLUMNS ? columnSketch(0n, dim, MOST_COLUMNS) : null;
  const own = sketch ? sketched(sketch, weighted) : weighted;
  const d = sketch ? MOST_COLUMNS : dim;
  const count = Math.min(d, MOST_AXES);
  const mean = meanOf(own, d);
  const covariance = new Float64Array(d * d);
  const row = new Float64Array(d);
  for (let i = 0; i < n; i++) {
    if (i % 32 === 0) yield;
    for (let a = 0; a < d; a++) row[a] = own[i * d + a] - mean[a];
    for (let a = 0; a < d; a++) {
      const value = row[a] / n;
      for (let b = 0, p = a * d; b <= a; b++, p++) covariance[p] += value * row[b];
    }
  }
  for (let a = 0; a < d; a++) for (let b = 0; b < a; b++) covariance[b * d + a] = covariance[a * d + b];
  const { vectors } = roughLeadingEigen(covariance, d, count, TOLERANCE);
  yield;
  const transposed = Float32Array.from(
    { length: d * count },
    (_, p) => vectors[(p % count) * d + Math.floor(p / count)],
  );
  const axes = Float64Array.from(
    sketch ? unsketched(sketch, transposed, count) : transposed,
    (value, at) => value * weights[Math.floor(at / count)],
  );
  const centre = meanOf(rows, dim);
  const shift = new Float64Array(count);
  for (let a = 0; a < dim; a++) for (let p = 0; p < count; p++) shift[p] -= centre[a] * axes[a * count + p];
  return { axes, shift, count };
}

function meanOf(rows: Float32Array, dim: number): Float64Array {
  const n = rows.length / dim;
  const mean = new Float64Array(dim);
  for (let p = 0; p < rows.length; p++) mean[p % dim] += rows[p] / n;
  return mean;
}

/** Coordinates of rows [n,dim] along P axes [dim,P]: [n,P]. */
function along(rows: Float32Array, dim: number, axes: Float64Array, shift: Float64Array): Float32Array {
  const [n, count] = [rows.length / dim, shift.length];
  const out = new Float32Array(n * count);
  product(rows, n, dim, Float32Array.from(axes), count, Float32Array.from(shift), false, out);
  return out;
}

/** The numbers of up to `MOST_UNITS` rows that differ, evenly. */
function spreadRows(rows: Float32Array, dim: number): number[] {
  const seen = new Set<string>();
  const different: number[] = [];
  for (let i = 0; i * dim < rows.length; i++) {
    const key = rows.subarray(i * dim, (i + 1) * dim).join();
    if (!seen.has(key)) different.push(i);
    seen.add(key);
  }
  const count = Math.min(MOST_UNITS, different.length);
  return Array.from({ length: count }, (_, i) => different[Math.floor((i * different.length) / count)]);
}

/** The width of units [m,dim], which are all different. */
function* widthOf(units: Float64Array, dim: number): Generator<void, number> {
  const m = units.length / dim;
  const probes = Math.min(m, MOST_PROBES);
  const squared = new Float64Array(probes * m).fill(Infinity);
  const nearest = new Float64Array(probes).fill(Infinity);
  for (let p = 0; p < probes; p++) {
    if (p % 32 === 0) yield;
    const i = Math.floor((p * m) / probes);
    for (let j = 0; j < m; j++) {
      if (j === i) continue;
      let sum = 0;
      for (let a = i * dim, b = j * dim; a < (i + 1) * dim; a++, b++) sum += (units[a] - units[b]) ** 2;
      squared[p * m + j] = sum;
      nearest[p] = Math.min(nearest[p], sum);
    }
  }
  const unit = Math.sqrt(medianOf(nearest));
  let [low, high] = [Math.log(NARROWEST), Math.log(WIDEST)];
  for (let halving = 0; halving < HALVINGS; halving++) {
    yield;
    const middle = (low + high) / 2;
    const by = 2 * (unit * Math.exp(middle)) ** 2;
    const shared = nearest.map((least, p) => {
      let [sum, squares] = [0, 0];
      for (let at = p * m; at < (p + 1) * m; at++) {
        const exponent = (least - squared[at]) / by;
        // Less than the last digit of the sums, in which the nearest has weight 1.
        if (exponent < -45) continue;
        const weight = Math.exp(exponent);
        sum += weight;
        squares += weight * weight;
      }
      return sum ** 2 / squares;
    });
    if (medianOf(shared) < SHARING) low = middle;
    else high = middle;
  }
  return unit * Math.exp(low);
}

const medianOf = (values: Float64Array) => values.slice().sort()[values.length >> 1];
