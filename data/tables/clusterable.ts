import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import type { ColumnChoice } from './select-columns.ts';
import { type Column, MIXED, type Table } from './table.ts';

/** Columns that cannot be clustered as they are: all are named at once, with what can be done. */

const MOST_LISTED = 12;
const MOST_DROPPED = 40;
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
  const what = [
    ...(texts.length ? [`text in ${described(texts, columns)}`] : []),
    ...[...new Set(others.map((i) => columns[i].type))].map((type) => {
      const some = others.filter((i) => columns[i].type === type);
      return `${type} in ${described(some, columns)}`;
    }),
  ].join(', and ');
  if (run !== undefined) {
    const isMixed = lists.length > 0 && indices.length > 1 && !choice.columns;
    if (!bad.length && !isMixed) return;
    throw new UserError(
      `${path} has ${what || `lists of numbers in ${described(lists, columns)}`}, not what the run ${run} was trained on: pass rows with its columns`,
    );
  }
  // To leave them out would leave nothing.
  const isAll = bad.length > 0 && bad.length === indices.length;
  if (choice.columns) {
    if (!bad.length) return;
    const few = await ofFewCategories(table, texts);
    const them = bad.length > 1 ? 'them' : 'it';
    const oneHot = few.length
      ? `, or make numbers of ${few.length > 1 ? 'their' : 'its'} categories with --one-hot ${listed(few, columns)}`
      : '';
    throw new UserError(
      `${path} has ${what}, which cannot be clustered: ${isAll ? 'name columns of numbers with' : `leave ${them} out of`} --columns${oneHot}`,
    );
  }
  const keep = keptBy(table, texts, choice);
  if (lists.length && indices.length > 1) {
    const found = lists.map((i) => `${described([i], columns)} has lists of ${columns[i].width} numbers`);
    const naming = keep ? `; ${keep.flags} ${keep.does} the rows` : '';
    throw new UserError(
      `${path}: ${found.join(', ')}: --columns ${listed(lists.slice(0, 1), columns)} clusters by ${lists.length > 1 ? 'the first' : 'it'}${naming}${what && ` (${what} cannot be clustered)`}`,
    );
  }
  if (!bad.length) return;
  const few = await ofFewCategories(table, texts);
  if (isAll) {
    const rest = bad.filter((i) => !few.includes(i));
    const numbers = few.length
      ? `make numbers of few categories with --one-hot ${listed(few, columns)}${rest.length ? ` --drop ${listed(rest, columns)}` : ''}, or add`
      : 'add';
    throw new UserError(
      `${path} has ${what}, which cannot be clustered, and no numbers: ${numbers} columns of numbers, such as embeddings of the texts`,
    );
  }
  const oneHot = few.length ? `; --one-hot ${listed(few, columns)} makes numbers of few categories` : '';
  throw new UserError(
    `${path} has ${what}, which cannot be clustered: leave out with --drop ${listed(bad, columns)}${keep ? `, or keep with ${keep.flags}` : ''}${oneHot}`,
  );
}

/** UserError if the column that is to describe clusters has no text. */
export function assertText({ path, columns }: Table, index: number): void {
  const { kind, type } = columns[index];
  if (kind !== 'text' && type !== MIXED)
    throw new UserError(
      `--text: ${path} has ${type}, not text, in ${described([index], columns)}: name a column of texts, or leave it out`,
    );
}

/** The flags that keep columns which look like names or texts beside the rows, and what they do; null where there is nothing to keep. */
function keptBy(
  { columns }: Table,
  texts: readonly number[],
  { id, text }: Pick<ColumnChoice, 'id' | 'text'>,
): { flags: string; does: string } | null {
  if (!texts.length || (id !== null && text !== null)) return null;
  const like = (patterns: readonly RegExp[]) =>
    texts.filter((i) => patterns.some((pattern) => pattern.test(columns[i].name)));
  const [named] = id === null ? like(ID_NAMES) : [];
  const [telling] = text === null ? like(TEXT_NAMES).filter((i) => i !== named) : [];
  const isGuessed = named !== undefined || telling !== undefined;
  const roles = [
    { flag: '--id', does: 'name', isFree: id === null, column: named },
    { flag: '--text', does: 'describe', isFree: text === null, column: telling },
  ].filter(({ isFree, column }) => (isGuessed ? column !== undefined : isFree));
  const flags = roles.map(({ flag, column }) =>
    column === undefined ? flag : `${flag} ${listed([column], columns)}`,
  );
  const does = roles.map((role) => role.does).join(' and ');
  return { flags: flags.join(' and '), does: roles.length > 1 ? does : `${does}s` };
}

/** Those of the columns that have few different texts, each of them often. */
async function ofFewCategories(table: Table, texts: readonly number[]): Promise<number[]> {
  if (!texts.length) return [];
  const found = texts.map(() => new Set<string | null>());
  let rows = 0;
  try {
    for await (const batch of table.read({ numbers: [], texts })) {
      for (const [t, values] of batch.texts.entries())
        for (const value of values.slice(0, SNIFFED_ROWS - rows)) found[t].add(value);
      rows += batch.rows;
      if (rows >= SNIFFED_ROWS) break;
    }
  } catch {
    // What is wrong with the rows is said once the columns are chosen.
    return [];
  }
  return texts.filter((_, t) => found[t].size <= Math.min(FEW, rows / 2));
}

/** Names for a flag, as they are typed in a shell; what a shell or a list would take apart by its number. */
function listed(indices: readonly number[], columns: readonly Column[]): string {
  const names = indices
    .slice(0, MOST_DROPPED)
    .map((i) => (/^$|[,'*\p{Cc}]/u.test(columns[i].name) ? String(i + 1) : columns[i].name))
    .join(',');
  const all = indices.length > MOST_DROPPED ? `${names},…` : names;
  return /^[\p{L}\p{N}_.,:=@%+…-]+$/u.test(all) ? all : `'${all}'`;
}

function described(indices: readonly number[], columns: readonly Column[]): string {
  const nameOf = (i: number) => (columns[i].name === String(i + 1) ? '' : ` (${oneLine(columns[i].name)})`);
  const shown = indices.slice(0, MOST_LISTED).map((i) => `${i + 1}${nameOf(i)}`);
  const more = indices.length > MOST_LISTED ? `, and ${indices.length - MOST_LISTED} others` : '';
  return `column${indices.length > 1 ? 's' : ''} ${shown.join(', ')}${more}`;
}
