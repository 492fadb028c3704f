/**
 * How much better than a Gaussian a cluster is described by models of a single cluster: a generalised multivariate t, whose tails may be
 * heavy or cut off, and independent symmetric components. Parts of a cluster have to gain more, or Gaussians would follow the shape of
 * any density that is not one (docs/algorithm.md, section 6).
 */
import { gammaln } from 'simple-statistics';
import { logDet, squaredNorm, whitenedRows, whitener } from '../linalg.ts';
import { mean, scatter, softStatistics } from '../statistics.ts';
import { entriesAt, isAtSpike } from './columns.ts';
import { straightened } from './curvature.ts';
import { gaussianPart, type Niw, priorAt } from './niw.ts';
import { fourthMomentAxes, projections } from './starts.ts';

/** Shapes β and tails p of the generalised t, density ∝ (1 + (ρ²)^β/q)^−(D/2β + p): β = 1 is a t, p → ∞ an exponential power law. */
const SHAPES = [0.4, 0.6, 0.8, 1, 1.4, 2, 4, 10];
const TAILS = [0.75, 1, 1.5, 2.5, 5, 15, 100];
/** Degrees of freedom of the t that estimates centre and covariance; Infinity: a Gaussian. */
const ESTIMATES = [Infinity, 6, 2];
const EM_PASSES = 12;
/** Radii are replaced by the means of as many groups, in order. */
const GROUPS = 256;
/** Shapes of a component along an axis, density ∝ exp(−|x/s|^β). */
const POWERS = [1, 1.5, 3, 4, 6, 9, 14, 24, 48];
const SWEEPS = 2;
/** Squares of components of variance 1 count as no less, as equal values in half of the rows would gain without end. */
const NARROWEST = 1e-4;
/** Values of a column with a spike that have a shape. */
const LEAST_OTHERS = 10;

/**
 * The gain in nats, of rows [n,D] that stand for `count` rows: likelihood beyond one Gaussian's, less ½·log for each further parameter; at
 * least 0. All covariances are posterior means, as columns may be constant in a cluster. Columns that are not Gaussian have no other shape.
 */
export function singleClusterGain(rows: Float64Array, prior: Niw, count: number): number {
  const { d, covariance, kinds } = prior;
  if (kinds) {
    const own = kinds.continuous.length
      ? singleClusterGain(entriesAt(rows, d, kinds.continuous), gaussianPart(prior, kinds), count)
      : 0;
    return kinds.spikes.reduce((sum, spike) => {
      const others = entriesAt(rows, d, [spike.column]).filter(
        (_, i) => !isAtSpike(kinds, spike, rows, i * d),
      );
      if (others.length < LEAST_OTHERS) return sum;
      const share = (others.length * d) / rows.length;
      return sum + singleClusterGain(others, priorAt(prior, [spike.column]), share * count);
    }, own);
  }
  const n = rows.length / d;
  const half = Math.log(count) / 2;
  const angles = (d * (d - 1)) / 2;
  const gaussian = located(rows, prior, new Float64Array(n).fill(1));
  const full = gaussianLikelihood(rows, d, gaussian);
  // With diagonal covariances a Gaussian whose columns are correlated is another model.
  const isDiagonal = covariance === 'diag';
  const base = isDiagonal ? gaussianLikelihood(rows, d, uncorrelated(gaussian, d)) : full;
  const factor = count / n;
  const gainOf = (of: Float64Array, at: Location, parameters: number) => {
    const own = of === rows ? full : gaussianLikelihood(of, d, at);
    const correlated = parameters + (isDiagonal ? angles : 0);
    return Math.max(
      factor * (own - base) - correlated * half,
      factor * (ellipticalLikelihood(of, prior, at) - base) - (correlated + 3) * half,
      factor * (own - base) + componentsGain(of, d, at, factor, half) - (parameters + angles) * half,
    );
  };
  const bent = straightened(rows, gaussian, factor, half);
  const straight = bent
    ? gainOf(bent.rows, located(bent.rows, prior, new Float64Array(n).fill(1)), bent.parameters)
    : 0;
  return Math.max(0, gainOf(rows, gaussian, 0), straight);
}

