import { firstNames } from './table.ts';

/**
 * Columns of whole numbers that name or number the rows, or are dates: clustered, they hide what the others have. Those that are
 * surely such are not clustered; of those that may have been measured, people are told.
 */

/** Of fewer rows, numbers may look like these by chance. */
const LEAST_ROWS = 30;
/** Of fewer rows, those of a column with a telling name. */
const LEAST_NAMED = 10;
/** So many pairs of equal numbers are expected of measured ones: that all differ has a probability below e^−14. */
const PAIRS = 14;

/** Names of ids, row numbers, and an index that pandas has written. Not `price_index` or `humid`: these are measured. */
const ID_NAMES = [
  /^(|unnamed: ?\d+|__index_level_\d+__|level_\d+)$/i,
  /^(#|index|idx|pk|nr|seq|sno|rn|row|row_?names?|row_?num)$/i,
  /^(row|record|line|serial|sample|case|obs|item)[_.\s-]?(no|nr|num|number|index|idx|key)$/i,
  /(^|[_.\s:-])(id|uid|uuid|guid|oid)$|^id[_.\s:-]/i,
  /[a-z]I[dD]$/,
  /^(row|record|user|client|customer|person|patient|subject|order|item|product|sample|case|object|event|session|account)s?id$/i,
];
const TIME_NAME =
  /time|date|epoch|stamp|unix|created|updated|modified|visited|(^|[_.\s-])(ts|at|dt|on|when|seen)$|[a-z](At|On)$/i;

const isId = (name: string) => ID_NAMES.some((pattern) => pattern.test(name));

/** Days such as 20260131, also with hours and minutes, or seconds, behind them. */
function isDate(value: number): boolean {
  const day = Math.floor(value < 1e9 ? value : value < 1e12 ? value / 1e4 : value / 1e6);
  const [year, month, date] = [Math.floor(day / 1e4), Math.floor(day / 100) % 100, day % 100];
  if (year < 1900 || year > 2100 || month < 1 || month > 12 || date < 1) return false;
  return date <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/** From 2001 to 2039, in these units: seconds, or thousandths or millionths of them. */
const isTime = (value: number, unit: number) => value >= 1e9 * unit && value < 2.2e9 * unit;

/** What all values of a column may be. */
const [WHOLE, DIFFERENT, DATES, SECONDS, FINE, RISING, FALLING] = [1, 2, 4, 8, 16, 32, 64];

export interface Suspect {
  column: number;
  /** What the column does or has. */
  what: string;
}

/** Watches the values of columns with these names. */
export function watchColumns(names: readonly string[]) {
  const may = new Uint8Array(names.length).fill(127);
  const [before, low, high, unit, counts] = Array.from({ length: 5 }, () => new Float64Array(names.length));

  /** The next value of a column, which may be missing. */
  function add(c: number, value: number): void {
    if (!may[c] || Number.isNaN(value)) return;
    if (!Number.isSafeInteger(value)) {
      may[c] = 0;
      return;
    }
    if (counts[c]++) {
      const step = value - before[c];
      if (!step) may[c] &= ~DIFFERENT;
      else if (unit[c] !== 1) unit[c] = commonDivisor(unit[c], Math.abs(step));
      if (step < 0) may[c] &= ~RISING;
      if (step > 0) may[c] &= ~FALLING;
      if (value < low[c]) low[c] = value;
      if (value > high[c]) high[c] = value;
    } else low[c] = high[c] = value;
    before[c] = value;
    if (may[c] & DATES && !isDate(value)) may[c] &= ~DATES;
    if (may[c] & SECONDS && !isTime(value, 1)) may[c] &= ~SECONDS;
    if (may[c] & FINE && !isTime(value, 1e3) && !isTime(value, 1e6)) may[c] &= ~FINE;
  }

  /** `areDifferent`: are all values of a column, where these are in no order? */
  async function found(
    areDifferent: (c: number) => Promise<boolean>,
  ): Promise<{ sure: Suspect[]; unsure: Suspect[] }> {
    const [sure, unsure, scattered]: Suspect[][] = [[], [], []];
    for (const [column, name] of names.entries()) {
      const is = (kind: number) => (may[column] & kind) > 0;
      const count = counts[column];
      if (!is(WHOLE) || count < LEAST_NAMED || low[column] === high[column]) continue;
      const values = (high[column] - low[column]) / unit[column] + 1;
      const isOrdered = is(RISING) || is(FALLING);
      const isMany = count >= LEAST_ROWS;
      const isDense = isMany && (count * (count - 1)) / 2 > PAIRS * values;
      const isNamed = isId(name);
      if (isMany && is(DATES)) sure.push({ column, what: 'has dates such as 20260131' });
      else if (isMany && (is(FINE) || is(SECONDS))) {
        const isSure = is(FINE) || isOrdered || TIME_NAME.test(name);
        (isSure ? sure : unsure).push({ column, what: 'has times since 1970' });
      } else if (
        is(DIFFERENT) &&
        (isNamed || isDense) &&
        (isOrdered || (values >= count && (await areDifferent(column))))
      )
        (isNamed || isOrdered ? sure : scattered).push({ column, what: 'names or numbers the rows' });
      else if (isMany && is(DIFFERENT) && is(RISING))
        unsure.push({ column, what: 'ascends from row to row, as names and numbers of rows do' });
      else if (isMany && isNamed) unsure.push({ column, what: 'has the name of an id' });
    }
    // A table numbers its rows in one order of its own: several such columns are ranks.
    if (scattered.length === 1) sure.push(...scattered);
    return { sure, unsure };
  }

  return { add, found };
}

function commonDivisor(a: number, b: number): number {
  while (b) [a, b] = [b, a % b];
  return a;
}

/** A sentence for each thing that some columns do or have. `does`: with what is done to them. */
export function notesOn(suspects: readonly Suspect[], nameOf: (c: number) => string, does: string): string[] {
  const kinds = [...new Set(suspects.map(({ what }) => what))];
  return kinds.map((kind) => {
    const names = suspects.filter(({ what }) => what === kind).map(({ column }) => nameOf(column));
    return `${names.length > 1 ? 'each of ' : ''}${firstNames(names)} ${kind}, and ${does}`;
  });
}
