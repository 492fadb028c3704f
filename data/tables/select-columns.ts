import { optionsTogether, optionText, optionWithColumns } from '../../base/option-text.ts';
import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { likeName } from '../file-names.ts';
import { nearest } from '../value-range.ts';
import { type Column, firstNames, MIXED, type Table } from './table.ts';
import type { Categories, ColumnChoice } from './table-options.ts';

/** Which columns of a table are clustered, and which are kept beside them. */

export interface SelectedColumns {
  /** The indices of columns with numbers or lists of them, in the order in which they are clustered. */
  numbers: number[];
  /** Those of categories, which follow the numbers. */
  categories: number[];
  /** A column without a name, which may be the index that pandas has written; null if there is none. It is not in `numbers`. */
  index: number | null;
  /** Those that are neither these nor names, texts or classes. */
  leftOut: number[];
  /** Those of them that name rows, or are dates, as their values showed. */
  aside: number[];
}

/** As pandas calls an index without a name. */
export const INDEX_NAMES = ['', 'Unnamed: 0', '__index_level_0__'];

/** UserError where a column does not exist, or none is left. `run`: the one that made the choice, not flags. */
export function selectColumns(table: Table, choice: ColumnChoice, run?: string): SelectedColumns {
  const flag = (name: string) => (run === undefined ? `--${name}` : null);
  const { path, columns } = table;
  const kept = (['id', 'text', 'label'] as const).flatMap((role) => {
    const name = choice[role];
    return name === null ? [] : [columnIn(table, name, flag(role === 'label' ? 'labels' : role))];
  });
  const dropped = matching(table, choice.drop, flag('drop'));
  const categories = matching(table, choice.categorical, flag('categorical')).filter(
    (i) => !dropped.includes(i),
  );
  const apart = new Set([...kept, ...dropped, ...categories]);
  const chosen = choice.columns && matching(table, choice.columns, flag('columns'));
  const candidates = (chosen ?? columns.map((_, i) => i)).filter((i) => !apart.has(i));
  const isIndex = chosen === null && candidates[0] === 0 && couldBeIndex(table) && candidates.length > 1;
  const numbers = isIndex ? candidates.slice(1) : candidates;
  if (!numbers.length && !categories.length)
    throw new UserError(
      kept.length === columns.length
        ? `${path} has no column besides ${kept.map((i) => columns[i].name).join(', ')}: add columns to cluster by`
        : `${path} has no column left to cluster by: ${run === undefined ? 'name some with --columns' : `pass rows with the columns of the run ${run}`}`,
    );
  const used = new Set([...kept, ...categories, ...candidates]);
  const leftOut = columns.flatMap((_, i) => (used.has(i) ? [] : [i]));
  return { numbers, categories, index: isIndex ? 0 : null, leftOut, aside: [] };
}

const couldBeIndex = ({ isNamed, columns: [first] }: Table) =>
  isNamed && INDEX_NAMES.includes(first.name) && first.kind === 'number';

/** The index of the column with this name, or number from 1. UserError, with the flag and the nearest names, if there is none. */
export function columnIn({ path, isNamed, columns }: Table, name: string, flag: string | null): number {
  const index = columns.findIndex((column) => column.name === name);
  if (index !== columns.findLastIndex((column) => column.name === name))
    throw new UserError(`${path} has several columns called ${name}: choose one by its number, from 1`);
  if (index >= 0) return index;
  const names = columns.map((column) => column.name);
  // Where numbers are names, they mean no places.
  const areNumbers = isNamed && names.every((other) => /^\d+$/.test(other));
  if (/^[1-9]\d*$/.test(name) && Number(name) <= columns.length && !areNumbers) return Number(name) - 1;
  const near = isNamed ? nearest(name, names) : [];
  const hint = near.length
    ? `did you mean ${near.join(' or ')}?`
    : `it has ${isNamed ? firstNames(names) : 'columns without names, to be chosen by number'}`;
  throw new UserError(`${flag === null ? '' : `${flag}: `}${path} has no column ${name}; ${hint}`);
}

