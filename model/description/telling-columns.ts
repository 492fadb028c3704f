import type { TellingColumn } from './names.ts';
import { tidyName } from './names.ts';

/**
 * Names of clusters by the columns that set them apart, such as `high income, low age, region = north`: for each cluster, and each join of
 * the tree, what its rows have that all others, and those of the branch beside it, do not. All of it is by ranks and shares, so that no
 * single row and no unit of a column changes a name.
 */

/** A column as people know it: of numbers, or of categories, each but the first of which has a column of 0 and 1. */
export interface Variable {
  name: string;
  /** From 0. */
  columns: readonly number[];
  /** Of a column of categories these, in the order of `columns` but for the first, which has none; '' is a missing value. */
  categories?: readonly string[];
}

/** Some rows of each cluster, drawn at random. */
export interface ColumnSample {
  /** [n, dim], NaN where a value is missing. */
  values: Float32Array;
  dim: number;
  /** The cluster of each. */
  clusters: ArrayLike<number>;
  /** Rows of each cluster, for which those drawn stand. */
  sizes: readonly number[];
}

/** Values that are told apart; more are grouped by quantiles of the sample. */
const BINS = 128;
/**
 * The largest difference of two distribution functions, from which a column sets rows apart: that of two normal distributions whose means
 * are a standard deviation apart, 2Φ(1/2) − 1.
 */
const LEAST_GAP = 0.383;
/** Rows are high in a column of which so many of them are above the median of the others, and so many of these below theirs. */
const LEAST_ABOVE = 0.75;
/** How many times as frequent a category has to be, at least. */
const LEAST_RATIO = 1.5;
/** The chance that any name of a run has a column which sets nothing apart, at most. */
const MOST_CHANCE = 1e-3;
/** Gaps that differ by less are alike. */
const ALIKE = 0.1;
/** Columns that correlate so within clusters say the same. */
const COPIES = 0.9;
/** Columns that are kept for each node, and those in a name. */
const [MOST_KEPT, MOST_NAMED] = [5, 3];
/** Characters of a column's name, or of a category, in that of a cluster. */
const MOST_OF_COLUMN = 24;

interface Telling extends TellingColumn {
  variable: number;
  /** The gap to all others, and that to the branch beside it, each to a tenth. */
  score: number;
  /** Difference of the medians in interquartile ranges, or of shares. */
  difference: number;
}

/** Names for each cluster, then for each join, in order of preference; none where nothing sets it apart. */
export const columnNames = (...input: Parameters<typeof tellingColumns>): string[][] =>
  tellingColumns(...input).map(namesOf);

/**
 * The columns that tell each cluster, then each join, from all others, up to five, the most telling one first.
 *
 * @param joins of two nodes each: clusters, or K + j of join j
 */
export function tellingColumns(
  variables: readonly Variable[],
  sample: ColumnSample,
  joins: readonly { a: number; b: number }[],
): TellingColumn[][] {
  const k = sample.sizes.length;
  const sibling = siblingsOf(k, joins);
  const drawn = countsOf(sample, k);
  const weights = sample.sizes.map((size, c) => (drawn[c] ? size / drawn[c] : 0));
  const tests = variables.length * (k + joins.length);
  const codes: Uint16Array[] = [];
  const found: Telling[][] = sibling.map(() => []);
  for (const [variable, about] of variables.entries()) {
    const coded = about.categories
      ? codedCategories(about.columns, about.categories, sample)
      : codedNumbers(about.columns[0], sample);
    codes.push(coded.codes);
    const nodes = histograms(coded, sample, weights, joins);
    const all = sumOf(nodes.slice(0, k));
    const scale = coded.values ? spreadOf(all, coded.values) : 1;
    if (!(scale > 0 && all.present > 0)) continue;
    const name = tidyName(about.name, MOST_OF_COLUMN);
    for (const [node, own] of nodes.entries()) {
      const others = without(all, own);
      if (!(own.all > 0 && others.all > 1e-9 * all.all)) continue;
      const beside = sibling[node] === null ? null : nodes[sibling[node]];
      const telling = tellingOf(name, coded, own, others, beside, scale, tests);
      if (telling) found[node].push({ variable, ...telling });
    }
  }
  const areCopies = copiesAmong(codes, variables, sample, k);
  return found.map((all) =>
    chosen(all, areCopies).map(({ text, measure, own, others }) => ({ text, measure, own, others })),
  );
}

