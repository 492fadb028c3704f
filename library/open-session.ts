import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { cannotListen } from '../base/address.ts';
import type { Disposers } from '../base/disposers.ts';
import { realPath } from '../base/files.ts';
import { keepSpareDescriptors } from '../base/limits.ts';
import { dpmeshVersion } from '../base/package.ts';
import { oneLine } from '../base/text.ts';
import type { DataCheck } from '../coordinator/fit/data-check.ts';
import {
  assertNotAmong,
  assertSameShape,
  openCheckpoint,
  openDirectory,
  openLabels,
  openNewRows,
  openRows,
  type RunLocation,
} from '../coordinator/fit/inputs.ts';
import type { EarlyFinish } from '../coordinator/fit/stage.ts';
import type { Trainer, TrainerHost } from '../coordinator/fit/trainer.ts';
import type { Server, ServerOptions } from '../coordinator/rounds/server.ts';
import { absolute } from '../data/remote/address.ts';
import type { Source } from '../data/source.ts';
import type { Layout } from '../model/layout.ts';
import type { Monitor } from '../page/live/monitor.ts';
import type { Http, HttpOptions } from '../page/port.ts';
import type { Drawing } from '../page/report/drawing.ts';
import type { AllowList } from '../proto/keys.ts';
import type { RunEnd } from '../proto/messages.ts';
import type { RunConfig } from '../run/config.ts';
import type { RunEvent, TimedEvent } from '../run/events.ts';
import type { RunDirectory } from '../run/run-directory.ts';
import type { UpdateRequest } from '../run/run-file.ts';
import type { Summary } from '../run/summary.ts';

/** What a session needs besides the run's config; none of it changes the result. */
export interface SessionOptions extends RunLocation {
  /** The address that workers connect to. */
  bind: string;
  /** The coordinator's keys; without them connections are not encrypted and every worker may join. */
  keys?: CoordinatorKeys;
  /** Accept workers of any numeric identity. */
  mixed: boolean;
  /** Let workers read the data file themselves if they can. */
  sharedFiles: boolean;
  /** The run is an update of this one. */
  update?: UpdateRequest;
  /** The workers read the very file of the coordinator: this process starts them on this machine. */
  sameFiles?: boolean;
  /** Seconds of silence after which a worker's shards are reassigned. */
  heartbeatTimeout: number;
  /** Maximum number of seconds between two checkpoints. */
  checkpointEvery: number;
  /** Where to serve the live page and metrics; null: nowhere. */
  http: HttpOptions | null;
  /** Seconds for which page and metrics stay available after the run. */
  linger: number;
  /** Draw a report after the run. */
  report: boolean;
  /** The trainer for its host; by default one in a thread of its own. */
  trainerFor?: (host: TrainerHost) => Trainer;
  /** Starts the workers. Called when the coordinator is listening. */
  start: (server: Server) => StartedWorkers;
  listener: SessionListener;
  /** Ends the run early, with results. */
  earlyFinish: EarlyFinish;
  /** Interrupts the session: what has been computed is saved. */
  signal: AbortSignal;
}

export interface CoordinatorKeys {
  secret: string;
  allowed: AllowList;
  reload?: KeyReload;
}

/** Reloads the list of allowed keys during a run. */
export interface KeyReload {
  /** Reads the current list. UserError if it is invalid. */
  read(): AllowList;
  /** Calls `reload` at each request to reload the list. */
  onRequest(reload: () => void): void;
}

/** The workers of a session. */
export interface StartedWorkers {
  /** Resolves when the first round may begin. */
  ready: Promise<void>;
  /** Rejects if the workers cannot go on. */
  failed?: Promise<never>;
  stop(): Promise<void>;
}

/** Receives what happens in a session, as it happens. */
export interface SessionListener {
  event(event: TimedEvent): void;
  /** A message for people that is not an event. */
  log(line: string): void;
  /** How far reading is: a text that the next one replaces, many a second. */
  status?(text: string): void;
  /** The result, before page and metrics linger. `report`: the path of report.html; null if there is none. */
  result(summary: Summary, report: string | null): void;
  /** The run is over, and its page and metrics linger; `error`: why it has failed. */
  lingers(error?: unknown): void;
}

/** Choosing this many initial clusters takes long enough to announce it. */
const MANY_CLUSTERS = 100;

/** How a session is interrupted, and how what it has opened is closed. */
export interface SessionScope {
  /** Aborts when the session is to be interrupted. */
  stopping: AbortController;
  /** Resolves when `stopping` aborts. */
  interrupted: Promise<null>;
  /** Closes what was opened, last opened first. */
  closing: Disposers;
  progress: SessionProgress;
}

export interface SessionProgress {
  out?: RunDirectory;
  monitor?: Monitor;
  /** The results are written; replicates may follow. */
  written?: boolean;
  /** How the run ended, which workers are told. */
  ended?: RunEnd;
  /** The run has ended, successfully or not; its page and metrics may linger. */
  over: boolean;
  /** Why it has failed. */
  error?: unknown;
}

