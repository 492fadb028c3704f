import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { Source } from '../data/source.ts';
import type { KeptTexts } from '../data/texts/kept-texts.ts';
import { type MapSource, MOST_SELECTED, selectedRows } from './drawing/map.ts';
import { ANSWERS, type RunSource } from './drawing/run-model.ts';
import { readRows } from './rows.ts';

/** What a server answers of a run, wherever it has it from: the counterpart of `servedRun` in page/browser/feed.ts. */

/** A run as a server has it, where it has that; its rows come with the data. */
export interface ServedRun extends Partial<Omit<RunSource, 'rows' | 'map'>>, Pick<RunSource, 'map'> {
  /** The rows as they are in the data, also where their latent vectors were clustered; null: they have changed, or cannot be read. */
  source(): Promise<Source | null>;
  /** What describes rows. */
  texts?(): Promise<Pick<KeptTexts, 'at'> | null>;
}

export function serveRun(app: FastifyInstance, run: ServedRun): void {
  for (const [name, path] of Object.entries(ANSWERS)) {
    const read = run[name as keyof typeof ANSWERS];
    if (read) app.get(`/${path}`, async (_request, reply) => (await read()) ?? reply.code(204).send());
  }
  serveRows(app, run);
  serveMap(app, run.map);
}

/** Most rows in one answer. */
const MAX_ANSWERED = 24;

/** The numbers in `rows=1,2,3`; null if it is not that, has too many, or ones that are not in the data. */
function rowNumbers(query: unknown, all: number): number[] | null {
  if (typeof query !== 'string' || !/^\d{1,15}(,\d{1,15})*$/.test(query)) return null;
  const rows = query.split(',').map(Number);
  return rows.length <= MAX_ANSWERED && rows.every((row) => row < all) ? rows : null;
}

/** For a text that has to be decoded first nobody waits longer, ms; and what is sent of it, characters. */
const [TEXT_MS, MOST_OF_TEXT] = [2000, 1000];

function serveRows(app: FastifyInstance, { source, texts = async () => null }: ServedRun): void {
  app.get<{ Querystring: { rows?: unknown } }>('/api/rows', async ({ query }, reply) => {
    const raw = await source();
    if (!raw) return reply.code(204).send();
    const rows = rowNumbers(query.rows, raw.rows);
    if (!rows)
      return reply.code(400).send({ error: `rows=0,1,… takes at most 24 numbers below ${raw.rows}` });
    const [content, kept] = await Promise.all([
      readRows(raw, rows),
      Promise.race([texts().catch(() => null), sleep(TEXT_MS, null, { ref: false })]),
    ]);
    const own = (await kept?.at(rows)) ?? [];
    return {
      ...content,
      rows: content.rows.map((row, i) => (own[i] ? { ...row, text: own[i].slice(0, MOST_OF_TEXT) } : row)),
    };
  });
}

interface Query {
  from?: unknown;
  to?: unknown;
  column?: unknown;
  words?: unknown;
  rows?: unknown;
}

/** The map, part by part. */
function serveMap(app: FastifyInstance, found: RunSource['map']): void {
  app.get('/api/map', async (_request, reply) => {
    const map = await found();
    return map === 'later' ? reply.code(202).send() : (map?.about ?? reply.code(204).send());
  });
  app.get('/api/map/data', async (_request, reply) => {
    const map = await found();
    return (map && map !== 'later' && (await map.data())) || reply.code(204).send();
  });
  /** `problem`: what is said where there is nothing. */
  const part = (
    name: string,
    problem: string,
    read: (map: MapSource, query: Query, signal: AbortSignal) => Promise<object | null> | null,
  ) =>
    app.get<{ Querystring: Query }>(`/api/map/${name}`, async ({ query }, reply) => {
      const map = await found();
      const content = map && map !== 'later' ? await read(map, query, whileAwaited(reply.raw)) : null;
      if (content === null) return reply.code(404).send({ error: problem });
      if (!(content instanceof Uint8Array)) return content;
      return reply.type('application/octet-stream').send(Buffer.from(content));
    });
  const noColumn = 'there is no such column';
  part('rows', 'there are no such rows on the map', (map, query) => {
    const [from, to] = [numberIn(query.from), numberIn(query.to)];
    return from >= 0 && to > from && to <= map.about.index.records ? map.rows(from, to) : null;
  });
  part('legend', noColumn, (map, { column }, signal) => map.legend(numberIn(column), signal));
  part('shades', noColumn, (map, { column }, signal) => map.shades(numberIn(column), signal));
  part('search', 'there are no texts', (map, { words }, signal) =>
    map.search(typeof words === 'string' ? words : '', signal),
  );
  part('telling', 'there are no rows', (map, query, signal) => {
    const rows = selectedRows(query.rows, map.about.index.rows);
    if (!rows) throw refused(`rows=… takes at most ${MOST_SELECTED} ascending numbers`);
    return map.telling(rows, signal);
  });
}

/** What a server answers to a question that nobody should ask, or with another status. */
export const refused = (message: string, statusCode = 400): Error =>
  Object.assign(new Error(message), { statusCode });

/** −1: it is no number. */
const numberIn = (text: unknown) => (typeof text === 'string' && /^\d+$/.test(text) ? Number(text) : -1);

/** Aborts once nobody is waiting for this answer: a page that goes on to other words, or to another column or selection, ends the request. */
function whileAwaited(response: ServerResponse): AbortSignal {
  const waiting = new AbortController();
  if (response.destroyed) waiting.abort();
  response.once('close', () => waiting.abort());
  return waiting.signal;
}

/** The value of `make`, which is called once unless it fails. */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make().catch((error) => {
      made = null;
      throw error;
    });
    return made;
  };
}