/** The indices of the columns that the list names, in its order. */
function matching(table: Table, list: readonly string[] | null, flag: string | null): number[] {
  const found = (list ?? []).flatMap((item) => {
    const exact = table.columns.some(({ name }) => name === item);
    if (exact || !item.includes('*')) return [columnIn(table, item, flag)];
    const isLike = likeName(item);
    const indices = table.columns.flatMap(({ name }, i) => (isLike(name) ? [i] : []));
    if (!indices.length)
      throw new UserError(`${flag ? `${flag}: ` : ''}${table.path} has no column like ${item}`);
    return indices;
  });
  return [...new Set(found)];
}

/** Columns of categories, of which each category but the first becomes a column of 0 and 1. */

const MOST_CATEGORIES = 256;
/** So many are rather names than categories. */
const MANY_CATEGORIES = 20;

/** That of a field: blanks around it do not make another. */
export const categoryOf = (text: string | null): string => text?.trim() ?? '';

/**
 * The categories of these columns: the most frequent one first, then the others in order. As a base, a rare one would make columns
 * that almost add up to 1, and a covariance that can hardly be inverted. '' is a missing value. `known`: those of a trained model.
 */
export async function categoriesOf(
  table: Table,
  columns: readonly number[],
  known: Categories | null | undefined,
): Promise<Record<string, string[]>> {
  if (!columns.length) return {};
  const nameOf = (column: number) => table.columns[column].name;
  // Else by their order: without a header they are called by their numbers, and new rows may have names.
  if (known)
    return Object.fromEntries(
      columns.map((column, t) => [
        nameOf(column),
        [...(own(known, nameOf(column)) ?? Object.values(known)[t])],
      ]),
    );
  const counts = columns.map(() => new Map<string, number>());
  for await (const { texts } of table.read({ numbers: [], texts: columns }))
    for (const [t, values] of texts.entries()) {
      for (const value of values.map(categoryOf)) counts[t].set(value, (counts[t].get(value) ?? 0) + 1);
      if (counts[t].size > MOST_CATEGORIES)
        throw new UserError(
          `--categorical: ${table.path} has more than ${MOST_CATEGORIES} different values in ${nameOf(columns[t])}: that is no column of categories`,
        );
    }
  return Object.fromEntries(columns.map((column, t) => [nameOf(column), baseFirst(counts[t])]));
}

const own = (categories: Categories, name: string) =>
  Object.hasOwn(categories, name) ? categories[name] : undefined;

function baseFirst(counts: ReadonlyMap<string, number>): string[] {
  const all = [...counts.keys()].sort();
  const most = Math.max(...counts.values());
  const base = all.find((value) => counts.get(value) === most);
  return base === undefined ? [] : [base, ...all.filter((value) => value !== base)];
}

/** What people should know of columns with many categories. */
export const notesOnCategories = (categories: Categories): string[] =>
  Object.entries(categories)
    .filter(([, { length }]) => length >= MANY_CATEGORIES)
    .map(([name, { length }]) => `--categorical ${name} makes ${length - 1} columns`);

/** Columns that cannot be clustered as they are: all are named at once, with what can be done. */

const MOST_LISTED = 12;
/** Rows, from the start, from which it is told whether a column has few different texts, and how many are few. */
const SNIFFED_ROWS = 1000;
const FEW = 20;

const ID_NAMES = [/(^|[_.\s-])(id|uuid|key|name)$/i, /[a-z]I[dD]$/];
const TEXT_NAMES = [
  /text|title|sentence|body|content|abstract|description|document|review|comment|message|note/i,
];