type Output = Awaited<ReturnType<typeof openOutput>>;
type Inputs = Awaited<ReturnType<typeof openInputs>>;

/**
 * Opens everything that a session needs before its first round: output, inputs, server and workers. Rejects if the session
 * is interrupted before; `scope.closing` then closes at once whatever is still being opened.
 */
export async function openSession(config: RunConfig, options: SessionOptions, scope: SessionScope) {
  scope.stopping.signal.throwIfAborted();
  scope.closing.defer(keepSpareDescriptors());
  const output = await openOutput(config, options, scope);
  const inputs = await openInputs(config, options, output, scope);
  return { ...output, ...inputs, ...(await openServer(config, options, output, inputs, scope)) };
}

/** Opens the run directory and what shows the run: the monitor, and the process that draws the report. */
async function openOutput(config: RunConfig, options: SessionOptions, scope: SessionScope) {
  const { listener } = options;
  const { stopping, closing, progress } = scope;
  // Warnings become events once there is a log of events.
  const early: string[] = [];
  let warn = (message: string) => void early.push(message);
  const out = await openDirectory(config, options, (message) => warn(message));
  closing.defer(out.close);
  stopping.signal.throwIfAborted();
  progress.out = out;
  const drawing = drawingProcess(closing);
  const monitor = options.http && (await createRunMonitor(options));
  if (monitor) progress.monitor = monitor;
  const emit = (event: RunEvent) => {
    listener.event(out.event(event));
    monitor?.event(event);
    if (event.type === 'start' && config.initK >= MANY_CLUSTERS)
      listener.log(`choosing ${config.initK} clusters to start from …`);
    // The process loads its modules during the full pass.
    if (event.type === 'end' && options.report) drawing().catch(() => {});
  };
  warn = (message) => {
    emit({ type: 'warning', message });
  };
  early.forEach(warn);
  if (options.mixed)
    warn(
      '--mixed: workers may have different numeric identities; the result depends on which worker computes what',
    );
  const id = options.resume?.run.id ?? randomBytes(4).toString('hex');
  return { out, drawing, monitor, emit, warn, id };
}

/** Opens checkpoint, rows and labels, and checks that they fit each other and this machine's memory. */
async function openInputs(
  config: RunConfig,
  { resume, update, out: elsewhere, checkpointEvery, listener }: SessionOptions,
  { out, emit, warn, id }: Output,
  { stopping, closing }: SessionScope,
) {
  const from = resume ? await openCheckpoint(config, resume, elsewhere === undefined, warn) : null;
  const how = { warn, log: listener.log, status: listener.status, signal: stopping.signal };
  const { source, leftOut } = update
    ? await openNewRows(config, update, how)
    : await openRows(config, resume, how);
  closing.defer(source.close);
  assertNotAmong(source, config.data, out.path);
  stopping.signal.throwIfAborted();
  if (leftOut !== null)
    listener.log(
      oneLine(`column ${leftOut} of ${config.data} is left out of the rows: it holds the --labels`),
    );
  if (resume) assertSameShape(config.data, source, resume);
  const { checkMemory, gaussianCost, layoutFor } = await import('../coordinator/fit/preparation/limits.ts');
  const layout = layoutFor(config, source, update !== undefined);
  checkMemory(config, layout);
  const cost = gaussianCost(config, layout);
  if (cost && !resume) warn(`${config.data}: ${cost}`);
  const labels = await openLabels(config, source, leftOut, resume, how);
  stopping.signal.throwIfAborted();
  const { checkpointFolder, createCheckpoints } = await import('../run/checkpoints.ts');
  // One of another folder is not there for the next `resume` of this one.
  const saved = from && realPath(dirname(from.path)) === realPath(checkpointFolder(out.path)) ? from : null;
  const checkpoints = createCheckpoints({
    ...{ run: out.path, id, every: checkpointEvery, emit, warn, saved },
    assertThere: out.assertThere,
  });
  return { from, source, leftOut, layout, labels, checkpoints };
}

