/** Whether the values of a column are better described by their logarithms. */

/** Fewer values may look like anything. */
const ENOUGH = 50;
/** A column is not continuous in which one value is as frequent as this share, or this number where that is more. */
const [FREQUENT_SHARE, FREQUENT] = [0.01, 5];
/** Components that are tried: a skewed tail takes about six. */
const MOST_COMPONENTS = 8;
/** Components beyond the best number so far that are tried too. */
const PATIENCE = 2;
const EM_STEPS = 60;
/** Nats below which another step is not worth it. */
const SETTLED = 0.05;
/** Least variance of a component, relative to that of all values: one of no width would explain its value without limit. */
const LEAST_VARIANCE = 1e-4;
/** Means, variances and weights: three numbers a component, and weights add up to 1. */
const parameters = (k: number) => 3 * k - 1;

/**
 * Do logarithms explain these values better? By BIC, the best mixture of Gaussians of log x, times the Jacobian 1/x, against that
 * of x, so that several clusters, whose values may be skewed together, are no reason; and by one Gaussian of each, without which it
 * is no tail. Each has to gain 2·log n nats, the charge for four parameters. False unless all are positive, and continuous.
 * In steps of some milliseconds.
 */
export function* isSkewed(values: ArrayLike<number>): Generator<void, boolean> {
  const n = values.length;
  const x = Float64Array.from(values).sort();
  if (n < ENOUGH || !(x[0] > 0) || !(x[n - 1] < Infinity)) return false;
  if (mostFrequent(x) > Math.max(FREQUENT, FREQUENT_SHARE * n)) return false;
  const log = x.map(Math.log);
  const [own, logged] = [standardized(x), standardized(log)];
  const jacobian = log.reduce((sum, value) => sum + value, 0);
  const asOne = n * (Math.log(own.deviation) - Math.log(logged.deviation)) - jacobian;
  const margin = 2 * Math.log(n);
  if (!(asOne > margin)) return false;
  return asOne + (yield* bestScore(logged.values)) - (yield* bestScore(own.values)) > margin;
}

/** How often the most frequent of sorted values occurs. */
function mostFrequent(sorted: Float64Array): number {
  let most = 0;
  for (let i = 0, first = 0; i < sorted.length; i++) {
    if (sorted[i] !== sorted[first]) first = i;
    most = Math.max(most, i - first + 1);
  }
  return most;
}

function standardized(values: Float64Array) {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n);
  return { deviation, values: values.map((value) => (value - mean) / deviation) };
}

/** The log-likelihood of the best mixture, less half of log n for each parameter. */
function* bestScore(sorted: Float64Array): Generator<void, number> {
  let [best, of] = [-Infinity, 0];
  for (let k = 1; k <= MOST_COMPONENTS && k <= of + PATIENCE + 1; k++) {
    const score = logLikelihood(sorted, k) - (parameters(k) / 2) * Math.log(sorted.length);
    if (score > best) [best, of] = [score, k];
    yield;
  }
  return best;
}

/** Of sorted values of variance 1 under a mixture of k Gaussians, by EM from k parts of equal size. */
function logLikelihood(sorted: Float64Array, k: number): number {
  const n = sorted.length;
  const parts = Array.from({ length: k }, (_, j) =>
    sorted.subarray(Math.round((j * n) / k), Math.round(((j + 1) * n) / k)),
  );
  const weight = Float64Array.from(parts, ({ length }) => length / n);
  const mean = Float64Array.from(parts, (part) => part.reduce((sum, v) => sum + v, 0) / part.length);
  const variance = Float64Array.from(parts, (part, j) =>
    Math.max(LEAST_VARIANCE, part.reduce((sum, v) => sum + (v - mean[j]) ** 2, 0) / part.length),
  );
  const density = new Float64Array(k);
  let before = -Infinity;
  for (let step = 0; ; step++) {
    const [r, rv, rvv] = [new Float64Array(k), new Float64Array(k), new Float64Array(k)];
    const height = weight.map((w, j) => w / Math.sqrt(2 * Math.PI * variance[j]));
    let total = 0;
    for (const v of sorted) {
      let sum = Number.MIN_VALUE;
      for (let j = 0; j < k; j++)
        sum += density[j] = height[j] * Math.exp((-0.5 * (v - mean[j]) ** 2) / variance[j]);
      total += Math.log(sum);
      for (let j = 0; j < k; j++) {
        const share = density[j] / sum;
        r[j] += share;
        rv[j] += share * (v - mean[j]);
        rvv[j] += share * (v - mean[j]) ** 2;
      }
    }
    if (step === EM_STEPS || total - before < SETTLED) return total;
    before = total;
    for (let j = 0; j < k; j++) {
      weight[j] = r[j] / n;
      if (r[j] === 0) continue;
      const shift = rv[j] / r[j];
      mean[j] += shift;
      variance[j] = Math.max(LEAST_VARIANCE, rvv[j] / r[j] - shift * shift);
    }
  }
}
