/** A column of any values as a byte for each row, by which points of a map are coloured. */

/** Shades are 0 … MOST_SHADE; a missing value has MISSING_SHADE. */
export const [MOST_SHADE, MISSING_SHADE] = [254, 255];
/** Categories with a shade of their own, the most frequent first; the others share the next one. */
export const MOST_CATEGORIES = 20;
/** Of so few values each is as far from the next. */
const FEW_VALUES = 20;
/** Different texts that are counted, and characters by which they are told apart. */
const [MOST_COUNTED, MOST_CHARACTERS] = [100_000, 200];

/** What shades stand for. */
export type Legend =
  /** The least value, the quartiles and the largest one of a sample; `isTime`: ms since 1970. */
  | { kind: 'number'; values: number[]; isTime: boolean; missing: number }
  | { kind: 'category'; categories: { name: string; rows: number }[]; others: number; missing: number };

/** The shade of a number, by its rank among those of a sample, which may have missing ones (NaN). */
export function rankShades(sample: readonly number[]): {
  quartiles: number[];
  shadeOf(value: number): number;
} {
  const sorted = Float64Array.from(sample.filter(Number.isFinite)).sort();
  const distinct = sorted.filter((value, i) => i === 0 || value !== sorted[i - 1]);
  const ranked = distinct.length <= FEW_VALUES ? distinct : sorted;
  const last = Math.max(1, ranked.length - 1);
  return {
    quartiles: sorted.length
      ? [0, 0.25, 0.5, 0.75, 1].map((share) => sorted[Math.round(share * (sorted.length - 1))])
      : [],
    shadeOf(value) {
      if (Number.isNaN(value) || !ranked.length) return MISSING_SHADE;
      // The middle of those that are the same.
      const rank = (placeOf(ranked, value, false) + Math.max(0, placeOf(ranked, value, true) - 1)) / 2;
      return Math.round(MOST_SHADE * Math.min(1, rank / last));
    },
  };
}

/** How many of the ascending values are below this one, or not above it. */
function placeOf(sorted: Float64Array, value: number, orSame: boolean): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (sorted[middle] < value || (orSame && sorted[middle] === value)) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** A day, or a time of one and its zone, as tables have them. */
const DATE = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(?: ?(Z|[+-]\d\d(?::?\d\d)?))?)?$/;

/** The time of a date, ms since 1970; NaN of none. Without a zone it is in UTC, as it is shown. */
export function timeOf(text: string): number {
  const [, day = '', time, zone = 'Z'] = DATE.exec(text) ?? [];
  return Date.parse(time ? `${day}T${time}${zone.length === 3 ? `${zone}:00` : zone}` : day);
}

/** A part of a text keeps all of it in memory, a copy does not. */
const copyOf = (text: string) => Buffer.from(text, 'utf16le').toString('utf16le');

/** Counts texts, and whether all of them are dates. Of very many different ones only those that came first are counted. */
export function textCounter() {
  const counts = new Map<string, number>();
  let [all, missing, dates] = [0, 0, 0];
  return {
    add(text: string | null): void {
      if (!text) return void missing++;
      all++;
      // Once one is none, it does not matter what the others are.
      if (dates === all - 1 && !Number.isNaN(timeOf(text))) dates++;
      const key = text.slice(0, MOST_CHARACTERS);
      const known = counts.get(key);
      if (known !== undefined) counts.set(key, known + 1);
      else if (counts.size < MOST_COUNTED) counts.set(copyOf(key), 1);
    },
    areTimes: () => all > 0 && dates === all,
    missing: () => missing,
    /** The shades of categories. */
    result(): { legend: Legend; shadeOf(text: string | null): number } {
      const first = [...counts]
        .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
        .slice(0, MOST_CATEGORIES)
        .map(([name, rows]) => ({ name, rows }));
      const shades = new Map(first.map(({ name }, i) => [name, i]));
      const others = all - first.reduce((sum, { rows }) => sum + rows, 0);
      return {
        legend: { kind: 'category', categories: first, others, missing },
        shadeOf: (text) =>
          text ? (shades.get(text.slice(0, MOST_CHARACTERS)) ?? MOST_CATEGORIES) : MISSING_SHADE,
      };
    },
  };
}