/** Opens the ports for workers and for the live page, and starts the workers. */
async function openServer(
  config: RunConfig,
  options: SessionOptions,
  { out, monitor, emit, warn, id }: Output,
  inputs: Inputs,
  { stopping, interrupted, closing, progress }: SessionScope,
) {
  const { keys, http, linger } = options;
  const { log } = options.listener;
  const { layout, source, checkpoints } = inputs;
  const served = { layout, source };
  let page: Http | null = null;
  closing.defer(async () => {
    if (page && progress.over && monitor!.lingers(linger)) {
      options.listener.lingers(progress.error);
      if (linger > 0) log(`${page.url} stays for ${linger} s`);
      await monitor!.linger(linger, interrupted);
    }
    await page?.close();
  });
  const { createAuthenticator } = await import('../proto/authenticator.ts');
  const authenticator = keys && createAuthenticator(keys.secret, keys.allowed, log);
  const listeners = { emit, log, roundListener: monitor?.roundListener };
  const file = await sharedFile(config, options, inputs);
  const server = await listenForWorkers(options, inputs, served, { file, authenticator, ...listeners });
  let check: DataCheck | null = null;
  if (!options.sameFiles) {
    const { createDataCheck } = await import('../coordinator/fit/data-check.ts');
    check = createDataCheck({ source, layout, path: config.data, misread: server.misread });
    closing.defer(check.stop);
  }
  let workers: StartedWorkers | null = null;
  closing.defer(async () => {
    // At the same time: a worker that ends because the server tells it to must not be restarted.
    await Promise.all([server.close(progress.ended), workers?.stop()]);
  });
  stopping.signal.throwIfAborted();
  const reload = keys?.reload;
  reload?.onRequest(() => server.rereadKeys(reload.read));
  const versions = { dpmesh: dpmeshVersion(), node: process.version };
  if (monitor) {
    const run = {
      http: http!,
      out,
      config,
      versions,
      id,
      layout,
      source: () => served.source,
      raw: () => source,
      server,
      checkpoints,
    };
    const opened = await monitor.open({
      ...run,
      finish: options.earlyFinish.ask,
      stop: () => stopping.abort(),
    });
    if (stopping.signal.aborted) await opened.close();
    stopping.signal.throwIfAborted();
    page = opened;
    log(`watch it at ${page.url}${page.moved ? ` (port ${http!.port} is taken)` : ''}`);
  }
  workers = options.start(server);
  // These load while the workers start.
  const trainerFor = options.trainerFor ?? (await threadedTrainer(closing));
  const { aboutData, readingOf } = await import('../coordinator/fit/reading/reading.ts');
  const dispatcher = aboutData(server.dispatcher, config.data);
  const { publish, round } = dispatcher;
  const serve = (source: Source, layout: Layout): void => {
    const isOwn = source === inputs.source;
    if (!isOwn) closing.defer(source.close);
    Object.assign(served, { source, layout });
    server.serve(layout, isOwn ? file : null);
  };
  const { observer, held } = monitor ?? {};
  return {
    ...{ server, check, workers, versions, serve, observer, held, dispatcher },
    reading: readingOf(server, dispatcher, { source, served, check }),
    trainer: trainerFor({ publish, round, emit, warn }),
  };
}

/** Gives a host its trainer in a thread that ends with the session. */
async function threadedTrainer(closing: Disposers): Promise<(host: TrainerHost) => Trainer> {
  const { startThread, trainerIn } = await import('../coordinator/fit/start-trainer.ts');
  const thread = startThread();
  closing.defer(() => thread.terminate());
  return (host) => trainerIn(thread, host);
}

/** Starts the process that draws the report when it is first needed. It ends with the session. */
function drawingProcess(closing: Disposers): () => Promise<Drawing> {
  let drawing: Promise<Drawing> | null = null;
  closing.defer(() =>
    drawing?.then(
      ({ stop }) => stop(),
      () => {},
    ),
  );
  return () => (drawing ??= import('../page/report/drawing.ts').then(({ startDrawing }) => startDrawing()));
}

/** The monitor, which also has the events of a resumed run's earlier sessions. */
async function createRunMonitor({ resume }: SessionOptions): Promise<Monitor> {
  const { createMonitor } = await import('../page/live/monitor.ts');
  if (!resume) return createMonitor();
  const { linesOf } = await import('../run/event-log.ts');
  const { eventsIn } = await import('../run/run-path.ts');
  return createMonitor(linesOf(eventsIn(resume.path)));
}

/** The data file, if workers may read it themselves. */
async function sharedFile(
  config: RunConfig,
  { sharedFiles }: SessionOptions,
  { source, layout }: Inputs,
): Promise<ServerOptions['file']> {
  // Others than this process have no logarithms.
  if (!sharedFiles || source.logged) return null;
  const { firstBlockHash } = await import('../data/blocks.ts');
  return {
    path: source.file ?? absolute(config.data),
    ...(source.array !== undefined && { array: source.array }),
    firstBlock: await firstBlockHash(source, layout),
  };
}

async function listenForWorkers(
  { bind, resume, heartbeatTimeout, mixed }: SessionOptions,
  { layout }: Inputs,
  served: { source: Source; layout: Layout },
  rest: Pick<ServerOptions, 'file' | 'authenticator' | 'emit' | 'log' | 'roundListener'>,
): Promise<Server> {
  const { startServer } = await import('../coordinator/rounds/server.ts');
  const { TASKS: tasks } = await import('../tasks/table.ts');
  const { readBlocks } = await import('../data/blocks.ts');
  const read = (blocks: number[]) => readBlocks(served.source, served.layout, blocks);
  return startServer({
    tasks,
    bind,
    layout,
    readBlocks: read,
    async verify(unit, hashes) {
      const { problemWith } = await import('../coordinator/fit/data-check.ts');
      return problemWith(unit, served.layout, read, hashes);
    },
    identity: resume?.run.identity,
    mixed,
    heartbeatTimeout: heartbeatTimeout * 1000,
    ...rest,
  }).catch((error) => {
    throw cannotListen(bind, error);
  });
}
