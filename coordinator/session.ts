import { join, resolve } from 'node:path';
import { createDisposers, type Disposers } from '../base/disposers.ts';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import type { Labels } from '../data/labels.ts';
import type { Source } from '../data/source.ts';
import type { Layout } from '../model/layout.ts';
import type { Authenticator } from '../proto/authenticator.ts';
import type { AllowList } from '../proto/keys.ts';
import type { Event, TimedEvent } from '../view/events.ts';
import type { Summary } from '../view/summary.ts';
import type { RunConfig } from './config.ts';
import type { DataCheck } from './data-check.ts';
import {
  assertSameShape,
  openCheckpoint,
  openDirectory,
  openLabels,
  openRows,
  type Place,
} from './inputs.ts';
import type { Http, HttpOptions } from './monitor/http/open.ts';
import type { Monitor } from './monitor/monitor.ts';
import type { Drawing } from './report/drawing.ts';
import type { Server, ServerOptions } from './scheduler/server.ts';
import type { RunDirectory } from './storage/run-directory.ts';

/** Clusters to start from that take their time to be chosen. */
const MANY = 100;

export interface SessionOptions extends Place {
  bind: string;
  /** The coordinator's secret key and whom it lets in; without them, everybody. */
  keys?: Keys;
  /** Workers of any numeric identity are let in. */
  mixed: boolean;
  sharedFiles: boolean;
  /** The workers read the very file of the coordinator: they run on this machine, started by this process. */
  sameFiles?: boolean;
  /** Seconds. */
  heartbeatTimeout: number;
  /** Seconds between checkpoints, at the most. */
  checkpointEvery: number;
  /** Where the run is watched; null: nowhere. */
  http: HttpOptions | null;
  /** Seconds for which page and metrics stay when the run is over. */
  linger: number;
  /** Draw the run when it is over. */
  report: boolean;
  /** Starts the workers, now that the coordinator listens. */
  start: (server: Server) => Workers;
  listener: SessionListener;
  /** Asks for an orderly end: what was computed is saved. */
  signal: AbortSignal;
}

export interface Keys {
  secret: string;
  allowed: AllowList;
  reread?: Rereading;
}

/** A list of keys that may change while the run goes. */
export interface Rereading {
  /** The list as it is now. UserError where it is broken. */
  read(): AllowList;
  /** Calls `act` whenever the list is to be read again. */
  asked(act: () => void): void;
}

export interface Workers {
  /** The first round may begin. */
  ready: Promise<void>;
  failed?: Promise<never>;
  stop(): Promise<void>;
}

/** Receives what happens in a session, as it happens. */
export interface SessionListener {
  event(event: TimedEvent): void;
  /** A line for people that is no event. */
  log(line: string): void;
  /** The result, before page and metrics linger. `report`: the path of report.html. */
  result(summary: Summary, report: string | null): void;
}

/** How a session ended. `message`: for people, with the command that resumes the run. */
export type SessionEnd = { how: 'done' } | { how: 'interrupted'; message: string };

/**
 * One session of a run, from its options to its files: checks, the server, rounds, the results, and an orderly end. It
 * knows neither terminal nor signals. UserError for what the user can mend.
 */
