import { MOST_SHOWN } from '../widths.ts';

/** The rows with the least values, of which a list holds a few: the same ones in whatever order rows come. */

export interface Candidate {
  row: number;
  value: number;
}

/** Puts the candidate into the list of the `most` least ones, of equal values those of the first rows, if it is one of them. */
export function keepLeast<C extends Candidate>(list: C[], candidate: C, most = MOST_SHOWN): void {
  const isBefore = (a: Candidate, b: Candidate) =>
    a.value < b.value || (a.value === b.value && a.row < b.row);
  const last = list.at(-1);
  if (list.length >= most && !isBefore(candidate, last!)) return;
  let at = list.length;
  while (at > 0 && isBefore(candidate, list[at - 1])) at--;
  list.splice(at, 0, candidate);
  if (list.length > most) list.pop();
}
