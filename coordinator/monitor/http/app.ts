import type { IncomingMessage, ServerResponse } from 'node:http';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Registry } from 'prom-client';
import type { BindAddress } from '../../../base/address.ts';
import { hasToken, isOwnHost, isSameOrigin, SECURITY_HEADERS } from '../../../base/http.ts';
import { aboutRun, newestState, type Watched } from './answers.ts';
import { type Page, pageFile, plainPage } from './pages.ts';
import { readSample, type Sample } from './sample.ts';
import { shared } from './shared.ts';
import type { Stream } from './stream.ts';

export interface AppOptions {
  watched: Watched;
  bound: BindAddress;
  token: string | null;
  stream: Stream;
}

export type Handle = (request: IncomingMessage, response: ServerResponse) => void;

const NO_COMPILERS = { buildValidator: () => () => () => true, buildSerializer: () => () => JSON.stringify };

/** Loaded with the first request: a run that nobody watches does not pay for it. */
export async function createApp(options: AppOptions): Promise<Handle> {
  const app = fastify({
    logger: false,
    bodyLimit: 1 << 10,
    exposeHeadRoutes: true,
    // Of an address that is none; no hook sees these.
    frameworkErrors: (_error, _request, reply: FastifyReply) =>
      reply.headers(SECURITY_HEADERS).code(400).type('text/plain').send('not an address\n'),
    // No route has a schema: its compilers would take as long to load as all the rest.
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

/** Who is let in, and what becomes of bodies and errors. */
function addGuards(app: FastifyInstance, { bound, token }: AppOptions): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...SECURITY_HEADERS, 'cache-control': 'no-cache' });
    const { authorization, host } = request.headers;
    const trusted = token !== null && hasToken(authorization, token);
    if (!trusted && !isOwnHost(host, bound))
      return reply.code(421).type('text/plain').send('not a name of this server\n');
    if (token !== null && authorization !== undefined && !trusted) return unauthorized(reply);
    if (isRead(request)) return;
    if (!isSameOrigin(request))
      return reply.code(403).send({ error: 'a page of another origin may not do this' });
    if (token !== null && !trusted) return unauthorized(reply);
  });
  // What is asked for stands in the path: a body says nothing.
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
  return reply.code(401).header('www-authenticate', 'Bearer').send({ error: 'a wrong token, or none' });
}

/** The live page and its files. */
function addPages(app: FastifyInstance): void {
  const page = (reply: FastifyReply, { type, body }: Page, code = 200) =>
    reply.code(code).type(type).send(body);
  app.setNotFoundHandler(async (request, reply) => {
    const file = isRead(request) ? await pageFile(request.url.slice(1).split('?')[0]) : null;
    if (file) return page(reply, file);
    return page(reply, plainPage('Not found', 'There is nothing at this address.'), 404);
  });
  app.get('/', async (_request, reply) =>
    page(
      reply,
      (await pageFile('index.html')) ??
        plainPage('dpmesh', 'The live page has not been built: npm run build makes it. All else works.'),
    ),
  );
  // Browsers ask for it unasked, and complain.
  app.get('/favicon.ico', async (_request, reply) => {
    const file = await pageFile('favicon.ico');
    return file ? page(reply, file) : reply.code(204).send();
  });
}

/** What monitoring systems ask for: metrics, and how the run is. */
function addProbes(app: FastifyInstance, { watched, stream }: AppOptions): void {
  const { recorder, server } = watched;
  // Another third of what there is to load, for who scrapes only.
  let registry: Promise<Registry> | null = null;
  const registryOf = () =>
    (registry ??= import('../prometheus.ts').then(({ createMetrics }) =>
      createMetrics({
        ...watched,
        version: watched.versions.dpmesh,
        rows: watched.layout.rows,
        streamClients: stream.clients,
      }),
    ));
  const metrics = shared(async () => (await registryOf()).metrics());
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

/** What the live page shows, and `dpmesh watch`. */
function addApi(app: FastifyInstance, { watched, token, stream }: AppOptions): void {
  const { recorder } = watched;
  app.get('/api/run', async () => aboutRun(watched, token !== null));
  const history = shared(
    () => JSON.stringify(recorder.history()),
    () => recorder.version('history'),
  );
  const state = shared(
    () => {
      const found = newestState(watched);
      return found && JSON.stringify(found);
    },
    () => recorder.version('newest'),
  );
  for (const [path, newest] of Object.entries({ history, state }))
    app.get(`/api/${path}`, async (_request, reply) => {
      const found = await newest();
      return found ? reply.type('application/json; charset=utf-8').send(found) : reply.code(204).send();
    });
  let sample: Promise<Sample> | null = null;
  app.get('/api/sample', async (_request, reply) => {
    const known = recorder.run();
    if (!known) return reply.code(204).send();
    sample ??= readSample(watched.source, known.run.transform);
    const { rows, dim, values } = await sample.catch((error: Error) => {
      sample = null;
      throw Object.assign(error, { statusCode: 503 });
    });
    return reply
      .headers({ 'x-rows': String(rows), 'x-dim': String(dim) })
      .type('application/octet-stream')
      .send(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  });
  app.get('/api/stream', { exposeHeadRoute: false }, (_request, reply) => {
    reply.hijack();
    stream.add(reply.raw);
  });
}

function addControls(app: FastifyInstance, { watched: { controls } }: AppOptions): void {
  const { pause, resume, checkpoint, stop } = controls;
  for (const [name, act] of Object.entries({ pause, resume, checkpoint, stop }))
    app.post(`/api/${name}`, async (_request, reply) => {
      const problem = await act();
      return problem === null ? reply.code(204).send() : reply.code(409).send({ error: problem });
    });
}