const uncorrelated = ({ mean: centre, covariance }: Location, d: number): Location => ({
  mean: centre,
  covariance: covariance.map((value, p) => (p % (d + 1) === 0 ? value : 0)),
});

function gaussianLikelihood(rows: Float64Array, d: number, at: Location): number {
  const n = rows.length / d;
  const squares = squaredRadii(rows, d, at).reduce((sum, value) => sum + value, 0);
  return -(n * d * Math.log(2 * Math.PI) + n * logDet(at.covariance, d) + squares) / 2;
}

interface Location {
  mean: Float64Array;
  covariance: Float64Array;
}

/** Mean and covariance of weighted rows; the weights of a multivariate t do not sum to n, by which it divides. */
function located(rows: Float64Array, { d, covariance, psi, nu }: Niw, weights: Float64Array): Location {
  const T = softStatistics(rows, d, weights, 1, 'full')[0];
  const spread = scatter(T, d, 'full');
  const count = rows.length / d + nu - d - 1;
  const own = (p: number) => (covariance === 'full' ? psi[p] : p % (d + 1) === 0 ? psi[p / (d + 1)] : 0);
  return { mean: mean(T, d), covariance: spread.map((value, p) => (value + own(p)) / count) };
}

/** Squared distances of rows from the mean, in the metric of the covariance. */
function squaredRadii(rows: Float64Array, d: number, { mean: centre, covariance }: Location): Float64Array {
  const inverse = whitener(covariance, d, 'full');
  const y = new Float64Array(d);
  return Float64Array.from({ length: rows.length / d }, (_, i) => {
    for (let a = 0; a < d; a++) y[a] = rows[i * d + a] - centre[a];
    return Math.max(squaredNorm(inverse, y), 1e-12);
  });
}

/** The log-likelihood of the best generalised t. */
function ellipticalLikelihood(rows: Float64Array, prior: Niw, gaussian: Location): number {
  const { d } = prior;
  let best = -Infinity;
  for (const freedom of ESTIMATES) {
    let at = gaussian;
    let squares = squaredRadii(rows, d, at);
    for (let pass = 0; freedom < Infinity && pass < EM_PASSES; pass++) {
      at = located(
        rows,
        prior,
        squares.map((square) => (freedom + d) / (freedom + square)),
      );
      squares = squaredRadii(rows, d, at);
    }
    best = Math.max(best, radialLikelihood(squares, d) - (squares.length / 2) * logDet(at.covariance, d));
  }
  return best;
}

/** The log-likelihood of squared radii under the best generalised t of unit determinant. */
function radialLikelihood(squares: Float64Array, d: number): number {
  const n = squares.length;
  const sorted = squares.slice().sort();
  const groups = Math.min(GROUPS, n);
  const edge = (g: number) => Math.floor((g * n) / groups);
  const rows = Float64Array.from({ length: groups }, (_, g) => edge(g + 1) - edge(g));
  const radii = Float64Array.from({ length: groups }, (_, g) => {
    let sum = 0;
    for (let i = edge(g); i < edge(g + 1); i++) sum += sorted[i];
    return sum / rows[g];
  });
  let best = -Infinity;
  for (const shape of SHAPES) {
    const powers = radii.map((radius) => radius ** shape);
    const a = d / (2 * shape);
    for (const tail of TAILS) {
      const constant =
        Math.log(shape) +
        gammaln(d / 2) -
        (d / 2) * Math.log(Math.PI) -
        (gammaln(a) + gammaln(tail) - gammaln(a + tail));
      const at = (logScale: number) => {
        const inverse = Math.exp(-logScale);
        let sum = 0;
        for (let g = 0; g < groups; g++) sum += rows[g] * Math.log1p(powers[g] * inverse);
        return n * (constant - a * logScale) - (a + tail) * sum;
      };
      const middle = Math.log((powers[groups >> 1] * Math.max(tail, 0.5)) / a);
      best = Math.max(best, largest(at, middle - 4, middle + 4));
    }
  }
  return best;
}