export async function session(config: RunConfig, options: SessionOptions): Promise<SessionEnd> {
  const { listener, signal, report } = options;
  const stopping = new AbortController();
  const interrupted = new Promise<null>((resolve) => {
    stopping.signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  const stop = () => stopping.abort();
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  const closing = createDisposers();
  const progress: SessionProgress = { over: false };
  try {
    const opening = open(config, options, { stopping, interrupted, closing, progress });
    opening.catch(() => {});
    // `interrupted` first: where the signal came before, both have settled.
    const opened = await Promise.race([interrupted, opening]);
    if (!opened) return interruption(progress.out);
    const { workers, checkpoints, labels, drawing } = opened;
    const finished = runWithWorkers(config, options, opened);
    finished.catch(() => {});
    const summary = await Promise.race([interrupted, finished, ...(workers.failed ? [workers.failed] : [])]);
    if (!summary) {
      opened.monitor?.ended('stopped');
      await checkpoints.flush();
      return interruption(progress.out);
    }
    opened.monitor?.ended('done');
    progress.over = true;
    const drawn = report ? drawReport(drawing, summary, labels, listener.log) : null;
    listener.result(summary, await Promise.race([drawn, interrupted]));
    return { how: 'done' };
  } catch (error) {
    progress.monitor?.ended('failed');
    progress.over = true;
    throw error;
  } finally {
    // Until the very end: an interrupt then also ends the wait for page and metrics.
    await closing.dispose();
    signal.removeEventListener('abort', stop);
  }
}

interface SessionProgress {
  out?: RunDirectory;
  monitor?: Monitor;
  /** The run has come to its end, good or bad: its last figures may still be fetched. */
  over: boolean;
}

const interruption = (out?: RunDirectory): SessionEnd => ({
  how: 'interrupted',
  message: out?.isOpen()
    ? `stopped; ${out.path} has what was written until now; go on with: dpmesh resume ${out.path}`
    : 'stopped; nothing was written yet',
});

/** How a session comes to its end. */
interface Ending {
  stopping: AbortController;
  interrupted: Promise<null>;
  closing: Disposers;
  progress: SessionProgress;
}

type Opened = Awaited<ReturnType<typeof open>>;

/**
 * Everything up to the first round, in the order in which it is to be closed again, the last first. Rejects where the session
 * is over before; what is opened then is closed at once.
 */
async function open(config: RunConfig, options: SessionOptions, ending: Ending) {
  const { listener, resume, keys, http, linger } = options;
  const { stopping, interrupted, closing, progress } = ending;
  const { log } = listener;
  const assertOn = () => stopping.signal.throwIfAborted();
  assertOn();
  const early: string[] = [];
  let warn = (message: string) => void early.push(message);
  const out = await openDirectory(config, options, (message) => warn(message));
  closing.defer(out.close);
  assertOn();
  progress.out = out;
  const drawing = drawingProcess(closing);
  const monitor = http && (await monitorFor(options));
  if (monitor) progress.monitor = monitor;
  const emit = (event: Event) => {
    listener.event(out.event(event));
    monitor?.event(event);
    if (event.type === 'start' && config.initK >= MANY)
      log(`choosing ${config.initK} clusters to start from, one after the other …`);
    // It loads during the full pass.
    if (event.type === 'end' && options.report) drawing().catch(() => {});
  };
  warn = (message) => {
    emit({ type: 'warning', message });
  };
  early.forEach(warn);
  if (options.mixed) warn('--mixed: workers may differ in their bits, and the result with who computes what');

  const from = resume ? await openCheckpoint(resume, warn) : null;
  const { source, leftOut } = await openRows(config, resume);
  closing.defer(source.close);
  assertOn();
  if (leftOut !== null)
    log(`column ${leftOut} of ${config.data} is left out of the rows: it holds the --labels`);
  if (resume) assertSameShape(config.data, source, resume);
  const { checkMemory, layoutFor } = await import('./training/limits.ts');
  const layout = layoutFor(config, source);
  checkMemory(config, source.dim);
  const labels = await openLabels(config, source.rows, leftOut, warn);
  assertOn();
  const { createCheckpoints } = await import('./storage/checkpoints.ts');
  const { checkpointEvery: every } = options;
  const checkpoints = createCheckpoints({ run: out.path, every, emit, warn, saved: from });

  let page: Http | null = null;
  closing.defer(async () => {
    if (page && progress.over && linger > 0) {
      log(`${page.url} stays for ${linger} s`);
      await monitor!.linger(linger, interrupted);
    }
    await page?.close();
  });
  const { createAuthenticator } = await import('../proto/authenticator.ts');
  const authenticator = keys && createAuthenticator(keys.secret, keys.allowed, log);
  const about = { source, leftOut, layout, authenticator, emit, log, roundListener: monitor?.roundListener };
  let check: DataCheck | null = null;
  const explain = (problem: Error) => check?.explain(problem) ?? problem;
  const server = await serverFor(config, options, { ...about, explain });
  if (options.sharedFiles && !options.sameFiles && leftOut === null) {
    const { createDataCheck } = await import('./data-check.ts');
    check = createDataCheck({ source, layout, path: config.data, workers: server });
    closing.defer(check.stop);
  }
  let workers: Workers | null = null;
  closing.defer(async () => {
    // At the same time: a worker that ends as it is told is not to be started again.
    await Promise.all([server.close(), workers?.stop()]);
  });
  assertOn();
  if (authenticator && keys.reread) rereadKeys(authenticator, keys.reread, server, log);
  const versions = { dpmesh: dpmeshVersion(), node: process.version };
  if (monitor) {
    const known = { http, out, config, versions, layout, source, server, checkpoints };
    const opened = await monitor.open({ ...known, stop: () => stopping.abort() });
    if (stopping.signal.aborted) await opened.close();
    assertOn();
    page = opened;
    log(`watch it at ${page.url}${page.moved ? ` (port ${http.port} is taken)` : ''}`);
  }
  workers = options.start(server);
  const watched = { observer: monitor?.observer, held: monitor?.held };
  const given = {
    source,
    leftOut,
    labels,
    layout,
    server,
    check,
    out,
    checkpoints,
    emit,
    warn,
    versions,
    ...watched,
  };
  return { ...given, monitor, from, workers, drawing };
}

async function runWithWorkers(
  config: RunConfig,
  { resume, mixed }: SessionOptions,
  { workers, from, ...opened }: Opened,
): Promise<Summary> {
  // Loaded while the workers start.
  const { runAll } = await import('./run.ts');
  await workers.ready;
  return runAll({
    ...opened,
    config,
    mixed,
    resume: resume ? { from, fingerprint: resume.run.data.fingerprint } : null,
  });
}

/** Starts the process that draws the report when it is first asked for; it ends with the session. */
function drawingProcess(closing: Disposers): () => Promise<Drawing> {
  let drawing: Promise<Drawing> | null = null;
  closing.defer(() =>
    drawing?.then(
      ({ stop }) => stop(),
      () => {},
    ),
  );
  return () => (drawing ??= import('./report/drawing.ts').then(({ startDrawing }) => startDrawing()));
}

/** The path of report.html; null, and a line that says why, where it cannot be made: the run is whole without it. */
async function drawReport(
  drawing: () => Promise<Drawing>,
  { out: run }: Summary,
  labels: Labels | null,
  log: (line: string) => void,
): Promise<string | null> {
  try {
    const { tabulate } = await import('../report/table.ts');
    const table = labels ? tabulate(join(run, 'labels.npy'), labels) : undefined;
    const { path, notes } = await (await drawing()).draw({ run, version: dpmeshVersion(), table });
    for (const note of notes) log(`dpmesh: report: ${note}`);
    return path;
  } catch (error) {
    log(`dpmesh: warning: there is no report: ${(error as Error).message}; try: dpmesh plot --run ${run}`);
    return null;
  }
}

/** What shows the run from its first event on; of a resumed run, it has those of before. */
async function monitorFor({ resume }: SessionOptions): Promise<Monitor> {
  const { createMonitor } = await import('./monitor/monitor.ts');
  if (!resume) return createMonitor();
  const { eventsIn, linesOf } = await import('./storage/event-log.ts');
  return createMonitor(linesOf(eventsIn(resume.path)));
}

/** The list of keys is read again whenever that is asked for. One that is broken changes nothing. */
function rereadKeys(
  authenticator: Authenticator,
  { read, asked }: Rereading,
  server: Server,
  log: (line: string) => void,
): void {
  asked(() => {
    let allowed: AllowList;
    try {
      allowed = read();
    } catch (error) {
      log(`kept the old list of keys: ${(error as Error).message}`);
      return;
    }
    const gone = authenticator.replace(allowed);
    log(`read the list of keys again: ${allowed.size}${gone ? '; all workers must show theirs again' : ''}`);
    if (gone) void server.cut();
  });
}

async function serverFor(
  config: RunConfig,
  { bind, sharedFiles, resume, heartbeatTimeout, mixed }: SessionOptions,
  about: {
    source: Source;
    leftOut: string | null;
    layout: Layout;
    explain: (problem: Error) => Error;
  } & Pick<ServerOptions, 'authenticator' | 'emit' | 'log' | 'roundListener'>,
): Promise<Server> {
  const { source, leftOut, layout, explain, ...rest } = about;
  const { startServer } = await import('./scheduler/server.ts');
  const { firstBlockHash, readBlocks } = await import('../data/blocks.ts');
  const read = (blocks: number[]) => readBlocks(source, layout, blocks);
  return startServer({
    bind,
    layout,
    // Workers who read the file would find the column in it.
    file:
      sharedFiles && leftOut === null
        ? { path: resolve(config.data), firstBlock: await firstBlockHash(source, layout) }
        : null,
    readBlocks: read,
    async verify(unit, hashes) {
      const { problemWith } = await import('./verify-unit.ts');
      const problem = await problemWith(unit, layout, read, hashes);
      return problem && explain(problem);
    },
    identity: resume?.run.identity,
    mixed,
    heartbeatTimeout: heartbeatTimeout * 1000,
    ...rest,
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE')
      throw new UserError(`--bind ${bind}: the port is in use; choose another, or * for any free one`);
    if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENODEV')
      throw new UserError(`--bind ${bind}: this machine has no such address`);
    throw error;
  });
}
