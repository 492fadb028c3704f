import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { inSlices, yieldToEventLoop } from '../../base/slices.ts';
import type { FieldValues, RowFields } from '../../data/fields.ts';
import { rowsAt } from '../../data/remote/read-ahead.ts';
import type { Source } from '../../data/source.ts';
import { type KeptTexts, lineOf } from '../../data/texts/kept-texts.ts';
import { languagesOf, stopWordsOf } from '../../data/texts/stop-words.ts';
import { columnNames } from '../../model/description/telling-columns.ts';
import { AT, RECORD } from '../../model/map-tiles.ts';
import { generator, priority, type Seed, stratified } from '../../model/random.ts';
import { type Legend, MISSING_SHADE, rankShades, textCounter, timeOf } from '../../model/shades.ts';
import { keywordsOf, type WeightOptions } from '../../model/words/keywords.ts';
import { termCounter } from '../../model/words/term-counts.ts';
import { type MergedTerms, termMerger } from '../../model/words/term-table.ts';
import type { RunConfig } from '../../run/config.ts';
import { namedVariables } from '../../run/named-columns.ts';
import {
  type FoundRows,
  type MapData,
  MOST_SELECTED,
  type SelectionTelling,
  selectedRows,
} from '../drawing/map/whole-map.ts';
import type { FoundMap } from '../whole-map.ts';

/** What the page asks about rows of the map that only the data know: what they have in a column, which have some words, and what sets some apart. */

/** What the data of a run say of its rows. */
export interface RowData {
  /** The rows as they are in the data, also where their latent vectors were clustered; null: they have changed, or cannot be read. */
  source(): Promise<Source | null>;
  /** All of their columns; null: they are not to be shown. */
  fields(): Promise<RowFields | null>;
  /** Do rows have texts: those that describe them, else columns of text? */
  haveTexts(): Promise<boolean>;
  texts(): Promise<KeptTexts | null>;
  /** Why texts and other columns are not shown: of the files that have them one has changed; null if none has. */
  problem(): Promise<string | null>;
}

/** Rows that a search finds, and characters that it takes. */
const [MOST_FOUND, MOST_SOUGHT] = [20_000, 200];
/** Columns that a page offers. */
const MOST_COLUMNS = 2000;

