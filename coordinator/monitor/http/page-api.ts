import type { FastifyInstance } from 'fastify';
import type { Source } from '../../../data/source.ts';
import type { RunInfo } from '../../../view/api.ts';
import { isRead } from './guards.ts';
import { pageFile, plainPage, send } from './pages.ts';
import { describedClusters, outcomeOf } from './results.ts';
import type { DisplaySample } from './sample.ts';
import type { Stream } from './stream.ts';

/** What the page of a run shows, be it in progress or over. */
export interface PageData {
  info(): RunInfo;
  /** The bodies of `/api/history` and `/api/state`; null: there is none yet. */
  history(): Promise<Buffer | null>;
  state(): Promise<Buffer | null>;
  /** Rows for the plot; null: not yet. Rejects if they cannot be read now. */
  sample(): Promise<DisplaySample> | null;
  /** The rows of the data; null: they cannot be read. */
  raw(): Promise<Source | null>;
}

/** The files of the page, below the address of its `index`. */
export function addPages(app: FastifyInstance, index = 'index.html'): void {
  app.setNotFoundHandler(async (request, reply) => {
    const name = request.url.split('?')[0].slice(app.prefix.length + 1);
    const file = isRead(request) ? await pageFile(name) : null;
    if (file) return send(reply, file);
    return send(reply, plainPage('Not found', 'There is no page at this address.'), 404);
  });
  // With the slash, below which the page finds its files.
  app.get('/', { prefixTrailingSlash: 'slash' }, async (_request, reply) =>
    send(
      reply,
      (await pageFile(index)) ??
        plainPage('dpmesh', 'The live page has not been built; run npm run build. Everything else works.'),
    ),
  );
}

/** The data for the page and `dpmesh watch`. */
export function addPageApi(app: FastifyInstance, data: PageData, stream: Stream): void {
  app.get('/api/run', async () => data.info());
  for (const name of ['history', 'state'] as const)
    app.get(`/api/${name}`, async (_request, reply) => {
      const body = await data[name]();
      return body ? reply.type('application/json; charset=utf-8').send(body) : reply.code(204).send();
    });
  app.get('/api/sample', async (_request, reply) => {
    const sample = data.sample();
    if (!sample) return reply.code(204).send();
    const { rows, dim, values } = await sample.catch((error: Error) => {
      throw Object.assign(error, { statusCode: 503 });
    });
    return reply
      .headers({
        'x-rows': String(rows),
        'x-dim': String(dim),
        'x-rows-in-all': String(data.info().data.rows),
      })
      .type('application/octet-stream')
      .send(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  });
  app.get<{ Querystring: { rows?: unknown } }>('/api/rows', async ({ query }, reply) => {
    const { readRows, rowNumbers } = await import('./rows.ts');
    const raw = await data.raw();
    if (!raw) return reply.code(204).send();
    const rows = rowNumbers(query.rows, raw.rows);
    if (!rows)
      return reply.code(400).send({ error: `rows=0,1,… takes at most 24 numbers below ${raw.rows}` });
    return readRows(raw, rows);
  });
  for (const [path, read] of Object.entries({ result: outcomeOf, clusters: describedClusters }))
    app.get(`/api/${path}`, async (_request, reply) => {
      const { status, out } = data.info();
      const found = status === 'done' ? read(out) : null;
      return found ?? reply.code(204).send();
    });
  app.get('/api/stream', { exposeHeadRoute: false }, (_request, reply) => {
    reply.hijack();
    stream.add(reply.raw);
  });
}
