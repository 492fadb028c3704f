import { isNumbered } from './csv-rows.ts';

/** Columns of rows by their names in a header: whether those of new rows are those that a model was trained on. */

/** Characters of a name in a message. */
const MOST_SHOWN = 40;

/** Names that tell columns apart; null where there is no header, or where it only numbers them. */
export const tellingNames = (names: readonly string[] | undefined): readonly string[] | null =>
  names === undefined || isNumbered(names) ? null : names;

/**
 * What distinguishes the columns `names` from those called `trained` of a run, for people, with the first that differs; null
 * if none does. There are as many of both.
 */
export function columnDifference(
  names: readonly string[],
  trained: readonly string[],
  run: string,
): string | null {
  const first = names.findIndex((name, i) => name !== trained[i]);
  if (first < 0) return null;
  const isPermuted = JSON.stringify([...names].sort()) === JSON.stringify([...trained].sort());
  const what = isPermuted
    ? `the columns of the run ${run} in another order`
    : `other columns than the run ${run}`;
  return `${what}: column ${first + 1} is ${shown(names[first])}, in the run it is ${shown(trained[first])}`;
}

/** On one line, whatever is in it. */
const shown = (name: string) =>
  JSON.stringify(name.length > MOST_SHOWN ? `${name.slice(0, MOST_SHOWN)}…` : name);
