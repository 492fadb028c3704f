/**
 * Columns that are not continuous. Of any exact value a Gaussian could be as narrow as it likes, so a column of two values and the
 * columns of a category are Bernoulli and categorical within a cluster, independent of the others, with a Dirichlet prior
 * (docs/algorithm.md, section 3). All that is needed of them is in T: first moments of zeros and ones are counts. In a mixture they have
 * their moments, of which the means are the probabilities.
 */
import { gammaln } from 'simple-statistics';
import { type Covariance, statisticsLength } from '../statistics.ts';

/** A column of two values, or m − 1 columns that say which of m categories a row has: the first, where none of them does. */
export interface Category {
  readonly columns: readonly number[];
  /** Of each of these columns the value that says no, in x, and how far the other one is from it. */
  readonly low: readonly number[];
  readonly step: readonly number[];
}

/** A column with one exact value, `at` in x, in a share of its rows: Gaussian, independent of the others, in rows with the larger value of `flag`. */
export interface Spike {
  readonly column: number;
  /** The column, also one of `categories`, that says which rows have another value. */
  readonly flag: number;
  readonly at: number;
}

/** Which of D columns are Gaussian together, ascending, and which are not. */
export interface ColumnKinds {
  readonly continuous: readonly number[];
  readonly categories: readonly Category[];
  readonly spikes: readonly Spike[];
}

/** Rows that the prior has of each category: Jeffreys'. */
const PRIOR_ROWS = 0.5;
/** The least |log θ_j/θ₀|: below it a column says nothing, and the Gaussian in its place would be infinitely wide. */
const LEAST_LOGIT = 1e-6;

export function columnKinds(
  d: number,
  categories: readonly Category[],
  spikes: readonly Spike[] = [],
): ColumnKinds {
  const others = new Set([
    ...categories.flatMap(({ columns }) => columns),
    ...spikes.map(({ column }) => column),
  ]);
  return { continuous: [...Array(d).keys()].filter((i) => !others.has(i)), categories, spikes };
}

/** Those of rows x − by. */
export const movedKinds = (
  { continuous, categories, spikes }: ColumnKinds,
  by: Float64Array,
): ColumnKinds => ({
  continuous,
  spikes: spikes.map((own) => ({ ...own, at: own.at - by[own.column] })),
  categories: categories.map((own) => ({
    ...own,
    low: own.low.map((low, j) => low - by[own.columns[j]]),
  })),
});

/** The entries of a vector [D], or of each row of [n,D], at these places. */
export function entriesAt(values: Float64Array, d: number, places: readonly number[]): Float64Array {
  const out = new Float64Array((values.length / d) * places.length);
  for (let at = 0, o = 0; at < values.length; at += d) for (const i of places) out[o++] = values[at + i];
  return out;
}

/** A vector [D] with these entries at these places, and 0 elsewhere. */
export function spreadAt(values: Float64Array, d: number, places: readonly number[]): Float64Array {
  const out = new Float64Array(d);
  for (const [a, i] of places.entries()) out[i] = values[a];
  return out;
}

/** The rows and columns of a covariance at these places; entries of a diagonal. */
export function blockAt(
  matrix: Float64Array,
  d: number,
  places: readonly number[],
  covariance: Covariance,
): Float64Array {
  if (covariance === 'diag') return entriesAt(matrix, d, places);
  return Float64Array.from(places.flatMap((i) => places.map((j) => matrix[i * d + j])));
}

/** The statistics of these columns, ascending, alone. */
export function statisticsAt(
  T: Float64Array,
  d: number,
  places: readonly number[],
  covariance: Covariance,
): Float64Array {
  const out = new Float64Array(statisticsLength(places.length, covariance));
  out[0] = T[0];
  let p = 1 + places.length;
  for (const [a, i] of places.entries()) {
    out[1 + a] = T[1 + i];
    // Where the row of vech(S) that begins with S_ii does.
    const first = 1 + d + (covariance === 'full' ? i * d - (i * (i - 1)) / 2 : i);
    for (const j of covariance === 'full' ? places.slice(a) : [i]) out[p++] = T[first + j - i];
  }
  return out;
}

/** A covariance without that of discrete columns with any other. */
export function independent({ continuous }: ColumnKinds, matrix: Float64Array, d: number): Float64Array {
  if (matrix.length === d) return matrix;
  const isContinuous = Array.from({ length: d }, (_, i) => continuous.includes(i));
  return matrix.map((value, p) => {
    const [i, j] = [Math.floor(p / d), p % d];
    return i === j || (isContinuous[i] && isContinuous[j]) ? value : 0;
  });
}