/** The other branch of the join that each node is in; null for the root. */
function siblingsOf(k: number, joins: readonly { a: number; b: number }[]): (number | null)[] {
  const sibling = Array<number | null>(k + joins.length).fill(null);
  for (const { a, b } of joins) [sibling[a], sibling[b]] = [b, a];
  return sibling;
}

function countsOf({ clusters }: ColumnSample, k: number): Float64Array {
  const counts = new Float64Array(k);
  for (let i = 0; i < clusters.length; i++) counts[clusters[i]]++;
  return counts;
}

/** A column as codes of its values in ascending order, or of its categories; the last code is that of missing ones. */
interface Coded {
  codes: Uint16Array;
  missing: number;
  /** What each code but the last stands for; null: categories. */
  values: Float64Array | null;
  categories: readonly string[] | null;
}

function codedNumbers(column: number, { values, dim, clusters }: ColumnSample): Coded {
  const own = Float64Array.from({ length: clusters.length }, (_, i) => values[i * dim + column]);
  const sorted = own.filter((value) => !Number.isNaN(value)).sort();
  const starts: number[] = [];
  for (let i = 0; i < sorted.length; i++) if (i === 0 || sorted[i] !== sorted[i - 1]) starts.push(i);
  const groupOf = (start: number, place: number) =>
    starts.length <= BINS ? place : Math.floor((start * BINS) / sorted.length);
  const bounds: number[] = [];
  let last = -1;
  for (const [place, start] of starts.entries()) {
    const group = groupOf(start, place);
    if (group !== last) bounds.push(start);
    last = group;
  }
  const lows = Float64Array.from(bounds, (from) => sorted[from]);
  const middles = Float64Array.from(
    bounds,
    (from, i) => sorted[(from + (bounds[i + 1] ?? sorted.length)) >> 1],
  );
  return {
    codes: Uint16Array.from(
      own.map((value) => (Number.isNaN(value) ? lows.length : placeAmong(lows, value))),
    ),
    missing: bounds.length,
    values: middles,
    categories: null,
  };
}

/** The last of the ascending `lows` that is not above `value`. */
function placeAmong(lows: Float64Array, value: number): number {
  let [from, to] = [0, lows.length];
  while (to - from > 1) {
    const middle = (from + to) >> 1;
    if (lows[middle] <= value) from = middle;
    else to = middle;
  }
  return from;
}

function codedCategories(
  columns: readonly number[],
  categories: readonly string[],
  { values, dim, clusters }: ColumnSample,
): Coded {
  const missing = categories.length;
  const codes = Uint16Array.from({ length: clusters.length }, (_, i) => {
    const place = columns.findIndex((column) => values[i * dim + column] > 0.5) + 1;
    return categories[place] === '' ? missing : place;
  });
  return { codes, missing, values: null, categories };
}

/** Rows by code: what they weigh in all rows, in all and those with a value, and the sum of the squares of that. */
interface Histogram {
  weights: Float64Array;
  all: number;
  present: number;
  squares: number;
}

/** Of clusters, then of joins. */
function histograms(
  { codes, missing }: Coded,
  { clusters }: ColumnSample,
  weights: readonly number[],
  joins: readonly { a: number; b: number }[],
): Histogram[] {
  const nodes = weights.map(() => emptyHistogram(missing));
  for (let i = 0; i < codes.length; i++) {
    const [own, weight] = [nodes[clusters[i]], weights[clusters[i]]];
    own.weights[codes[i]] += weight;
    own.all += weight;
    if (codes[i] < missing) own.present += weight;
    own.squares += weight * weight;
  }
  for (const { a, b } of joins) nodes.push(sumOf([nodes[a], nodes[b]]));
  return nodes;
}

const emptyHistogram = (missing: number): Histogram => ({
  weights: new Float64Array(missing + 1),
  ...{ all: 0, present: 0, squares: 0 },
});

