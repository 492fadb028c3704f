import { type OutlierBounds, withoutOutliers } from '../../../data/steps/fences.ts';
import { type Fill, nearDonors, wholeRows } from '../../../data/steps/fill.ts';
import type { Moments, Transform } from '../../../data/transform.ts';
import type { TransformChoice } from '../../../data/transform-choice.ts';
import { momentsWithAtoms, planTransform } from '../../../data/transform-plan.ts';
import { columnCalled, formatNumber } from '../../../data/value-range.ts';
import { type Category, type ColumnKinds, columnKinds, type Spike } from '../../../model/gaussian/columns.ts';
import { diagonalOf } from '../../../model/linalg.ts';
import type { DataMoments } from '../../../run/data-moments.ts';
import { FEW_COLUMNS } from '../reading/moments.ts';

/** Which columns are not continuous, and so not Gaussian (docs/algorithm.md, section 3). */

/** Rounding error of a share, or relative one of a variance, in float64. */
const ROUNDING = 1e-9;
const MOST_NAMED = 6;

/**
 * From this share of the rows on an atom is a spike, and other values of its column are independent of other columns. That costs more than it gains where few
 * rows have it and columns are correlated: those are taken for cells that are not known, as where a median was put in their place. Filling those of 20 to
 * 30 % of the rows gives up to 52 clusters in place of 4.
 */
const SPIKE = 0.15;

/** A value that a column has exactly in all but a share of the rows. */
export interface Atom {
  column: number;
  value: number;
  others: number;
}

/**
 * What was chosen, with further columns that say which rows have other values than these, where the transform keeps columns apart and there is room
 * for them; and the moments of all columns.
 */
export function withAtoms(
  chosen: { transform: Transform; covariance: Float64Array },
  { moments, fences }: Pick<DataMoments, 'moments' | 'fences'>,
  atoms: readonly Atom[],
  rows: number,
  choice: TransformChoice,
): { transform: Transform; covariance: Float64Array; moments: Moments } {
  const { columns, normalize, dim, input } = chosen.transform;
  const own = atoms.filter(({ column }) => columns?.includes(column));
  if (normalize || !own.length || dim + own.length > FEW_COLUMNS) return { ...chosen, moments };
  const all = momentsWithAtoms(
    moments,
    own.map(({ others }) => others),
    rows,
  );
  const { transform, covariance } = planTransform(choice, all, fences);
  const values = {
    columns: Int32Array.from(own, ({ column }) => column),
    values: Float32Array.from(own, ({ value }) => value),
  };
  return { covariance, moments: all, transform: { ...transform, input, atoms: values } };
}

/** Is it so frequent that its column has a flag of its own? */
export const isSpike = ({ others }: Atom): boolean => 1 - others >= SPIKE;

/** What fills cells that are not known, null where too few of the rows drawn from all are whole, and what to say of them; null where all are known. */
export function fillOf(
  atoms: readonly Atom[],
  drawn: Float32Array,
  dim: number,
  fences: OutlierBounds | null,
  names: readonly string[] | null,
): { fill: Fill | null; why: string } | null {
  if (!atoms.length) return null;
  const which = {
    columns: Int32Array.from(atoms, ({ column }) => column),
    values: Float32Array.from(atoms, ({ value }) => value),
  };
  const donors = wholeRows(fences ? withoutOutliers(drawn, dim, fences) : drawn, dim, which);
  const isEnough = dim > 1 && donors.length / dim >= nearDonors(dim);
  const said = atoms
    .slice(0, MOST_NAMED)
    .map(
      ({ column, value, others }) =>
        `${columnCalled(names, column)} is ${formatNumber(value)} in ${Math.round(100 * (1 - others))} % of the rows`,
    );
  if (atoms.length > MOST_NAMED) said.push(`${atoms.length - MOST_NAMED} more columns have such a value`);
  return {
    fill: isEnough ? { ...which, donors } : null,
    why: `${said.join(', ')}: ${isEnough ? 'such cells look like missing values that were filled in, so they are treated as unknown and take their values from similar rows' : 'where a missing value was imputed, such rows may become clusters of their own'}`,
  };
}

interface KindsInput {
  transform: Transform;
  moments: Moments;
  /** Rows of which these are. */
  rows: number;
  /** The columns of each column of categories that the data had, by their names. */
  categories: ReadonlyMap<string, readonly number[]>;
  names: readonly string[] | null;
  /** The step of the grid that each column's values are on, 0 for none; null: none is. */
  grid: Float32Array | null;
}

export interface FoundKinds {
  /** Null: no column is discrete. */
  kinds: ColumnKinds | null;
  /** The steps of grids. */
  grid: Float32Array | null;
  /** What to say of them. */
  why: string;
}