/** Free parameters of a cluster, as many as the numbers in T where all columns are Gaussian. */
export const parametersOf = (d: number, covariance: Covariance, kinds?: ColumnKinds): number =>
  kinds
    ? statisticsLength(kinds.continuous.length, covariance) +
      d -
      kinds.continuous.length +
      kinds.spikes.length
    : statisticsLength(d, covariance);

/** Rows of each category, the first one's first. */
function countsOf({ columns, low, step }: Category, T: Float64Array): number[] {
  const counts = columns.map((column, j) => Math.max(0, (T[1 + column] - T[0] * low[j]) / step[j]));
  const others = counts.reduce((sum, count) => sum + count, 0);
  return [Math.max(0, T[0] - others), ...counts];
}

/** The marginal likelihood of the discrete columns, in nats: Dirichlet-multinomial each. */
export function discreteMarginal({ categories }: ColumnKinds, T: Float64Array): number {
  let sum = 0;
  for (const category of categories) {
    const counts = countsOf(category, T);
    const all = counts.length * PRIOR_ROWS;
    sum += gammaln(all) - gammaln(all + counts.reduce((a, b) => a + b, 0));
    for (const count of counts) sum += gammaln(PRIOR_ROWS + count) - gammaln(PRIOR_ROWS);
  }
  return sum;
}

/** A cluster's location: mean [D] and covariance, D×D when full, its diagonal when diag. */
export interface Located {
  readonly mean: Float64Array;
  readonly covariance: Float64Array;
}

/** The category that says which rows are at a spike. */
const flagOf = ({ categories }: ColumnKinds, { flag }: Spike): Category =>
  categories.find(({ columns }) => columns[0] === flag)!;

/** Has the row that starts at `at` the spike's value? */
export function isAtSpike(kinds: ColumnKinds, spike: Spike, rows: Float64Array, at: number): boolean {
  const { low, step } = flagOf(kinds, spike);
  return (rows[at + spike.flag] - low[0]) / step[0] < 0.5;
}

/** T of the other values of a spiked column alone: those of rows without them add nothing to sums of x − at. */
export function spikeStatistics(
  spike: Spike,
  kinds: ColumnKinds,
  T: Float64Array,
  d: number,
  covariance: Covariance,
): Float64Array {
  const { column, at } = spike;
  const n = countsOf(flagOf(kinds, spike), T)[1];
  const [all, sum, squares] = statisticsAt(T, d, [column], covariance);
  const about = sum - all * at;
  return Float64Array.of(
    n,
    about + n * at,
    Math.max(0, squares - 2 * at * sum + all * at * at) + 2 * at * about + n * at * at,
  );
}

/** Mean and covariance of all columns, by those of the continuous ones, and posterior means of the categories' probabilities. */
export function withDiscrete(
  { continuous, categories, spikes }: ColumnKinds,
  T: Float64Array,
  of: Located,
  ofSpikes: readonly Located[],
  covariance: Covariance,
): Located {
  const c = continuous.length;
  const d = c + categories.reduce((sum, { columns }) => sum + columns.length, spikes.length);
  const isFull = covariance === 'full';
  const out = { mean: new Float64Array(d), covariance: new Float64Array(isFull ? d * d : d) };
  for (const [a, i] of continuous.entries()) {
    out.mean[i] = of.mean[a];
    if (isFull)
      for (const [b, j] of continuous.entries()) out.covariance[i * d + j] = of.covariance[a * c + b];
    else out.covariance[i] = of.covariance[a];
  }
  for (const [s, { column }] of spikes.entries()) {
    out.mean[column] = ofSpikes[s].mean[0];
    out.covariance[isFull ? column * (d + 1) : column] = ofSpikes[s].covariance[0];
  }
  for (const category of categories) {
    const counts = countsOf(category, T).map((count) => count + PRIOR_ROWS);
    const total = counts.reduce((sum, count) => sum + count, 0);
    for (const [j, i] of category.columns.entries()) {
      const share = counts[j + 1] / total;
      out.mean[i] = category.low[j] + share * category.step[j];
      out.covariance[isFull ? i * (d + 1) : i] = share * (1 - share) * category.step[j] ** 2;
    }
  }
  return out;
}