export function addMapRows(
  app: FastifyInstance,
  map: () => Promise<FoundMap | null>,
  data: RowData,
  config: Pick<RunConfig, 'bm25Weighting' | 'reduceFrequentWords' | 'seed'>,
): void {
  app.get('/api/map/data', async (_request, reply): Promise<MapData> => {
    if (!(await map())) return reply.code(204).send();
    const columns = ((await data.fields())?.fields ?? []).slice(0, MOST_COLUMNS);
    return { hasTexts: await data.haveTexts(), columns: columns.map(({ name }) => name) };
  });

  const next = inTurn();
  const shaded = shadeStore((column, isWanted) =>
    next(async () => shadesOf((await data.fields())!, column, (await map())!.about.index.rows, isWanted)),
  );
  const shadesIn = async (column: unknown, { raw }: FastifyReply): Promise<Shaded | null> => {
    const [about, fields] = [await map(), await data.fields()];
    const isOne =
      about && typeof column === 'string' && /^\d+$/.test(column) && fields?.fields[Number(column)];
    return isOne ? shaded(Number(column), about.about.index.rows, () => isWaiting(raw)) : null;
  };
  const NONE = { error: 'there is no such column' };
  app.get<{ Querystring: { column?: unknown } }>('/api/map/legend', async ({ query }, reply) => {
    const found = await shadesIn(query.column, reply);
    return found ? found.legend : reply.code(404).send(NONE);
  });
  app.get<{ Querystring: { column?: unknown; tile?: string } }>(
    '/api/map/shades',
    async ({ query }, reply) => {
      const tile = Number(query.tile ?? Number.NaN);
      const about = await map();
      const found = about?.about.index.tiles[tile] ? await shadesIn(query.column, reply) : null;
      if (!found) return reply.code(404).send(NONE);
      const records = about!.saved.tile(tile);
      const view = new DataView(records.buffer, records.byteOffset, records.length);
      const shades = Buffer.alloc(records.length / RECORD);
      for (let i = 0; i < shades.length; i++)
        shades[i] = found.shades[view.getUint32(i * RECORD + AT.row, true)];
      return reply.type('application/octet-stream').send(shades);
    },
  );

  app.get<{ Querystring: { words?: unknown } }>('/api/map/search', async ({ query }, reply) => {
    // As they are sought: what is a blank then would be in every text.
    const words = typeof query.words === 'string' ? lineOf(query.words).trim() : '';
    if (!words || words.length > MOST_SOUGHT)
      return reply.code(400).send({ error: `words=… takes 1 to ${MOST_SOUGHT} characters` });
    const isWanted = () => isWaiting(reply.raw);
    const found = await next(async () => {
      const [about, texts] = [await map(), isWanted() ? await data.texts() : null];
      const rows = about && (await texts?.find(words, MOST_FOUND, isWanted));
      return rows ? { isAll: rows.isAll, places: await about.saved.rowsAt(rows.rows) } : null;
    });
    if (!found) return reply.code(404).send({ error: (await data.problem()) ?? 'there are no texts' });
    const { isAll, places } = found;
    return { isAll, rows: Buffer.from(places).toString('base64') } satisfies FoundRows;
  });

  app.get<{ Querystring: { rows?: unknown } }>('/api/map/telling', async ({ query }, reply) => {
    const [about, source] = [await map(), await data.source()];
    if (!about || !source) return reply.code(404).send({ error: 'there are no rows' });
    const rows = selectedRows(query.rows, source.rows);
    if (!rows)
      return reply.code(400).send({ error: `rows=… takes at most ${MOST_SELECTED} ascending numbers` });
    return next(async (): Promise<SelectionTelling | null> => {
      if (!isWaiting(reply.raw)) return null;
      const own = new Set(rows);
      const all = rowsOfAll(source.rows, MOST_SELECTED, config.seed);
      const others = all.filter((row) => !own.has(row));
      const texts = await data.texts().catch(() => null);
      return {
        words: texts && (await wordsOfSelection(texts, [rows, all], config)),
        columns: await columnsOfSelection(source, [rows, others]),
      };
    });
  });
}

/** Is somebody still waiting for this answer? A page that goes on to other words, or to another column or selection, ends the request. */
const isWaiting = ({ destroyed, closed }: ServerResponse) => !destroyed && !closed;

/** Work that reads all rows, one piece after the other: a second one would only slow down the first. */
function inTurn() {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>): Promise<T> => {
    const own = last.then(work);
    last = own.catch(() => {});
    return own;
  };
}

/** Columns by which the map is coloured: a byte for each row, made when it is asked for, of which the last ones are kept. */

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

/** What sets rows that somebody has selected apart from all others: words of their texts, and columns. */

/** Numbers that are read at most. */
const MOST_NUMBERS = 1 << 20;
/** Words that are said, and those among which they are; and by what share of its frequency in the selected rows each is rarer in all rows, at least. */
const [MOST_WORDS, CANDIDATES, LEAST_EXCESS] = [10, 100, 1 / 3];
/** The log-likelihood ratio from which frequencies differ by more than chance (Dunning 1993): one of 10,000 words has it by chance. */
const LEAST_RATIO = 15.13;
/** Columns without names that say something by their numbers. */
const MOST_NUMBERED = 64;

/** Rows that stand for all, ascending. */
export const rowsOfAll = (rows: number, most: number, seed: Seed): number[] =>
  stratified(rows, Math.min(rows, most), generator(seed, 'map-selection'));

/** The words of the selected rows that are less frequent in all rows, of which there is a sample, the most telling first, by class-based tf-idf. */
export async function wordsOfSelection(
  texts: Pick<KeptTexts, 'at'>,
  [selected, all]: readonly [number[], number[]],
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
export async function columnsOfSelection(
  source: Source,
  rows: readonly [number[], number[]],
): Promise<string | null> {
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