const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** The largest value of a function with one maximum in an interval, by golden section. */
function largest(f: (x: number) => number, from: number, to: number): number {
  let [low, high] = [from, to];
  let [a, b] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
  let [fa, fb] = [f(a), f(b)];
  for (let step = 0; step < 12; step++)
    if (fa < fb) {
      [low, a, fa] = [a, b, fb];
      b = low + GOLDEN * (high - low);
      fb = f(b);
    } else {
      [high, b, fb] = [b, a, fa];
      a = high - GOLDEN * (high - low);
      fa = f(a);
    }
  return Math.max(fa, fb);
}

/**
 * The gain of independent components along axes over Gaussians, each ∝ exp(−|x/s|^β) or a generalised t: all Laplace-like components, for example,
 * describe columns with tails of a power law far worse than a mixture does. Axes by FOBI (Cardoso 1989), then turned pair by pair to where fourth
 * cumulants are largest: FOBI alone cannot tell apart components of equal kurtosis, as of a square.
 */
function componentsGain(
  rows: Float64Array,
  d: number,
  { mean: centre, covariance }: Location,
  factor: number,
  half: number,
): number {
  const u = whitenedRows(rows, centre, whitener(covariance, d, 'full'));
  const components = fourthMomentAxes(u, d).map((axis) => projections(u, d, axis));
  for (let sweep = 0; sweep < SWEEPS; sweep++)
    for (let a = 1; a < d; a++) for (let b = 0; b < a; b++) turn(components[a], components[b]);
  return components.reduce((sum, component) => {
    const { power, tails } = shapeGains(component);
    return sum + Math.max(factor * power - half, factor * tails - 2 * half);
  }, 0);
}

/** Turns two components of variance 1, in place, to where the sum of their absolute excess kurtoses is largest. */
function turn(x: Float64Array, y: Float64Array): void {
  const n = x.length;
  let [xxxx, xxxy, xxyy, xyyy, yyyy] = [0, 0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [p, q] = [x[i] * x[i], y[i] * y[i]];
    const xy = x[i] * y[i];
    xxxx += p * p;
    xxxy += p * xy;
    xxyy += p * q;
    xyyy += q * xy;
    yyyy += q * q;
  }
  // The sum of both fourth moments changes with the fourth harmonic of the angle: arg E(x + iy)⁴.
  const angle = Math.atan2(4 * (xxxy - xyyy), xxxx - 6 * xxyy + yyyy) / 4;
  const kurtosis = (c: number, s: number) =>
    (c ** 4 * xxxx +
      4 * c ** 3 * s * xxxy +
      6 * c * c * s * s * xxyy +
      4 * c * s ** 3 * xyyy +
      s ** 4 * yyyy) /
      n -
    3;
  const contrast = (by: number) => {
    const [c, s] = [Math.cos(by), Math.sin(by)];
    return Math.abs(kurtosis(c, s)) + Math.abs(kurtosis(-s, c));
  };
  const best = [angle, angle + Math.PI / 4].reduce((one, other) =>
    contrast(other) > contrast(one) ? other : one,
  );
  if (!(contrast(best) > contrast(0))) return;
  const [c, s] = [Math.cos(best), Math.sin(best)];
  for (let i = 0; i < n; i++) [x[i], y[i]] = [c * x[i] + s * y[i], c * y[i] - s * x[i]];
}

/** What the best exponential power law and the best generalised t gain over a Gaussian, all about 0. */
function shapeGains(values: Float64Array): { power: number; tails: number } {
  const n = values.length;
  const squares = values.map((value) => Math.max(value * value, NARROWEST));
  const sum = squares.reduce((a, b) => a + b, 0);
  if (!(sum > 0)) return { power: 0, tails: 0 };
  const gaussian = -(n / 2) * (Math.log((2 * Math.PI * sum) / n) + 1);
  const most = Math.sqrt(squares.reduce((a, b) => Math.max(a, b), 0));
  const powers = POWERS.map((power) => {
    const total = values.reduce((own, value) => own + (Math.abs(value) / most) ** power, 0);
    const logScale = Math.log(most) + (Math.log(power) + Math.log(total / n)) / power;
    return n * (Math.log(power / 2) - logScale - gammaln(1 / power) - 1 / power);
  });
  return { power: Math.max(gaussian, ...powers) - gaussian, tails: radialLikelihood(squares, 1) - gaussian };
}
