import type { IncomingMessage, ServerResponse } from 'node:http';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Registry } from 'prom-client';
import type { BindAddress } from '../../../base/address.ts';
import { coalesce } from '../../../base/coalesce.ts';
import { hasToken, isOwnHost, isSameOrigin, SECURITY_HEADERS } from '../../../base/http.ts';
import { type Page, pageFile, plainPage } from './pages.ts';
import { currentState, type MonitoredRun, runInfo } from './responses.ts';
import { describedClusters, outcomeOf } from './results.ts';
import { type DisplaySample, readSample } from './sample.ts';
import type { Stream } from './stream.ts';

export interface AppOptions {
  run: MonitoredRun;
  bound: BindAddress;
  token: string | null;
  stream: Stream;
}

export type Handle = (request: IncomingMessage, response: ServerResponse) => void;

const NO_COMPILERS = { buildValidator: () => () => () => true, buildSerializer: () => () => JSON.stringify };

/** Creates the request handler. This module is loaded with the first request, so that a run without clients does not pay for it. */
export async function createApp(options: AppOptions): Promise<Handle> {
  const app = fastify({
    logger: false,
    bodyLimit: 1 << 10,
    exposeHeadRoutes: true,
    // For malformed URLs, which no hook sees.
    frameworkErrors: (_error, _request, reply: FastifyReply) =>
      reply.headers(SECURITY_HEADERS).code(400).type('text/plain').send('malformed URL\n'),
    // No route has a schema, and loading the schema compilers would double the start-up time.
    schemaController: { compilersFactory: NO_COMPILERS as never },
  });
  addGuards(app, options);
  addPages(app);
  addProbes(app, options);
  addApi(app, options);
  addControls(app, options);
  await app.ready();
  return app.routing;
}

/** Access control, request bodies and errors. */
function addGuards(app: FastifyInstance, { bound, token }: AppOptions): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...SECURITY_HEADERS, 'cache-control': 'no-cache' });
    const { authorization, host } = request.headers;
    const trusted = token !== null && hasToken(authorization, token);
    if (!trusted && !isOwnHost(host, bound))
      return reply.code(421).type('text/plain').send('the Host header does not name this server\n');
    if (token !== null && authorization !== undefined && !trusted) return unauthorized(reply);
    if (isRead(request)) return;
    if (!isSameOrigin(request))
      return reply.code(403).send({ error: 'pages of other origins may not do this' });
    if (token !== null && !trusted) return unauthorized(reply);
  });
  // Requests are fully determined by their path: bodies are ignored.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, body, done) => {
    body.resume();
    done(null);
  });
  app.setErrorHandler((error, _request, reply) => {
    const { statusCode = 500, message } = error as { statusCode?: number; message: string };
    return reply.code(statusCode).send({ error: statusCode < 500 ? message : 'internal error' });
  });
}

const isRead = ({ method }: FastifyRequest) => method === 'GET' || method === 'HEAD';

function unauthorized(reply: FastifyReply) {
  return reply
    .code(401)
    .header('www-authenticate', 'Bearer')
    .send({ error: 'the token is missing or wrong' });
}

/** The live page and its files. */
function addPages(app: FastifyInstance): void {
  const page = (reply: FastifyReply, { type, body }: Page, code = 200) =>
    reply.code(code).type(type).send(body);
  app.setNotFoundHandler(async (request, reply) => {
    const file = isRead(request) ? await pageFile(request.url.slice(1).split('?')[0]) : null;
    if (file) return page(reply, file);
    return page(reply, plainPage('Not found', 'There is no page at this address.'), 404);
  });
  app.get('/', async (_request, reply) =>
    page(
      reply,
      (await pageFile('index.html')) ??
        plainPage('dpmesh', 'The live page has not been built; run npm run build. Everything else works.'),
    ),
  );
  // Browsers request it on their own and report an error if it is missing.
  app.get('/favicon.ico', async (_request, reply) => {
    const file = await pageFile('favicon.ico');
    return file ? page(reply, file) : reply.code(204).send();
  });
}

