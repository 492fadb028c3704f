import { inSlices, ranges, yieldToEventLoop } from '../../base/slices.ts';
import { fileVersion } from '../../data/cache.ts';
import type { FieldValues, RowFields } from '../../data/fields.ts';
import { openSource, tableFileAt } from '../../data/open.ts';
import { isRemote } from '../../data/remote/address.ts';
import { rowsAt } from '../../data/remote/read-ahead.ts';
import { openRowFields } from '../../data/row-fields.ts';
import type { Source } from '../../data/source.ts';
import { type KeptTexts, keepTexts, lineOf } from '../../data/texts/kept-texts.ts';
import { languagesOf, stopWordsOf } from '../../data/texts/stop-words.ts';
import { withTexts } from '../../data/texts/with-texts.ts';
import { columnNames } from '../../model/description/telling-columns.ts';
import { AT, RECORD } from '../../model/map-records.ts';
import { generator, priority, type Seed, stratified } from '../../model/random.ts';
import { type Legend, MISSING_SHADE, rankShades, textCounter, timeOf } from '../../model/shades.ts';
import { keywordsOf, type WeightOptions } from '../../model/words/keywords.ts';
import { termCounter } from '../../model/words/term-counts.ts';
import { type MergedTerms, termMerger } from '../../model/words/term-table.ts';
import { mismatchWith, newestCheckpoint } from '../../run/checkpoints.ts';
import type { RunConfig } from '../../run/config.ts';
import { namedVariables } from '../../run/named-columns.ts';
import type { RunFile } from '../../run/run-file.ts';
import { shownProblem } from '../../run/shown-files.ts';
import { type MapSource, MOST_SELECTED } from '../drawing/map.ts';
import type { FoundMap } from '../map.ts';
import { once, refused } from '../routes.ts';
import { howRead, openUnchanged } from '../rows.ts';
import type { RowData } from './app.ts';
import type { ViewedRun } from './compare.ts';

/** What the page asks about rows that only the data of a finished run know: what they are, what they have in a column, which have some words, and what sets some apart. Each part is opened when it is first asked for. */

/** What the data of a run say of its rows. */
interface ToldRows extends Pick<RowData, 'source' | 'problem'> {
  /** All of their columns; null: they are not to be shown. */
  fields(): Promise<RowFields | null>;
  /** Do rows have texts: those that describe them, else columns of text? */
  haveTexts(): Promise<boolean>;
  texts(): Promise<KeptTexts | null>;
}

/** What the data of a finished run say of its rows, each part of which is opened when it is first asked for. */
export function rowData({ path, run }: ViewedRun): RowData {
  const { config, data } = run;
  const options = howRead(path, run).table!;
  const source = once(async (): Promise<Source | null> => {
    const checkpoint = data.codes
      ? null
      : newestCheckpoint(path, mismatchWith(run, config), () => {})?.checkpoint;
    const raw = { ...run, data: { ...data, codes: undefined } };
    const opened = await openUnchanged(path, { run: raw, checkpoint: checkpoint ?? null }, openSource);
    // Without its texts, which are elsewhere, a row still has its columns.
    return opened && withTexts(opened, config).catch(() => opened);
  });
  const problem = async () => {
    const found = await shownProblem(run, ['data', 'texts']);
    return found && `${found}: texts and columns of its rows are not shown, as they may be those of others`;
  };
  const openedFields = once(async (): Promise<RowFields | null> => {
    const rows = await source();
    return rows && openRowFields(rows, config.data, options);
  });
  const fields = async () => ((await problem()) === null ? openedFields() : null);
  const textFields = once(async () => {
    const columns = (await openedFields())?.fields ?? [];
    return [...columns.keys()].filter((column) => columns[column].kind === 'text');
  });
  const haveTexts = async () =>
    (await problem()) === null && (Boolean((await source())?.described) || (await textFields()).length > 0);
  const openedTexts = once(async (): Promise<KeptTexts | null> => {
    const rows = await source();
    if (!rows || !(await haveTexts())) return null;
    const { described } = rows;
    const from = (described && config.texts) || config.data;
    const file = isRemote(from) ? null : await tableFileAt(from);
    const versionOf = isRemote(from) ? () => remoteVersionOf(run, from) : (file?.version ?? fileVersion);
    // Which rows of a file of texts are left out depends on the data.
    const kind = JSON.stringify([described ? config.text : null, from, options, data.fingerprint]);
    const write = async (each: (slices: AsyncGenerator<string[]>) => Promise<void>) =>
      described
        ? each(described.read())
        : (await openedFields())!.read(await textFields(), (slices) => each(joined(slices())));
    return keepTexts(from, kind, data.rows, write, versionOf);
  });
  // Also where they have changed since they were opened.
  const texts = async () => ((await problem()) === null ? openedTexts() : null);
  const told: ToldRows = { source, fields, haveTexts, texts, problem };
  return { source, texts, problem, mapOf: (found) => servedMap(found, told, config) };
}