/**
 * The Gaussian with the same log-density as a cluster, up to `constant`, in all rows: a category's log p(z) = log θ₀ + Σ_j l_j·z_j, with
 * l_j = log θ_j/θ₀, and for z_j of 0 or 1 l·z = max(l, 0) − ½·2|l|·(z − [l > 0])², a Gaussian of mean 0 or 1 and precision 2|l|.
 * `constant` is less what the normalising factors of these add. In rows at a spike the Gaussian of that column would count log σ + g, g the
 * square of the spike's distance over 2σ²: it is taken from the flag's l, and added to the constant.
 */
export function asGaussian(
  kinds: ColumnKinds | undefined,
  of: Located,
  covariance: Covariance,
): Located & { constant: number } {
  if (!kinds) return { ...of, constant: 0 };
  const out = { mean: of.mean.slice(), covariance: of.covariance.slice() };
  const stride = covariance === 'full' ? of.mean.length + 1 : 1;
  let constant = 0;
  for (const category of kinds.categories) {
    const [none, ...shares] = sharesOf(category, of.mean);
    const spike = kinds.spikes.find(({ flag }) => flag === category.columns[0]);
    let apart = 0;
    if (spike) {
      const variance = of.covariance[spike.column * stride];
      apart = Math.log(variance) / 2 + (of.mean[spike.column] - spike.at) ** 2 / (2 * variance);
    }
    constant += Math.log(none) + apart;
    for (const [j, i] of category.columns.entries()) {
      const logit = Math.log(shares[j] / none) - apart;
      const precision = 2 * Math.max(LEAST_LOGIT, Math.abs(logit));
      const step = category.step[j];
      out.mean[i] = category.low[j] + (logit > 0 ? step : 0);
      out.covariance[i * stride] = step ** 2 / precision;
      constant += Math.max(0, logit) - (Math.log(precision) - Math.log(step ** 2)) / 2;
    }
  }
  return { ...out, constant };
}

/**
 * The Gaussian by which distances from a cluster are measured: a category adds the deviance of a row's from the most frequent one's, or, where that
 * is not the first one, that of having any other. A spiked column has the moments of all its values.
 */
export function asDistance(kinds: ColumnKinds, of: Located, covariance: Covariance): Located {
  const out = { mean: of.mean.slice(), covariance: of.covariance.slice() };
  const stride = covariance === 'full' ? of.mean.length + 1 : 1;
  for (const category of kinds.categories) {
    const shares = sharesOf(category, of.mean);
    const mode = shares.indexOf(Math.max(...shares));
    for (const [j, i] of category.columns.entries()) {
      const isMode = mode === j + 1;
      const other = mode === 0 ? shares[j + 1] : Math.min(shares[mode], 1 - shares[mode]);
      const deviance = mode === 0 || isMode ? 2 * Math.log(shares[mode] / other) : 0;
      out.mean[i] = category.low[j] + (isMode ? category.step[j] : 0);
      out.covariance[i * stride] = category.step[j] ** 2 / Math.max(LEAST_LOGIT, deviance);
    }
  }
  for (const spike of kinds.spikes) {
    const { column, at } = spike;
    const share = sharesOf(flagOf(kinds, spike), of.mean)[1];
    const distance = of.mean[column] - at;
    out.mean[column] = at + share * distance;
    out.covariance[column * stride] = share * (of.covariance[column * stride] + (1 - share) * distance ** 2);
  }
  return out;
}

/** The covariance of a cluster, with the variance of its other values alone for each column with a spike. */
export function varianceBesideSpikes(
  kinds: ColumnKinds,
  T: Float64Array,
  spread: Float64Array,
  d: number,
  covariance: Covariance,
): Float64Array {
  const out = spread.slice();
  for (const spike of kinds.spikes) {
    const [n, s, q] = spikeStatistics(spike, kinds, T, d, covariance);
    if (n > 0) out[spike.column * (covariance === 'full' ? d + 1 : 1)] = Math.max(0, q / n - (s / n) ** 2);
  }
  return out;
}

/** The probabilities of a category, the first one's first. */
function sharesOf({ columns, low, step }: Category, mean: Float64Array): number[] {
  const shares = columns.map((column, j) => Math.max(Number.MIN_VALUE, (mean[column] - low[j]) / step[j]));
  return [Math.max(Number.MIN_VALUE, 1 - shares.reduce((sum, share) => sum + share, 0)), ...shares];
}
