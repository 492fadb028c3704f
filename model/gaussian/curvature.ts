import { cholesky, dot, invertLower, symmetricEigen, whitened, whitenedRows } from '../linalg.ts';

/** A bent cluster, straightened: along an axis that curves, each row is moved by a quadratic function of the other axes. */

/** Axes are sought among so many columns at most. */
const MOST_COLUMNS = 8;
/** Turns of an axis towards what the others explain best. */
const TURNS = 10;
/** Share of its square that is added to each feature's, so that the equations have one solution. */
const RIDGE = 1e-9;

/** Rows of a straightened cluster, which has the same volume. */
export interface Straightened {
  rows: Float64Array;
  /** Parameters of the quadratic functions. */
  parameters: number;
}

/**
 * Straightens a cluster axis by axis: first that with the largest third moments, as long as what the others explain along it gains enough.
 * Null: it is not bent.
 *
 * @param rows [n,D]
 * @param times rows that each of these stands for
 * @param cost nats that each parameter has to gain
 */
export function straightened(
  rows: Float64Array,
  { mean, covariance }: { mean: Float64Array; covariance: Float64Array },
  times: number,
  cost: number,
): Straightened | null {
  const d = mean.length;
  if (d < 2 || d > MOST_COLUMNS) return null;
  const n = rows.length / d;
  const root = cholesky(covariance, d)!;
  const inverse = invertLower(root, d);
  const z = whitenedRows(rows, mean, inverse);
  let parameters = 0;
  let axes: Float64Array[] = Array.from({ length: d }, (_, a) =>
    Float64Array.from({ length: d }, (_, b) => (a === b ? 1 : 0)),
  );
  while (axes.length > 1) {
    let best = bendAlong(z, d, turnedToBend(z, d, axes));
    for (let turn = 0, last = best; turn < TURNS; turn++) {
      last = bendAlong(z, d, turnedTowards(z, d, last));
      if (last.explained > best.explained) best = last;
    }
    const {
      axes: [bent, ...others],
      features,
      fitted,
      explained,
    } = best;
    if (!(-(times * n * Math.log1p(-explained)) / 2 > cost * features.length)) break;
    parameters += features.length;
    for (let i = 0; i < n; i++) for (let a = 0; a < d; a++) z[i * d + a] -= fitted[i] * bent[a];
    axes = others;
  }
  if (!parameters) return null;
  const out = new Float64Array(rows.length);
  for (let at = 0; at < z.length; at += d)
    out.set(
      whitened(root, z.subarray(at, at + d)).map((value, a) => value + mean[a]),
      at,
    );
  return { rows: out, parameters };
}

/** An axis and others, and what follows along it from the others' squares and products. */
interface Bend {
  axes: Float64Array[];
  features: Float64Array[];
  fitted: Float64Array;
  explained: number;
}

function bendAlong(z: Float64Array, d: number, axes: Float64Array[]): Bend {
  const [bent, ...others] = axes;
  const coordinates = others.map((axis) => along(z, d, axis));
  const features = coordinates.flatMap((x, b) =>
    coordinates.slice(b).map((y) => centred(x.map((value, i) => value * y[i]))),
  );
  return { axes, features, ...regression(features, centred(along(z, d, bent))) };
}

/**
 * Axes of which the first has turned a third of the way to where rows are moved by what follows: an axis that is off by a small angle is off
 * by twice that, the other way, there.
 */
function turnedTowards(z: Float64Array, d: number, { axes, fitted }: Bend): Float64Array[] {
  const toward = axes.map((axis) => dot(along(z, d, axis), fitted));
  const length = Math.hypot(...toward) || 1;
  const first = new Float64Array(d);
  for (const [j, axis] of axes.entries())
    for (let b = 0; b < d; b++) first[b] += ((j ? 0 : 2) + toward[j] / length) * axis[b];
  const out: Float64Array[] = [];
  for (const axis of [first, ...axes.slice(1)]) {
    const own = axis.slice();
    for (const other of out) {
      const by = dot(own, other);
      for (let b = 0; b < d; b++) own[b] -= by * other[b];
    }
    const norm = Math.sqrt(dot(own, own));
    out.push(own.map((value) => value / norm));
  }
  return out;
}

const along = (z: Float64Array, d: number, axis: Float64Array): Float64Array =>
  Float64Array.from({ length: z.length / d }, (_, i) => dot(axis, z.subarray(i * d, (i + 1) * d)));

function centred(values: Float64Array): Float64Array {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.map((value) => value - mean);
}

/** The same space by other axes, the first of which has the largest third moments with all: Σ_bc E[z_a·z_b·z_c]². */
function turnedToBend(z: Float64Array, d: number, axes: Float64Array[]): Float64Array[] {
  const m = axes.length;
  const coordinates = axes.map((axis) => along(z, d, axis));
  const n = coordinates[0].length;
  const third = new Float64Array(m ** 3);
  for (let a = 0; a < m; a++)
    for (let b = 0; b <= a; b++) {
      const products = coordinates[a].map((value, i) => value * coordinates[b][i]);
      for (let c = 0; c < m; c++)
        third[(a * m + b) * m + c] = third[(b * m + a) * m + c] = dot(products, coordinates[c]) / n;
    }
  const G = new Float64Array(m * m);
  for (let a = 0; a < m; a++)
    for (let b = 0; b < m; b++)
      G[a * m + b] = dot(
        third.subarray(a * m * m, (a + 1) * m * m),
        third.subarray(b * m * m, (b + 1) * m * m),
      );
  const { vectors } = symmetricEigen(G, m);
  return Array.from({ length: m }, (_, j) => {
    const out = new Float64Array(d);
    for (let a = 0; a < m; a++) for (let b = 0; b < d; b++) out[b] += vectors[j * m + a] * axes[a][b];
    return out;
  });
}

/** Least squares of values on features, all about their means; the share of the variance that is explained. */
function regression(
  features: Float64Array[],
  values: Float64Array,
): { fitted: Float64Array; explained: number } {
  const p = features.length;
  const A = new Float64Array(p * p);
  for (let a = 0; a < p; a++) {
    for (let b = 0; b <= a; b++) A[a * p + b] = A[b * p + a] = dot(features[a], features[b]);
    A[a * p + a] += RIDGE * A[a * p + a] + Number.MIN_VALUE;
  }
  const root = cholesky(A, p);
  if (!root) return { fitted: new Float64Array(values.length), explained: 0 };
  const inverse = invertLower(root, p);
  const half = whitened(
    inverse,
    Float64Array.from(features, (feature) => dot(feature, values)),
  );
  const fitted = new Float64Array(values.length);
  for (let a = 0; a < p; a++) {
    let beta = 0;
    for (let b = a; b < p; b++) beta += inverse[b * p + a] * half[b];
    for (let i = 0; i < fitted.length; i++) fitted[i] += beta * features[a][i];
  }
  return { fitted, explained: dot(half, half) / dot(values, values) };
}