/**
 * Differs where the texts at an address may have changed since another run read them: the fingerprint of the rows is of the numbers alone.
 */
export function remoteVersionOf(
  { id, config, data }: Pick<RunFile, 'id' | 'config' | 'data'>,
  from: string,
): string {
  const shown = data.shown?.[from === config.texts ? 'texts' : 'data'];
  return shown?.sha256 ?? `${id} ${data.fingerprint}`;
}

/** What rows have in all columns of text, as one text. */
async function* joined(slices: AsyncGenerator<FieldValues[]>): AsyncGenerator<string[]> {
  for await (const columns of slices)
    yield Array.from({ length: columns[0].length }, (_, i) =>
      columns
        .map((column) => column[i] ?? '')
        .filter(Boolean)
        .join(' · '),
    );
}

/** Rows that a search finds, and characters that it takes. */
const [MOST_FOUND, MOST_SOUGHT] = [20_000, 200];
/** Columns that a page offers. */
const MOST_COLUMNS = 2000;
/** Records that are read at once. */
const READ = 1 << 16;

type MapConfig = Pick<RunConfig, 'bm25Weighting' | 'reduceFrequentWords' | 'seed'>;

/** The map of a run, of whose rows the data say what they have in a column, which have some words, and what sets some apart. */
function servedMap({ about, saved }: FoundMap, data: ToldRows, config: MapConfig): MapSource {
  const { rows, records } = about.index;
  const next = inTurn();
  const shaded = shadeStore((column, isWanted) =>
    next(async () => shadesOf((await data.fields())!, column, rows, isWanted)),
  );
  const shadesIn = async (column: number, signal?: AbortSignal): Promise<Shaded | null> =>
    (await data.fields())?.fields[column] ? shaded(column, rows, () => !signal?.aborted) : null;
  return {
    about,
    rows: async (from, to) => saved.records(from, to),
    async data() {
      const columns = ((await data.fields())?.fields ?? []).slice(0, MOST_COLUMNS);
      return { hasTexts: await data.haveTexts(), columns: columns.map(({ name }) => name) };
    },
    legend: async (column, signal) => (await shadesIn(column, signal))?.legend ?? null,
    async shades(column, signal) {
      const found = await shadesIn(column, signal);
      if (!found) return null;
      const shades = new Uint8Array(records);
      for (const { from, to } of ranges(records, READ)) {
        await yieldToEventLoop();
        const view = new DataView(saved.records(from, to).buffer);
        for (let i = from; i < to; i++)
          shades[i] = found.shades[view.getUint32(RECORD * (i - from) + AT.row, true)];
      }
      return shades;
    },
    async search(words, signal) {
      // As they are sought: what is a blank then would be in every text.
      const sought = lineOf(words).trim();
      if (!sought || sought.length > MOST_SOUGHT)
        throw refused(`words=… takes 1 to ${MOST_SOUGHT} characters`);
      const found = await next(async () => {
        const texts = signal.aborted ? null : await data.texts();
        const of = await texts?.find(sought, MOST_FOUND, () => !signal.aborted);
        return of && { isAll: of.isAll, places: await saved.rowsAt(of.rows) };
      });
      if (!found) throw refused((await data.problem()) ?? 'there are no texts', 404);
      return { isAll: found.isAll, rows: Buffer.from(found.places).toString('base64') };
    },
    async telling(selected, signal) {
      const source = await data.source();
      if (!source) return null;
      return next(async () => {
        if (signal.aborted) return null;
        const own = new Set(selected);
        const all = rowsOfAll(source.rows, MOST_SELECTED, config.seed);
        const others = all.filter((row) => !own.has(row));
        const texts = await data.texts().catch(() => null);
        return {
          words: texts && (await wordsOfSelection(texts, [selected, all], config)),
          columns: await columnsOfSelection(source, [selected, others]),
        };
      });
    },
  };
}

