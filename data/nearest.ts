import { distance } from 'fastest-levenshtein';

/** At most this share of a name may be mistyped. */
const MOST_WRONG = 0.4;
const MOST_NAMES = 3;

/** The names most similar to `name`, the nearest first; none if all are quite different. Case does not count. */
export function nearest(name: string, names: readonly string[]): string[] {
  const lower = name.toLowerCase();
  return names
    .map((other) => ({ other, wrong: distance(lower, other.toLowerCase()) }))
    .filter(({ other, wrong }) => wrong <= Math.max(1, MOST_WRONG * Math.max(name.length, other.length)))
    .sort((a, b) => a.wrong - b.wrong)
    .slice(0, MOST_NAMES)
    .map(({ other }) => other);
}