/** UserError if one of these columns cannot be clustered, or has lists and is not the only one. `run`: rows are to be like those of it. */
export async function assertClusterable(
  table: Table,
  indices: readonly number[],
  choice: Pick<ColumnChoice, 'columns' | 'id' | 'text'>,
  run?: string,
): Promise<void> {
  const { path, columns } = table;
  const of = (kind: Column['kind']) => indices.filter((i) => columns[i].kind === kind);
  const [texts, others, lists] = [of('text'), of('other'), of('list')];
  const bad = [...texts, ...others].sort((a, b) => a - b);
  const isMixed = lists.length > 0 && indices.length > 1 && !choice.columns;
  if (!bad.length && !isMixed) return;
  const looks = await looksOf(table, texts);
  const looking = (look: Look) => texts.filter((_, t) => looks[t].look === look);
  const calledSo = (what: string) => others.filter((i) => typeText(columns[i].type) === what);
  const types = [...new Set(others.map((i) => typeText(columns[i].type)))];
  const what = [
    ...LOOKS.map((look) => [look, [...looking(look), ...calledSo(look)].sort((a, b) => a - b)] as const),
    ...types
      .filter((type) => !LOOKS.some((look) => look === type))
      .map((type) => [type, calledSo(type)] as const),
  ]
    .filter(([, some]) => some.length)
    .map(([type, some]) => `${type} in ${described(some, columns)}`)
    .join(', and ');
  if (run !== undefined)
    throw new UserError(
      `${path} has ${what || `lists of numbers in ${described(lists, columns)}`}, not what the run ${run} was trained on: pass rows with its columns`,
    );
  const keep = keptBy(table, looking('text'), choice);
  if (isMixed) {
    const found = lists.map((i) => `${described([i], columns)} has lists of ${columns[i].width} numbers`);
    const naming = keep ? `; ${keep.flags} ${keep.does} the rows` : '';
    throw new UserError(
      `${path}: ${found.join(', ')}: ${withColumns('columns', lists.slice(0, 1), columns)} clusters by ${lists.length > 1 ? 'the first' : 'it'}${naming}${what && ` (${what} cannot be clustered)`}`,
    );
  }
  const few = texts.filter((_, t) => looks[t].look === 'text' && looks[t].isOfFew);
  const hot = few.length ? withColumns('categorical', few, columns) : '';
  // To leave them out would leave nothing.
  const isAll = bad.length === indices.length;
  const rest = bad.filter((i) => !few.includes(i));
  const [them, their] = [bad.length > 1 ? 'them' : 'it', few.length > 1 ? 'their' : 'its'];
  const fix = choice.columns
    ? `: ${isAll ? 'name columns of numbers with' : `leave ${them} out of`} ${optionText('columns')}${hot && `, or cluster by ${their} categories with ${hot}`}`
    : isAll
      ? `, and no numbers: ${hot && `cluster by few categories with ${optionsTogether(hot, ...(rest.length ? [withColumns('drop', rest, columns)] : []))}, or `}add columns of numbers${looking('text').length ? ', such as embeddings of the texts' : ''}`
      : `: leave out with ${withColumns('drop', bad, columns)}${keep ? `, or keep with ${keep.either}` : ''}${hot && `; ${hot} clusters by ${their} categories`}`;
  throw new UserError(`${path} has ${what}, which cannot be clustered${fix}`);
}

/** UserError if the column that is to describe clusters has no text. */
export function assertText({ path, columns }: Table, index: number): void {
  const { kind, type } = columns[index];
  if (kind !== 'text' && type !== MIXED)
    throw new UserError(
      `--text: ${path} has ${typeText(type)}, not text, in ${described([index], columns)}: name a column of texts, or leave it out`,
    );
}

/** The flags that keep columns which look like names or texts beside the rows, and what they do; null where there is nothing to keep. */
function keptBy(
  { columns }: Table,
  texts: readonly number[],
  { id, text }: Pick<ColumnChoice, 'id' | 'text'>,
): { flags: string; either: string; does: string } | null {
  if (!texts.length || (id !== null && text !== null)) return null;
  const like = (patterns: readonly RegExp[]) =>
    texts.filter((i) => patterns.some((pattern) => pattern.test(columns[i].name)));
  const [named] = id === null ? like(ID_NAMES) : [];
  const [telling] = text === null ? like(TEXT_NAMES).filter((i) => i !== named) : [];
  const isGuessed = named !== undefined || telling !== undefined;
  const roles = [
    { option: 'id' as const, does: 'name', isFree: id === null, column: named },
    { option: 'text' as const, does: 'describe', isFree: text === null, column: telling },
  ].filter(({ isFree, column }) => (isGuessed ? column !== undefined : isFree));
  const flags = roles.map(({ option, column }) =>
    column === undefined ? optionText(option) : withColumns(option, [column], columns),
  );
  const does = roles.map((role) => role.does).join(' and ');
  return {
    flags: flags.join(' and '),
    // One column has one role.
    either: flags.join(isGuessed ? ' and ' : ' or '),
    does: roles.length > 1 ? does : `${does}s`,
  };
}

