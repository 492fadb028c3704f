import { ranges } from '../base/slices.ts';
import type { Field, FieldValues, RowFields } from './fields.ts';
import { imageShape } from './images/folder.ts';
import { tableFileAt } from './open.ts';
import type { Source } from './source.ts';
import { openReader } from './tables/formats.ts';
import { headerTest, withReader } from './tables/open-table.ts';
import { MIXED, type Table } from './tables/table.ts';
import type { TableOptions } from './tables/table-options.ts';

/** Numbers that are read at once. */
const AT_ONCE = 1 << 20;
/** Types of other columns whose texts are in order of time. */
const TIMES = /^(date|timestamp)/;

/** The columns of data that are open as `source`, by the same options. UserError if a table is damaged. */
export async function openRowFields(source: Source, data: string, options: TableOptions): Promise<RowFields> {
  const file = source.table ? await tableFileAt(data) : null;
  if (!file) return ofNumbers(source);
  const how = { isHeaderRow: headerTest(options), dialect: options, hasTexts: true };
  const first = await withReader(file, how, async (table) => table);
  const fields = first.columns.flatMap(({ name, kind, type }, at) => {
    const isTime = kind === 'other' && TIMES.test(type) && file.format !== 'arrow';
    if (kind !== 'number' && kind !== 'text' && !isTime) return [];
    const isNumber = kind === 'number' && type !== MIXED;
    return [{ at, name, kind: isNumber ? ('number' as const) : ('text' as const) }];
  });
  const dropped = new Set(source.table?.dropped);
  return {
    fields,
    read: (columns, use) =>
      withReader(file, how, async ({ isPlain = false }) =>
        use(async function* () {
          const table = await openReader(file, { ...how, isPlain });
          yield* valuesIn(
            table,
            columns.map((column) => fields[column]),
            dropped,
          );
        }),
      ),
  };
}

async function* valuesIn(
  table: Table,
  fields: readonly (Field & { at: number })[],
  dropped: ReadonlySet<number>,
): AsyncGenerator<FieldValues[]> {
  const [numbers, texts] = (['number', 'text'] as const).map((kind) =>
    fields.filter((field) => field.kind === kind),
  );
  const places = (some: typeof numbers) => some.map(({ at }) => at);
  let row = 0;
  for await (const { rows, values, texts: read } of table.read({
    numbers: places(numbers),
    texts: places(texts),
  })) {
    const isKept = (_: unknown, i: number) => !dropped.has(row + i);
    yield fields.map((field): FieldValues => {
      const own = field.kind === 'text' ? read[texts.indexOf(field)] : null;
      if (own) return dropped.size ? own.filter(isKept) : own;
      const column = Float64Array.from(
        { length: rows },
        (_, i) => values[i * numbers.length + numbers.indexOf(field)],
      );
      return dropped.size ? column.filter(isKept) : column;
    });
    row += rows;
  }
}

/** Pixels of images say nothing one by one. */
function ofNumbers({ rows, dim, names, shape, read }: Source): RowFields {
  const count = imageShape(shape) ? 0 : dim;
  return {
    fields: Array.from({ length: count }, (_, i) => ({
      name: names?.[i] ?? `column ${i + 1}`,
      kind: 'number' as const,
    })),
    read: (columns, use) =>
      use(async function* () {
        for (const { from, to } of ranges(rows, Math.max(1, Math.floor(AT_ONCE / dim)))) {
          const values = await read(from, to - from);
          yield columns.map((column) =>
            Float64Array.from({ length: to - from }, (_, i) => values[i * dim + column]),
          );
        }
      }),
  };
}
