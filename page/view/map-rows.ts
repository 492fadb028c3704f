import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { RowFields } from '../../data/fields.ts';
import type { Source } from '../../data/source.ts';
import { type KeptTexts, lineOf } from '../../data/texts/kept-texts.ts';
import { AT, RECORD } from '../../model/map-tiles.ts';
import type { RunConfig } from '../../run/config.ts';
import {
  type FoundRows,
  type MapData,
  MOST_SELECTED,
  type SelectionTelling,
  selectedRows,
} from '../drawing/map/whole-map.ts';
import type { FoundMap } from '../found-map.ts';
import { columnsOfSelection, rowsOfAll, wordsOfSelection } from './selected.ts';
import { type Shaded, shadeStore, shadesOf } from './shades.ts';

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