/** What the texts of a column may be. */
const LOOKS = ['text', 'dates', 'times', 'durations'] as const;
type Look = (typeof LOOKS)[number];
/** Types of Parquet, DuckDB and Arrow that hold such things: `timestamp_ns`, `time with time zone`, `duration<nanosecond>`. */
const TYPES: [RegExp, Look][] = [
  [/^(date|timestamp)/, 'dates'],
  [/^time/, 'times'],
  [/^(interval|duration)/, 'durations'],
];

/** What a column of this type has, in the words that texts of the same are called by. */
const typeText = (type: string): string => TYPES.find(([pattern]) => pattern.test(type))?.[1] ?? type;

const CLOCK = '\\d\\d:\\d\\d(:\\d\\d([.,]\\d+)?)?';
const DAY = `\\d{4}-\\d\\d(-\\d\\d([T ]${CLOCK} ?(Z|UTC|[+-]\\d\\d:?\\d\\d)?)?)?`;
/** As ISO 8601, pandas and Python write them. */
const PATTERNS: [Look, RegExp][] = [
  ['dates', new RegExp(`^(${DAY}(/${DAY})?|\\d{4}Q[1-4])$`)],
  ['times', new RegExp(`^${CLOCK}$`)],
  [
    'durations',
    /^(-?\d+ days?(,? [+-]?\d+:\d\d:\d\d([.,]\d+)?)?|\d+:\d\d:\d\d([.,]\d+)?|-?P(?=[\dT])(\d+D)?(T[\d.HMS]+)?)$/,
  ],
];

/** What the columns have, and whether they have few different texts, each of them often, as their first rows show. */
async function looksOf(table: Table, texts: readonly number[]): Promise<{ look: Look; isOfFew: boolean }[]> {
  const found = texts.map(() => new Set<string | null>());
  let rows = 0;
  try {
    if (texts.length)
      for await (const batch of table.read({ numbers: [], texts })) {
        for (const [t, values] of batch.texts.entries())
          for (const value of values.slice(0, SNIFFED_ROWS - rows)) found[t].add(value);
        rows += batch.rows;
        if (rows >= SNIFFED_ROWS) break;
      }
  } catch {
    // What is wrong with the rows is said once the columns are chosen.
    return texts.map(() => ({ look: 'text', isOfFew: false }));
  }
  return found.map((values) => {
    const known = [...values].filter((value): value is string => value !== null && value.trim() !== '');
    const are = (pattern: RegExp) => known.length > 0 && known.every((value) => pattern.test(value.trim()));
    const [look] = PATTERNS.find(([, pattern]) => are(pattern)) ?? ['text' as const];
    return { look, isOfFew: values.size <= Math.min(FEW, rows / 2) };
  });
}

/** An option with these columns for its value, as it can be typed. */
export const withColumns = (
  option: Parameters<typeof optionWithColumns>[0],
  indices: readonly number[],
  columns: readonly Column[],
): string =>
  optionWithColumns(
    option,
    indices.map((i) => columns[i].name),
    indices.map((i) => i + 1),
  );

function described(indices: readonly number[], columns: readonly Column[]): string {
  const nameOf = (i: number) => (columns[i].name === String(i + 1) ? '' : ` (${oneLine(columns[i].name)})`);
  const shown = indices.slice(0, MOST_LISTED).map((i) => `${i + 1}${nameOf(i)}`);
  const more = indices.length > MOST_LISTED ? `, and ${indices.length - MOST_LISTED} others` : '';
  return `column${indices.length > 1 ? 's' : ''} ${shown.join(', ')}${more}`;
}