/** Work that reads all rows, one piece after the other: a second one would only slow down the first. */
function inTurn() {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>): Promise<T> => {
    const own = last.then(work);
    last = own.catch(() => {});
    return own;
  };
}

/** A column in shades (model/shades.ts), one for each row. */
export interface Shaded {
  legend: Legend;
  shades: Uint8Array;
}

/** Bytes that are kept, but for the column that was asked for last; and values by which numbers are ranked, about. */
const [MOST_KEPT, SAMPLED] = [1 << 28, 1 << 16];

/** Values that are worked on without yielding. */
const PIECE = 1 << 12;

/** `make`: shades of a column, by its place, or throws once nobody wants them any more. */
export function shadeStore(make: (column: number, isWanted: () => boolean) => Promise<Shaded>) {
  const kept = new Map<number, { shaded: Promise<Shaded>; waiting: Set<() => boolean> }>();
  function begun(column: number) {
    const waiting = new Set<() => boolean>();
    const own = { shaded: make(column, () => [...waiting].some((isWanted) => isWanted())), waiting };
    own.shaded.catch(() => kept.get(column) === own && kept.delete(column));
    return own;
  }
  return async (column: number, rows: number, isWanted: () => boolean): Promise<Shaded> => {
    const own = kept.get(column) ?? begun(column);
    // Those that were used last are the last in the map.
    kept.delete(column);
    kept.set(column, own);
    for (const first of kept.keys()) {
      if (kept.size === 1 || kept.size * rows <= MOST_KEPT) break;
      kept.delete(first);
    }
    own.waiting.add(isWanted);
    return own.shaded.finally(() => own.waiting.delete(isWanted));
  };
}

/** Reads a column twice: for its scale, then for the shade of each row. Throws once it is not wanted any more. */
export async function shadesOf(
  { fields, read }: RowFields,
  column: number,
  rows: number,
  isWanted: () => boolean,
): Promise<Shaded> {
  const isText = fields[column].kind === 'text';
  return read([column], async (slices) => {
    const [counter, sample] = [textCounter(), [] as number[]];
    let missing = 0;
    const priorityOf = priority(0n);
    for await (const { from, values } of numbered(slices(), isWanted))
      for (let i = 0; i < values.length; i++) {
        const value = values[i];
        if (isText) counter.add(value as string | null);
        else if (Number.isNaN(value)) missing++;
        if (priorityOf(from + i) * rows >= SAMPLED) continue;
        sample.push(isText ? timeOf((value as string | null) ?? '') : (value as number));
      }
    const isTime = isText && counter.areTimes();
    const ranks = rankShades(sample);
    const categories = counter.result();
    const shadeOf =
      isText && !isTime
        ? categories.shadeOf
        : (value: string | number | null) =>
            ranks.shadeOf(typeof value === 'number' ? value : timeOf(value ?? ''));
    const shades = new Uint8Array(rows).fill(MISSING_SHADE);
    for await (const { from, values } of numbered(slices(), isWanted))
      for (let i = 0; i < values.length; i++) shades[from + i] = shadeOf(values[i] as never);
    const numbers = { values: ranks.quartiles, isTime, missing: isText ? counter.missing() : missing };
    return { shades, legend: isText && !isTime ? categories.legend : { kind: 'number', ...numbers } };
  });
}