function sumOf(parts: readonly Histogram[]): Histogram {
  const sum = emptyHistogram(parts[0].weights.length - 1);
  for (const { weights, all, present, squares } of parts) {
    for (let i = 0; i < weights.length; i++) sum.weights[i] += weights[i];
    sum.all += all;
    sum.present += present;
    sum.squares += squares;
  }
  return sum;
}

/** The rows of `whole` that are not in `own`. */
function without(whole: Histogram, own: Histogram): Histogram {
  const weights = new Float64Array(whole.weights.length);
  for (let i = 0; i < weights.length; i++) weights[i] = Math.max(0, whole.weights[i] - own.weights[i]);
  return {
    weights,
    all: whole.all - own.all,
    present: Math.max(0, whole.present - own.present),
    squares: Math.max(0, whole.squares - own.squares),
  };
}

/** How many equally drawn rows tell as much (Kish 1965). */
const drawnRows = ({ all, squares }: Histogram) => (squares > 0 ? all ** 2 / squares : 0);

/** The value below which this share of those present are. */
function quantile({ weights, present }: Histogram, values: Float64Array, share: number): number {
  let left = share * present;
  for (let i = 0; i < values.length; i++) {
    left -= weights[i];
    if (left < 0) return values[i];
  }
  return values.at(-1)!;
}

/** The interquartile range; where most values are the same, a wider one. 0 of a constant. */
function spreadOf(all: Histogram, values: Float64Array): number {
  for (const tail of [0.25, 0.05, 0]) {
    const spread = quantile(all, values, 1 - tail) - quantile(all, values, tail);
    if (spread > 0) return spread;
  }
  return values.length ? values.at(-1)! - values[0] : 0;
}

/** What a column, called so, says of some rows; null: nothing. */
function tellingOf(
  name: string,
  coded: Coded,
  own: Histogram,
  others: Histogram,
  beside: Histogram | null,
  scale: number,
  tests: number,
): Omit<Telling, 'variable'> | null {
  const { missing, values, categories } = coded;
  /** `gapTo`: how far these rows are from others, above 0 on the side that `text` says. */
  const said = (about: TellingColumn, gapTo: (other: Histogram) => number, size: number) => {
    const gap = gapTo(others);
    if (gap < LEAST_GAP || chanceOf(gap, drawnRows(own), drawnRows(others)) > MOST_CHANCE / tests)
      return null;
    const beyond = beside && beside.all > 0 ? Math.max(0, gapTo(beside)) : 0;
    return { ...about, score: tenths(gap) + tenths(beyond), difference: size };
  };
  const shareIn = ({ weights, all }: Histogram, code: number) => weights[code] / all;
  const lead = (code: number) => (other: Histogram) => shareIn(own, code) - shareIn(other, code);
  const shareOf = (text: string, code: number) => {
    const shares = { own: shareIn(own, code), others: shareIn(others, code) };
    return said({ text, measure: 'share', ...shares }, lead(code), shares.own - shares.others);
  };
  if (shareIn(own, missing) > 0.5) return shareOf(`${name} unknown`, missing);
  if (categories || values!.length === 2) {
    const code = own.weights
      .subarray(0, missing)
      .reduce((most, weight, i, all) => (weight > all[most] ? i : most), 0);
    if (shareIn(own, code) < 0.5 || shareIn(own, code) < LEAST_RATIO * shareIn(others, code)) return null;
    const value = tidyName(categories ? categories[code] : numberText(values![code]), MOST_OF_COLUMN);
    return shareOf(`${name} = ${value}`, code);
  }
  const [middle, rest] = [own, others].map((rows) => quantile(rows, values!, 0.5));
  const isHigh = middle > rest;
  const above = shareBeyond(own, values!, rest, isHigh);
  const below = shareBeyond(others, values!, middle, !isHigh);
  if (middle === rest || Math.min(above, below) < LEAST_ABOVE) return null;
  const tail = quantile(others, values!, isHigh ? 0.95 : 0.05);
  const isVery = isHigh ? middle > tail : middle < tail;
  const gapTo = (other: Histogram) => largestGap(own, other, missing, isHigh);
  const text = `${isVery ? 'very ' : ''}${isHigh ? 'high' : 'low'} ${name}`;
  return said({ text, measure: 'median', own: middle, others: rest }, gapTo, Math.abs(middle - rest) / scale);
}

