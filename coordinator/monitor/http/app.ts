import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import type { BindAddress } from '../../../base/address.ts';
import { coalesce } from '../../../base/http.ts';
import { createGuardedApp, type Handle } from './guards.ts';
import { addPageApi, addPages, type PageData } from './page-api.ts';
import { pageFile } from './pages.ts';
import { currentState, type MonitoredRun, runInfo } from './responses.ts';
import { type DisplaySample, readSample } from './sample.ts';
import type { Stream } from './stream.ts';

export interface AppOptions {
  run: MonitoredRun;
  bound: BindAddress;
  token: string | null;
  stream: Stream;
}

/** Creates the request handler. This module is loaded with the first request, so that a run without clients does not pay for it. */
export async function createApp(options: AppOptions): Promise<Handle> {
  const app = createGuardedApp(options);
  addPages(app);
  // Browsers request it on their own and report an error if it is missing.
  app.get('/favicon.ico', async (_request, reply) => {
    const file = await pageFile('favicon.ico');
    return file ? reply.type(file.type).send(file.body) : reply.code(204).send();
  });
  addProbes(app, options);
  addPageApi(app, liveData(options), options.stream);
  addControls(app, options);
  await app.ready();
  return app.routing;
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
  app.get('/metrics', async (request, reply) => {
    const { contentType } = await registryOf();
    const text = await metrics();
    // All that scrape like Prometheus send it.
    if (request.headers['x-prometheus-scrape-timeout-seconds'] !== undefined) run.scraped();
    return reply.type(contentType).send(text);
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

function liveData({ run }: AppOptions): PageData {
  const { recorder } = run;
  let sample: Promise<DisplaySample> | null = null;
  let sampled: unknown = null;
  return {
    info: () => runInfo(run),
    history: coalesce(
      () => JSON.stringify(recorder.history()),
      () => recorder.version('history'),
    ),
    state: coalesce(
      () => {
        const current = currentState(run);
        return current && JSON.stringify(current);
      },
      () => recorder.version('snapshot'),
    ),
    sample() {
      const prepared = recorder.run();
      if (!prepared) return null;
      if (sampled !== prepared.run) sample = null;
      sampled = prepared.run;
      sample ??= readSample(run.source(), prepared.run.transform).catch((error) => {
        sample = null;
        throw error;
      });
      return sample;
    },
    raw: async () => run.raw(),
  };
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
