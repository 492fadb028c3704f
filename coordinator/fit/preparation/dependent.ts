import { UserError } from '../../../base/user-error.ts';
import type { Moments, Transform } from '../../../data/transform.ts';
import { columnCalled } from '../../../data/value-range.ts';
import { type Dependent, dependentColumns } from '../../../model/dependent-columns.ts';
import { closed } from '../reading/precision.ts';
import type { FoundKinds } from './kinds.ts';

/** Columns that follow from others: found among those of a mixture's transform, left out of it, and said. */

/** What was chosen, and which of its columns are not continuous. */
interface Kinded {
  chosen: { transform: Transform; covariance: Float64Array };
  found: Pick<FoundKinds, 'kinds'> | null;
}

const MOST_LISTED = 8;
const MOST_ON = 4;

/**
 * The columns of the data that follow from others, as far as the transform keeps columns apart. Those of a category stay whole: they
 * follow from each other.
 */
export function dependentOf({ chosen, found: columnKinds }: Kinded): Dependent[] {
  const { covariance } = chosen;
  const { columns, dim, input } = chosen.transform;
  const kinds = columnKinds?.kinds;
  // With a single column, matrix and diagonal are the same.
  if (!columns || covariance.length === dim) return [];
  const all = [...Array(dim).keys()];
  const isFlag = (place: number) => columns[place] >= input;
  const groups = (kinds?.categories ?? []).map((category) => category.columns);
  const given = groups.filter((group) => group.length > 1).flat();
  const single = groups.filter((group) => group.length === 1 && !isFlag(group[0])).flat();
  const spiked = (kinds?.spikes ?? []).map(({ column }) => column);
  const continuous = kinds ? [...kinds.continuous] : all;
  const found = dependentColumns(covariance, dim, {
    given,
    continuous,
    free: [...single, ...spiked, ...continuous],
  });
  return found.map(({ column, on }) => ({ column: columns[column], on: on.map((place) => columns[place]) }));
}

/** Moments in which these columns are constant. */
export function withoutVariation(moments: Moments, dependent: readonly Dependent[]): Moments {
  const columns = new Set(dependent.map(({ column }) => column));
  return closed(moments, (column) => columns.has(column));
}

/** A transform that keeps columns apart, without these, and the covariance after it. */
export function withoutColumns<C extends { transform: Transform; covariance: Float64Array }>(
  chosen: C,
  dependent: readonly Dependent[],
): C {
  const { transform, covariance } = chosen;
  const { dim } = transform;
  const gone = new Set(dependent.map(({ column }) => column));
  const isKept = (place: number) => !gone.has(transform.columns![place]);
  const kept = [...Array(dim).keys()].filter(isKept);
  const isAt = (_: number, place: number) => isKept(place);
  return {
    ...chosen,
    covariance: covariance.filter((_, p) => isKept(Math.floor(p / dim)) && isKept(p % dim)),
    transform: {
      ...transform,
      dim: kept.length,
      columns: transform.columns!.filter(isAt),
      weights: transform.weights.filter(isAt),
      bias: transform.bias.filter(isAt),
      scale: transform.scale.filter(isAt),
      offset: transform.offset.filter(isAt),
    },
  };
}

/** UserError where columns follow from others as rows are few: `rows` rows span no more than the `left` of `all` columns that are left. */
export function assertEnoughRows(data: string, rows: number, left: number, all: number): void {
  if (rows > left + 1) return;
  throw new UserError(
    `${data}: the covariance of the ${all} columns has rank ${left} only, as there are too few rows; use --transform pca:${left} or --covariance diag`,
  );
}

/** What to say of them. */
export function aboutDependent(dependent: readonly Dependent[], names: readonly string[] | null): string {
  const nameOf = (column: number) => names?.[column] ?? `${column}`;
  const listed = (said: string[], most: number, by: string) =>
    said.slice(0, most).join(by) + (said.length > most ? `${by}…` : '');
  const [first] = dependent;
  const what = dependent.length === 1 ? columnCalled(names, first.column) : `${dependent.length} columns`;
  const dropped = `dropped ${what}, which ${dependent.length === 1 ? 'follows' : 'follow'} from others`;
  const each = dependent.map(({ column, on }) => {
    const from = listed(on.map(nameOf), MOST_ON, ', ');
    return dependent.length === 1 ? from : `${nameOf(column)} from ${from}`;
  });
  const from0 = names || dependent.length === 1 ? '' : '; counted from 0';
  return `${dropped} (${listed(each, MOST_LISTED, '; ')}${from0})`;
}