/** The share of the values that are above `bound`, or below it; of those equal to it, half. */
function shareBeyond({ weights, present }: Histogram, values: Float64Array, bound: number, isAbove: boolean) {
  let beyond = 0;
  for (let i = 0; i < values.length; i++)
    if (values[i] === bound) beyond += weights[i] / 2;
    else if (values[i] > bound === isAbove) beyond += weights[i];
  return beyond / present;
}

const tenths = (gap: number) => Math.round(gap / ALIKE);

/** To the digits that float32 has. */
const numberText = (value: number) => String(Number(value.toPrecision(7)));

/** The largest by which the first distribution function is below the second, or above it, over the codes before `missing`. */
function largestGap(own: Histogram, other: Histogram, missing: number, isHigh: boolean): number {
  if (!(own.present > 0 && other.present > 0)) return 0;
  let [largest, below, among] = [0, 0, 0];
  for (let i = 0; i < missing; i++) {
    below += own.weights[i] / own.present;
    among += other.weights[i] / other.present;
    largest = Math.max(largest, isHigh ? among - below : below - among);
  }
  return largest;
}

/**
 * An upper bound of the chance that rows of one distribution have such a gap, of which `n` and `m` were drawn: the inequality of Dvoretzky,
 * Kiefer and Wolfowitz for two samples, with the constant of Wei and Dudley (2012).
 */
const chanceOf = (gap: number, n: number, m: number) =>
  n && m ? Math.E * Math.exp((-2 * gap ** 2 * n * m) / (n + m)) : 1;

/** The columns of a node, the most telling ones first, without those that say the same as one before. */
function chosen(all: Telling[], areCopies: (a: number, b: number) => boolean): Telling[] {
  all.sort((a, b) => b.score - a.score || b.difference - a.difference || a.variable - b.variable);
  const kept: Telling[] = [];
  for (const one of all) {
    if (kept.length === MOST_KEPT) break;
    if (!kept.some((other) => areCopies(one.variable, other.variable))) kept.push(one);
  }
  return kept;
}

/** Two columns; others where those are another's name. */
export function namesOf(columns: readonly TellingColumn[]): string[] {
  const texts = columns.map(({ text }) => text);
  const [first, ...rest] = texts;
  if (first === undefined) return [];
  const more = rest.map((text) => [text]);
  const pairs = rest.flatMap((one, i) => rest.slice(i + 1).map((other) => [one, other]));
  const own = rest.length
    ? [...more.slice(0, 1), ...pairs.slice(0, rest.length), ...more.slice(1), ...pairs]
    : [[]];
  return [...new Set([...own, []].map((others) => [first, ...others].slice(0, MOST_NAMED).join(', ')))];
}

/** Do two columns of numbers correlate by ranks within clusters? What differs between clusters alone is no copy. */
function copiesAmong(
  codes: readonly Uint16Array[],
  variables: readonly Variable[],
  { clusters }: ColumnSample,
  k: number,
): (a: number, b: number) => boolean {
  const centred = new Map<number, Float64Array>();
  const of = (variable: number) => {
    const known = centred.get(variable);
    if (known) return known;
    const [sums, counts] = [new Float64Array(k), new Float64Array(k)];
    for (const [i, code] of codes[variable].entries()) {
      sums[clusters[i]] += code;
      counts[clusters[i]]++;
    }
    const own = Float64Array.from(
      codes[variable],
      (code, i) => code - sums[clusters[i]] / counts[clusters[i]],
    );
    centred.set(variable, own);
    return own;
  };
  const known = new Map<string, boolean>();
  return (a, b) => {
    if (variables[a].categories || variables[b].categories) return false;
    const key = a < b ? `${a} ${b}` : `${b} ${a}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    const [x, y] = [of(a), of(b)];
    let [xx, yy, xy] = [0, 0, 0];
    for (let i = 0; i < x.length; i++) {
      xx += x[i] * x[i];
      yy += y[i] * y[i];
      xy += x[i] * y[i];
    }
    const areCopies = xy * xy > COPIES ** 2 * xx * yy;
    known.set(key, areCopies);
    return areCopies;
  };
}
