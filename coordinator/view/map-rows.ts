import type { ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { FoundRows, MapData } from '../../view/whole-map.ts';
import type { FoundMap } from '../monitor/whole-map.ts';
import type { RowData } from './row-data.ts';

/** What the page asks about rows of the map that only the data know: those with some words. */

/** Rows that a search finds, and characters that it takes. */
const [MOST_FOUND, MOST_SOUGHT] = [20_000, 200];

export function addMapRows(app: FastifyInstance, map: () => Promise<FoundMap | null>, data: RowData): void {
  app.get('/api/map/data', async (_request, reply): Promise<MapData> => {
    if (!(await map())) return reply.code(204).send();
    return { hasTexts: await data.haveTexts() };
  });

  const next = inTurn();
  app.get<{ Querystring: { words?: unknown } }>('/api/map/search', async ({ query }, reply) => {
    const words = typeof query.words === 'string' ? query.words.trim() : '';
    if (!words || words.length > MOST_SOUGHT)
      return reply.code(400).send({ error: `words=… takes 1 to ${MOST_SOUGHT} characters` });
    const isWanted = () => isWaiting(reply.raw);
    const found = await next(async () => {
      const [about, texts] = [await map(), isWanted() ? await data.texts() : null];
      const rows = about && (await texts?.find(words, MOST_FOUND, isWanted));
      return rows ? { isAll: rows.isAll, places: await about.saved.rowsAt(rows.rows) } : null;
    });
    if (!found) return reply.code(404).send({ error: 'there are no texts' });
    const { isAll, places } = found;
    return { isAll, rows: Buffer.from(places).toString('base64') } satisfies FoundRows;
  });
}

/** Is somebody still waiting for this answer? A page that goes on to other words ends the request. */
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
