import { existsSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { join, resolve } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import type { BindAddress } from '../../base/address.ts';
import { coalesce } from '../../base/http.ts';
import type { Server } from '../../coordinator/rounds/server.ts';
import { MAP } from '../../data/row-parts.ts';
import type { Source } from '../../data/source.ts';
import type { Layout } from '../../model/layout.ts';
import { softCounts } from '../../model/mixture.ts';
import type { Layer } from '../../model/nets/net.ts';
import { weightSmoothing } from '../../model/schedule.ts';
import { type Classifier, classifierOf } from '../../model/state.ts';
import { bytesOf } from '../../proto/tensors.ts';
import type { RunConfig } from '../../run/config.ts';
import { withAbsolutePaths } from '../../run/run-file.ts';
import { runFiles } from '../../run/run-files.ts';
import { readPastUpdates, readSavedClusters } from '../../run/saved-clusters.ts';
import type { Summary } from '../../run/summary.ts';
import { modelOf, type Outcome, type RunInfo, type StateOf } from '../drawing/api.ts';
import type { DisplaySample } from '../drawing/display-sample.ts';
import { type MapSource, ofSample } from '../drawing/map.ts';
import { type MappedRunFile, sampleOfMap, wholeMapOf } from '../map.ts';
import { addPages, createGuardedApp, pageFile } from '../pages.ts';
import { addStream, type MessageStream } from '../port.ts';
import { serveRun } from '../routes.ts';
import { readSample } from '../rows.ts';
import type { Counters } from './counters.ts';
import type { Recorder } from './recorder.ts';

/** What the HTTP port of a run answers. */

/** A run and what the HTTP port reads of it. */
export interface MonitoredRun {
  /** Name of the run directory. */
  name: string;
  /** Path of the run directory. */
  out: string;
  config: RunConfig;
  versions: Record<string, string>;
  /** Tells it apart from other runs of its name. */
  id: string;
  layout: Layout;
  /** The rows that are clustered, as of now. */
  source: () => Source;
  /** The rows of the data: where there is an encoder, their latent vectors are clustered. */
  raw: () => Source;
  server: Server;
  recorder: Recorder;
  counters: Counters;
  controls: Controls;
  /** Called after each scrape by Prometheus. */
  scraped(): void;
}

/** How HTTP clients control the run. Each but `finish` returns null, or why the request is rejected. */
export interface Controls {
  pause(): string | null;
  resume(): string | null;
  /** Resolves when the checkpoint has been written. */
  checkpoint(): Promise<string | null>;
  /** Ends the run early, with results: what happens now, or why the request is rejected. */
  finish(): { what: string } | { problem: string };
  stop(): string | null;
}

export interface LiveAppOptions {
  run: MonitoredRun;
  bound: BindAddress;
  token: string | null;
  stream: MessageStream;
}

/** Creates the request handler. This module is loaded with the first request, so that a run without clients does not pay for it. */
export async function createApp(options: LiveAppOptions): Promise<RequestListener> {
  const app = createGuardedApp(options);
  addPages(app);
  // Browsers request it on their own and report an error if it is missing.
  app.get('/favicon.ico', async (_request, reply) => {
    const file = await pageFile('favicon.ico');
    return file ? reply.type(file.type).send(file.body) : reply.code(204).send();
  });
  addProbes(app, options);
  addData(app, options);
  addControls(app, options);
  await app.ready();
  return app.routing;
}

/** Endpoints for monitoring systems: metrics, health and readiness. */
function addProbes(app: FastifyInstance, { run, stream }: LiveAppOptions): void {
  const { recorder, server } = run;
  // Loaded with the first scrape: it adds half to the start-up time.
  let registry: Promise<Registry> | null = null;
  const registryOf = () =>
    (registry ??= import('./prometheus.ts').then(({ createMetrics }) =>
      createMetrics({ ...run, streamClients: stream.clients }),
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

/** The data for the page. */
function addData(app: FastifyInstance, { run, stream }: LiveAppOptions): void {
  const { recorder } = run;
  const whenDone =
    <T>(read: (out: string) => T) =>
    async () =>
      recorder.status() === 'done' ? read(run.out) : null;
  const bodies = {
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
  };
  for (const [name, read] of Object.entries(bodies))
    app.get(`/api/${name}`, async (_request, reply) => {
      const body = await read();
      return body ? reply.type('application/json; charset=utf-8').send(body) : reply.code(204).send();
    });
  const sampleOf = currentSample(run);
  app.get('/api/sample', async (_request, reply) => {
    const sample = sampleOf();
    if (!sample) return reply.code(204).send();
    const { rows, dim, numbers } = await sample.catch((error: Error) => {
      throw Object.assign(error, { statusCode: 503 });
    });
    return reply
      .headers({ 'x-rows': `${numbers.length}`, 'x-dim': `${dim}`, 'x-rows-in-all': `${run.layout.rows}` })
      .type('application/octet-stream')
      .send(bytesOf(rows));
  });
  let map: MapSource | null = null;
  serveRun(app, {
    info: async () => runInfo(run),
    outcome: whenDone(outcomeOf),
    described: whenDone((out) => readSavedClusters(runFiles(out))),
    updates: whenDone((out) => readPastUpdates(runFiles(out))),
    source: async () => run.raw(),
    async map() {
      if (recorder.status() !== 'done') return null;
      // The report makes it, in a process of its own.
      const of = () => runFiles(run.out).json('run.json') as MappedRunFile;
      map ??= await wholeMapOf(run.out, of(), false).then(
        // The server ends before there is time for more.
        (found) => found && ofSample(sampleOfMap(found)),
      );
      return map ?? (existsSync(join(run.out, MAP)) ? 'later' : null);
    },
  });
  addStream(app, stream);
}

/** Returns a function for the rows of the plot, which are others after each alternation; null: there are none yet. */
function currentSample(run: MonitoredRun): () => Promise<DisplaySample> | null {
  let sample: Promise<DisplaySample> | null = null;
  let sampled: unknown = null;
  return () => {
    const prepared = run.recorder.run();
    if (!prepared) return null;
    if (sampled !== prepared.run) sample = null;
    sampled = prepared.run;
    sample ??= readSample(run.source(), prepared.run.transform).catch((error) => {
      sample = null;
      throw error;
    });
    return sample;
  };
}

function addControls(app: FastifyInstance, { run: { controls } }: LiveAppOptions): void {
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

/** The body of `/api/run`. */
function runInfo(run: MonitoredRun): RunInfo {
  const { name, out, config, versions, layout, server, recorder } = run;
  return {
    name,
    out,
    status: recorder.status(),
    config: { ...withAbsolutePaths(config) },
    versions,
    identity: server.identity(),
    workers: server.members().flatMap(({ worker, state }) => (state === 'up' ? [worker] : [])),
    data: {
      path: withAbsolutePaths(config).data,
      rows: layout.rows,
      dim: layout.dim,
      sample: recorder.run()?.sampleRows ?? null,
    },
    controls: true,
  };
}

/** The body of `/api/state`: the current mixture, and what labels rows; null: not initialized yet. */
function currentState({ recorder, config }: Pick<MonitoredRun, 'recorder' | 'config'>): StateOf | null {
  const snapshot = recorder.snapshot();
  if (!snapshot) return null;
  const { state, run, sampleRows, preparations, ...rest } = snapshot;
  return {
    ...{ epoch: state.epoch, frozen: state.frozen, sample: preparations },
    ...rest,
    ...(state.groups && { groups: [...state.groups] }),
    sizes: softCounts(state.mixture.weights, sampleRows, weightSmoothing(config.schedule)),
    ...modelOf(state.mixture, run.transform),
    classifier: inBase64(classifierOf(config.schedule, state, run.transform.scale)),
  };
}

function inBase64(by: Classifier): StateOf['classifier'] {
  const both = <W extends Pick<Layer, 'weights' | 'bias'>>(of: W) => ({
    ...{ ...of, weights: base64(of.weights), bias: base64(of.bias) },
  });
  if ('net' in by) return { net: by.net.map(both) };
  return { mixture: { ...both(by.mixture), constant: base64(by.mixture.constant) } };
}

const base64 = (values: Float32Array) => bytesOf(values).toString('base64');

/** The scores of a run that is done, and where its results are; null if there are none. UserError for a damaged file. */
function outcomeOf(out: string): Outcome | null {
  const { result } = runFiles(out).json('run.json') as { result: Summary | null };
  if (!result) return null;
  const report = resolve(join(out, 'report', 'report.html'));
  return { result, directory: resolve(out), report: existsSync(report) ? report : null };
}