/** The kinds of columns; null where all are continuous or of one category, or the transform does not keep them apart. */
export function kindsOf(input: KindsInput): FoundKinds | null {
  const { transform, categories, names, grid } = input;
  const { columns, dim } = transform;
  if (!columns || transform.normalize || dim > FEW_COLUMNS) return null;
  const own = new Set([...categories.values()].flat());
  const atoms = [...(transform.atoms?.columns ?? [])];
  const flags = atoms.map((_, a) => transform.input + a);
  const pairs = twoValued(input).filter((column) => !own.has(column) && column < transform.input);
  const groups = [...categories.values(), ...exclusive(input, pairs), ...flags.map((flag) => [flag])]
    .map((group) => group.filter((column) => columns.includes(column)))
    .filter((group) => group.length);
  // Where a category is all there is, its values are the clusters.
  const isAll = groups.length === 1 && groups[0].length === dim;
  if (isAll || !(groups.length || grid)) return null;
  const low = placed(input, (column) => input.moments.min[column]);
  const high = placed(input, (column) => input.moments.max[column]);
  const found = groups.map((group): Category => {
    const places = group.map((column) => columns.indexOf(column));
    return { columns: places, low: places.map((i) => low[i]), step: places.map((i) => high[i] - low[i]) };
  });
  const spikes = atoms.map((column, a): Spike => {
    const place = columns.indexOf(column);
    return {
      column: place,
      flag: columns.indexOf(flags[a]),
      at: placed(input, () => transform.atoms!.values[a])[place],
    };
  });
  const nameOf = (column: number) => names?.[column] ?? `${column}`;
  const from0 = names ? '' : ' (counted from 0)';
  const called = (which: readonly number[], one: string, many: string) =>
    which.length ? [`${listed(which.map(nameOf))}${from0} ${which.length > 1 ? many : one}`] : [];
  const named = [...categories.keys()];
  const discrete = [
    ...called(pairs, 'has two values', 'have two values'),
    ...(named.length ? [`${listed(named)} ${named.length > 1 ? 'have' : 'has'} categories`] : []),
  ];
  const gridded = columns.filter((column) => grid && grid[column] > 0);
  const said = [
    ...(discrete.length
      ? [
          `${discrete.join(', and ')}: within a cluster they are independent of the others, each value with a probability`,
        ]
      : []),
    ...(atoms.length
      ? [
          `${listed(atoms.map((c, a) => `${nameOf(c)} (${formatNumber(transform.atoms!.values[a])})`))}${from0} ${atoms.length > 1 ? 'have' : 'has'} one exact value in a share of the rows, which has a probability within a cluster; the others have a Gaussian`,
        ]
      : []),
    ...called([...gridded], 'has', 'have').map(
      (have) => `${have} few values, at equal steps: training spreads each over its step`,
    ),
  ];
  return {
    kinds: groups.length ? columnKinds(dim, found, spikes) : null,
    grid: gridded.length ? grid : null,
    why: said.join('; '),
  };
}

/** Of a column of two values the share of rows that have the larger one. */
const share = ({ moments: { mean, min, max } }: KindsInput, column: number) =>
  (mean[column] - min[column]) / (max[column] - min[column]);

/** Columns of two values, together where no row has the larger one in more than one of them: as many as a category has. */
function exclusive(input: KindsInput, pairs: readonly number[]): number[][] {
  const { moments, rows } = input;
  const dim = moments.mean.length;
  const { min, max, covariance } = moments;
  const isApart = (a: number, b: number) => {
    if (covariance.length === dim) return false;
    const spread = (max[a] - min[a]) * (max[b] - min[b]);
    const both = (covariance[a * dim + b] * (rows - 1)) / rows / spread + share(input, a) * share(input, b);
    return Math.abs(both) < ROUNDING;
  };
  const groups: number[][] = [];
  for (const column of pairs) {
    const group = groups.find((members) => members.every((other) => isApart(other, column)));
    if (group) group.push(column);
    else groups.push([column]);
  }
  return groups;
}

function listed(names: readonly string[]): string {
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : '';
  return `${names.length > 1 ? 'columns' : 'column'} ${names.slice(0, MOST_NAMED).join(', ')}${more}`;
}

/** A column of two values has the largest variance that its mean, least and largest value allow. */
function twoValued({ moments: { mean, covariance, min, max }, rows }: KindsInput): number[] {
  const variance = diagonalOf(covariance, mean.length);
  return [...mean.keys()].filter((column) => {
    const most = (max[column] - mean[column]) * (mean[column] - min[column]);
    return most > 0 && (variance[column] * (rows - 1)) / rows >= most * (1 - ROUNDING);
  });
}

/** Values of the columns in x, as the workers compute them. */
function placed({ transform }: KindsInput, value: (column: number) => number): Float64Array {
  const { columns, weights, bias, scale } = transform;
  const { fround } = Math;
  return Float64Array.from(
    columns!,
    (column, i) => fround(fround(fround(value(column)) * weights[i]) + bias[i]) * scale[i],
  );
}