/** Values with the number of their first row, piece by piece. */
async function* numbered(
  slices: AsyncGenerator<FieldValues[]>,
  isWanted: () => boolean,
): AsyncGenerator<{ from: number; values: FieldValues }> {
  let from = 0;
  for await (const [values] of slices)
    for (let at = 0; at < values.length; at += PIECE) {
      if (!isWanted()) throw new Error('nobody waits for the column any more');
      const piece = values.slice(at, at + PIECE);
      yield { from, values: piece };
      from += piece.length;
      await yieldToEventLoop();
    }
}

/** Numbers that are read at most. */
const MOST_NUMBERS = 1 << 20;
/** Words that are said, and those among which they are; and by what share of its frequency in the selected rows each is rarer in all rows, at least. */
const [MOST_WORDS, CANDIDATES, LEAST_EXCESS] = [10, 100, 1 / 3];
/** The log-likelihood ratio from which frequencies differ by more than chance (Dunning 1993): one of 10,000 words has it by chance. */
const LEAST_RATIO = 15.13;
/** Columns without names that say something by their numbers. */
const MOST_NUMBERED = 64;

type SelectedRows = readonly [selected: readonly number[], others: readonly number[]];

/** Rows that stand for all, ascending. */
export const rowsOfAll = (rows: number, most: number, seed: Seed): number[] =>
  stratified(rows, Math.min(rows, most), generator(seed, 'map-selection'));

/** The words of the selected rows that are less frequent in all rows, of which there is a sample, the most telling first, by class-based tf-idf. */
export async function wordsOfSelection(
  texts: Pick<KeptTexts, 'at'>,
  [selected, all]: SelectedRows,
  options: Omit<WeightOptions, 'minDf'>,
): Promise<string[]> {
  const both = [await texts.at(selected), await texts.at(all)];
  const stopWords = stopWordsOf(languagesOf(both[1]));
  const counter = termCounter(2, stopWords);
  for (const [own, some] of both.entries())
    for (const text of some) {
      counter.add(own, text);
      await yieldToEventLoop();
    }
  const merger = termMerger(2);
  merger.add(await inSlices(counter.table()));
  const sizes = [selected.length, all.length];
  const table = merger.result();
  const how = { ...options, joins: [], sizes, stopWords, minDf: 1, most: CANDIDATES };
  const [words] = keywordsOf(table, how);
  return words
    .filter(({ word, excess }) => excess >= LEAST_EXCESS && ratioOf(table, word) >= LEAST_RATIO)
    .slice(0, MOST_WORDS)
    .map(({ word }) => word);
}

/** The log-likelihood ratio of a word's frequencies in two sets of texts. */
function ratioOf({ terms, lists, cluster, count, totals }: MergedTerms, word: string): number {
  const term = terms.indexOf(word);
  const counts = [0, 0];
  for (let i = lists[term]; i < lists[term + 1]; i++) counts[cluster[i]] = count[i];
  const share = (counts[0] + counts[1]) / (totals[0] + totals[1]);
  const part = (own: number, total: number) => (own ? own * Math.log(own / (share * total)) : 0);
  return 2 * (part(counts[0], totals[0]) + part(counts[1], totals[1]));
}

/** The columns that set the selected rows apart from others, such as `high income, low age`; null: none. */
export async function columnsOfSelection(source: Source, rows: SelectedRows): Promise<string | null> {
  const { dim, names, shape } = source;
  const numbers = !names && !shape && dim <= MOST_NUMBERED;
  const variables = namedVariables(source);
  if (numbers) for (let i = 0; i < dim; i++) variables.push({ name: `column ${i + 1}`, columns: [i] });
  const [own, rest] = rows.map((some) => some.slice(0, Math.floor(MOST_NUMBERS / dim / 2)));
  if (!variables.length || !own.length || !rest.length) return null;
  const values = new Float32Array((own.length + rest.length) * dim);
  values.set(await rowsAt(source, own));
  values.set(await rowsAt(source, rest), own.length * dim);
  const clusters = Int32Array.from({ length: own.length + rest.length }, (_, i) => Number(i >= own.length));
  const sample = { values, dim, clusters, sizes: [own.length, rest.length] };
  return columnNames(variables, sample, [])[0][0] ?? null;
}