/** Endpoints for monitoring systems: metrics, health and readiness. */
function addProbes(app: FastifyInstance, { run, stream }: AppOptions): void {
  const { recorder, server } = run;
  // Loaded with the first scrape: it adds half to the start-up time.
  let registry: Promise<Registry> | null = null;
  const registryOf = () =>
    (registry ??= import('../prometheus.ts').then(({ createMetrics }) =>
      createMetrics({
        ...run,
        version: run.versions.dpmesh,
        rows: run.layout.rows,
        streamClients: stream.clients,
      }),
    ));
  const metrics = coalesce(async () => (await registryOf()).metrics());
  app.get('/metrics', async (_request, reply) => {
    const { contentType } = await registryOf();
    return reply.type(contentType).send(await metrics());
  });
  app.get('/healthz', async (_request, reply) => {
    const status = recorder.status();
    return reply.code(status === 'failed' ? 503 : 200).send({ status });
  });
  app.get('/readyz', async (_request, reply) => {
    const status = recorder.status();
    const workers = server.members().filter(({ state }) => state === 'up').length;
    const ready = workers > 0 && ['running', 'paused', 'finishing'].includes(status);
    return reply.code(ready ? 200 : 503).send({ status, workers });
  });
}

/** The data for the live page and `dpmesh watch`. */
function addApi(app: FastifyInstance, { run, token, stream }: AppOptions): void {
  const { recorder } = run;
  app.get('/api/run', async () => runInfo(run, token !== null));
  const history = coalesce(
    () => JSON.stringify(recorder.history()),
    () => recorder.version('history'),
  );
  const state = coalesce(
    () => {
      const current = currentState(run);
      return current && JSON.stringify(current);
    },
    () => recorder.version('snapshot'),
  );
  for (const [path, read] of Object.entries({ history, state }))
    app.get(`/api/${path}`, async (_request, reply) => {
      const body = await read();
      return body ? reply.type('application/json; charset=utf-8').send(body) : reply.code(204).send();
    });
  let sample: Promise<DisplaySample> | null = null;
  let sampled: unknown = null;
  app.get('/api/sample', async (_request, reply) => {
    const prepared = recorder.run();
    if (!prepared) return reply.code(204).send();
    if (sampled !== prepared.run) sample = null;
    sampled = prepared.run;
    sample ??= readSample(run.source(), prepared.run.transform);
    const { rows, dim, values } = await sample.catch((error: Error) => {
      sample = null;
      throw Object.assign(error, { statusCode: 503 });
    });
    return reply
      .headers({
        'x-rows': String(rows),
        'x-dim': String(dim),
        'x-rows-in-all': String(run.source().rows),
      })
      .type('application/octet-stream')
      .send(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  });
  app.get<{ Querystring: { rows?: unknown } }>('/api/rows', async ({ query }, reply) => {
    const { readRows, rowNumbers } = await import('./rows.ts');
    const raw = run.raw();
    const rows = rowNumbers(query.rows, raw.rows);
    if (!rows)
      return reply.code(400).send({ error: `rows=0,1,… takes at most 24 numbers below ${raw.rows}` });
    return readRows(raw, rows);
  });
  for (const [path, read] of Object.entries({ result: outcomeOf, clusters: describedClusters }))
    app.get(`/api/${path}`, async (_request, reply) => {
      const found = recorder.status() === 'done' ? read(run.out) : null;
      return found ?? reply.code(204).send();
    });
  app.get('/api/stream', { exposeHeadRoute: false }, (_request, reply) => {
    reply.hijack();
    stream.add(reply.raw);
  });
}

function addControls(app: FastifyInstance, { run: { controls } }: AppOptions): void {
  const { pause, resume, checkpoint, finish, stop } = controls;
  for (const [name, act] of Object.entries({ pause, resume, checkpoint, stop }))
    app.post(`/api/${name}`, async (_request, reply) => {
      const problem = await act();
      return problem === null ? reply.code(204).send() : reply.code(409).send({ error: problem });
    });
  app.post('/api/finish', async (_request, reply) => {
    const answer = finish();
    return 'what' in answer ? { message: answer.what } : reply.code(409).send({ error: answer.problem });
  });
}
