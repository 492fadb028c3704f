import { UserError } from '../../base/user-error.ts';
import { type Batch, fromZero, type Table } from './table.ts';

/**
 * Tables that follow each other as one, beside `empty` files of 0 bytes. Those without rows are left out, as they may not tell the types of their columns. UserError
 * if the others have different columns.
 */
export function partsTable(path: string, all: readonly Table[], empty = 0): Table {
  const full = all.filter(({ rows }) => rows !== 0);
  const parts = full.length ? full : all.slice(0, 1);
  const [first, ...rest] = parts;
  for (const part of rest) assertSameColumns(first, part);
  const rows = parts.map((part) => part.rows);
  return {
    path,
    isNamed: first.isNamed,
    isPlain: first.isPlain,
    notes: first.notes,
    // A column is text only if all parts say so: each has looked at its own first rows.
    columns: first.columns,
    rows: rows.every((count) => count !== null) ? rows.reduce((sum, count) => sum + count!, 0) : null,
    emptyParts: empty + all.length - full.length,
    async *read(wanted) {
      for (const part of parts) {
        let start = 0;
        for await (const batch of part.read(wanted)) {
          yield { ...batch, first: start, rowName: namer(part, batch, start) };
          start += batch.rows;
        }
      }
    },
  };
}

/** Rows are counted in their own file. */
const namer =
  ({ path }: Table, { rowName }: Batch, start: number) =>
  (i: number) =>
    `(${path}) ${rowName?.(i) ?? fromZero(start + i)}`;

function assertSameColumns(first: Table, part: Table): void {
  const [ours, theirs] = [first, part].map(({ columns }) => columns);
  const says = `${part.path} has other columns than ${first.path}`;
  if (ours.length !== theirs.length) throw new UserError(`${says}: ${theirs.length}, not ${ours.length}`);
  for (const [i, { name, kind, width }] of ours.entries()) {
    const other = theirs[i];
    if (other.name !== name)
      throw new UserError(
        `${says}: column ${i + 1} is ${JSON.stringify(other.name)}, not ${JSON.stringify(name)}`,
      );
    if (other.kind !== kind || other.width !== width)
      throw new UserError(`${says}: column ${i + 1} (${name}) is ${other.type}, there ${ours[i].type}`);
  }
}
