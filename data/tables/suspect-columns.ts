import { firstNames } from './table.ts';

/** Columns of numbers that are rather names of rows, their numbers, or dates: clustered, they hide what the others have. */

/** Of fewer rows, whole numbers may ascend by chance. */
const LEAST_ROWS = 50;

const isDay = (value: number) => {
  const [month, day] = [Math.floor(value / 100) % 100, value % 100];
  return value >= 19000101 && value <= 21001231 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
};

/** What all values of a column may be; each is whole, and follows the value before in the file. */
const KINDS: [what: string, isOne: (value: number, before: number) => boolean][] = [
  ['ascends from row to row, as names and numbers of rows do', (value, before) => !(value <= before)],
  ['has dates such as 20260131', isDay],
  ['has times in milliseconds since 1970', (value) => value >= 1e12 && value < 4e12],
];

export function suspectColumns(width: number) {
  // A bit for each kind that it may still be.
  const may = new Uint8Array(width).fill((1 << KINDS.length) - 1);
  const before = new Float64Array(width).fill(Number.NaN);
  const counts = new Float64Array(width);
  return {
    /** The next value of a column, which may be missing. */
    add(column: number, value: number): void {
      if (!may[column] || Number.isNaN(value)) return;
      if (!Number.isInteger(value)) may[column] = 0;
      for (const [kind, [, isOne]] of KINDS.entries())
        if (!isOne(value, before[column])) may[column] &= ~(1 << kind);
      before[column] = value;
      counts[column]++;
    },
    notes(nameOf: (column: number) => string): string[] {
      const found = KINDS.map((_, kind) =>
        Array.from(may.keys()).filter(
          (column) =>
            counts[column] >= LEAST_ROWS && (may[column] >> kind) & 1 && !(may[column] & ((1 << kind) - 1)),
        ),
      );
      // To leave all columns out would leave nothing.
      const advice =
        found.flat().length < may.length
          ? ': leave it out with --drop, or name the columns with --columns'
          : '';
      return KINDS.flatMap(([what], kind) =>
        found[kind].length
          ? [`${firstNames(found[kind].map(nameOf))} ${what}, and is clustered${advice}`]
          : [],
      );
    },
  };
}
