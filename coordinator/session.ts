import { join, resolve } from 'node:path';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import type { HttpChoice } from '../cli/http-flags.ts';
import { createDisplay } from '../cli/progress.ts';
import { INTERRUPTED, onSignal } from '../cli/signals.ts';
import { print } from '../cli/summary.ts';
import type { Labels } from '../data/labels.ts';
import type { Source } from '../data/source.ts';
import type { Layout } from '../model/layout.ts';
import type { Gate } from '../proto/gate.ts';
import type { AllowList } from '../proto/keys.ts';
import type { Event } from '../view/events.ts';
import type { RunConfig } from './config.ts';
import type { Http } from './monitor/http/open.ts';
import type { About, Watching } from './monitor/watching.ts';
import type { Drawing } from './report/drawing.ts';
import type { Server, ServerOptions } from './scheduler/server.ts';
import type { SavedCheckpoint } from './storage/checkpoint-files.ts';
import type { Summary } from './storage/results.ts';
import type { RunDirectory } from './storage/run-directory.ts';
import type { RunFile } from './storage/run-file.ts';

/** Clusters to start from that take their time to be chosen. */
const MANY = 100;

export interface SessionOptions extends HttpChoice {
  bind: string;
  out?: string;
  force: boolean;
  /** What the flags were read from. */
  configFile?: string;
  json: boolean;
  /** Draw the run when it is over. */
  report: boolean;
  /** The coordinator's secret key and whom it lets in; without them, everybody. */
  keys?: Keys;
  /** Workers of any numeric identity are let in. */
  mixed: boolean;
  sharedFiles: boolean;
  /** Seconds. */
  heartbeatTimeout: number;
  /** Seconds between checkpoints, at the most. */
  checkpointEvery: number;
  /** The run to go on with: in its own directory, unless there is an `out`. */
  resume?: { path: string; run: RunFile; from?: string };
  /** Starts what computes, now that the coordinator can be reached. */
  start: (server: Server) => Workers;
}

export interface Keys {
  secret: string;
  allowed: AllowList;
  /** The list as it is now, asked for at SIGHUP. */
  reread?: () => AllowList;
}

export interface Workers {
  /** The first round may begin. */
  ready: Promise<void>;
  failed?: Promise<never>;
  stop(): Promise<void>;
}

/** What `train`, `coordinator` and `resume` share: checks, the server, the run, its summary, and an orderly end. */
export async function session(config: RunConfig, options: SessionOptions): Promise<void> {
  const { resume, http, linger, keys } = options;
  const display = createDisplay(config.maxEpochs);
  const atHangup = keys?.reread && hangups();
  let leave = () => {};
  // Until there is more to end than a folder.
  let stop: () => void = () => {
    display.line('stopped; nothing was written yet');
    leave();
    process.exit(INTERRUPTED);
  };
  onSignal(() => stop());
  const early: string[] = [];
  let warn = (message: string) => void early.push(message);
  const out = await directoryFor(config, options, (message) => warn(message));
  leave = out.close;
  const closing: (() => void | Promise<void>)[] = [out.close];
  let drawing: Promise<Drawing> | null = null;
  const startDrawing = () =>
    (drawing ??= import('./report/drawing.ts').then(({ startDrawing }) => startDrawing()));
  closing.unshift(() =>
    drawing?.then(
      ({ stop }) => stop(),
      () => {},
    ),
  );
  const watching = http && (await watchingFor(resume));
  const emit = (event: Event) => {
    out.event(event);
    display.event(event);
    watching?.event(event);
    if (event.type === 'start' && config.initK >= MANY)
      display.line(`choosing ${config.initK} clusters to start from, one after the other …`);
    // It loads during the full pass.
    if (event.type === 'end' && options.report) startDrawing().catch(() => {});
  };
  warn = (message) => {
    const event: Event = { type: 'warning', message };
    out.event(event);
    watching?.event(event);
    display.line(`dpmesh: warning: ${message}`);
  };
  early.forEach(warn);
  if (options.mixed) warn('--mixed: workers may differ in their bits, and the result with who computes what');
  /** It has come to its end, good or bad: the last figures may still be fetched. */
  let over = false;
  try {
    const from = resume ? await checkpointFor(resume, warn) : null;
    const { openSource } = await import('../data/open.ts');
    const leftOut = resume ? (resume.run.data.leftOut ?? null) : await labelColumn(config);
    const source = await openSource(config.data, { without: leftOut });
    if (leftOut !== null)
      display.line(`column ${leftOut} of ${config.data} is left out of the rows: it holds the --labels`);
    closing.unshift(source.close);
    if (resume) assertSameShape(config.data, source, resume.run.data);
    const { checkMemory, layoutFor } = await import('./training/limits.ts');
    const layout = layoutFor(config, source);
    checkMemory(config, source.dim);
    const labels = await labelsFor(config, source.rows, leftOut, warn);
    const { createCheckpoints } = await import('./storage/checkpoints.ts');
    const checkpoints = createCheckpoints({
      run: out.path,
      every: options.checkpointEvery,
      emit,
      warn,
      saved: from,
    });

    const { createGate } = await import('../proto/gate.ts');
    const gate = keys && createGate(keys.secret, keys.allowed, display.line);
    const watcher = watching?.watcher;
    const about = { source, leftOut, layout, gate, emit, log: display.line, watcher };
    const server = await serverFor(config, options, about);
    if (gate && keys?.reread) atHangup?.(rereading(gate, keys.reread, server, display.line));
    closing.unshift(server.close);
    const versions = { dpmesh: dpmeshVersion(), node: process.version };
    const interrupted = new Promise<'interrupted'>((done) => {
      stop = () => done('interrupted');
    });
    const page =
      watching &&
      (await openPage(watching, {
        ...{ http, out, config, versions, layout, source, server, checkpoints },
        stop,
      }));
    const workers = options.start(server);
    closing.splice(1, 0, workers.stop);
    if (page) {
      const stay = async () => {
        if (!over || linger === 0) return;
        display.line(`${page.url} stays for ${linger} s`);
        await watching.linger(linger, interrupted);
      };
      closing.splice(2, 0, stay, page.close);
    }
    const finished = (async () => {
      // Loaded while the workers start.
      const { runAll } = await import('./run.ts');
      await workers.ready;
      return runAll({
        ...{ config, source, leftOut, labels, layout, server, out, checkpoints, emit, warn },
        resume: resume ? { from, fingerprint: resume.run.data.fingerprint } : null,
        mixed: options.mixed,
        progress: ({ epoch, mixture: { k }, loss, subLoss }) => display.epoch({ epoch, k, loss, subLoss }),
        versions,
        ...watching?.input,
      });
    })();
    const summary = await Promise.race([finished, interrupted, ...(workers.failed ? [workers.failed] : [])]);
    display.end();
    if (summary === 'interrupted') {
      finished.catch(() => {});
      watching?.ended('stopped');
      await checkpoints.flush();
      display.line(
        out.isOpen()
          ? `stopped; ${out.path} has what was written until now; go on with: dpmesh resume ${out.path}`
          : 'stopped; nothing was written yet',
      );
      process.exitCode = INTERRUPTED;
    } else {
      watching?.ended('done');
      over = true;
      const report = options.report && drawReport(startDrawing, summary, labels, display.line);
      print(summary, options.json, (await Promise.race([report, interrupted.then(() => null)])) || undefined);
    }
  } catch (error) {
    watching?.ended('failed');
    over = true;
    throw error;
  } finally {
    display.end();
    for (const close of closing) await close();
  }
}

/** The path of report.html; null, and a line that says why, where it cannot be made: the run is whole without it. */
async function drawReport(
  start: () => Promise<Drawing>,
  { out: run }: Summary,
  labels: Labels | null,
  log: (line: string) => void,
): Promise<string | null> {
  try {
    const { tabulate } = await import('../report/table.ts');
    const table = labels ? tabulate(join(run, 'labels.npy'), labels) : undefined;
    const { path, notes } = await (await start()).draw({ run, version: dpmeshVersion(), table });
    for (const note of notes) log(`dpmesh: report: ${note}`);
    return path;
  } catch (error) {
    log(`dpmesh: warning: there is no report: ${(error as Error).message}; try: dpmesh plot --run ${run}`);
    return null;
  }
}

/** What looks on from the first event; of a resumed run, it has those of before. */
async function watchingFor(resume: SessionOptions['resume']): Promise<Watching> {
  const { createWatching } = await import('./monitor/watching.ts');
  if (!resume) return createWatching();
  const { eventsIn } = await import('./storage/run-directory.ts');
  const { linesOf } = await import('./storage/event-lines.ts');
  return createWatching(linesOf(eventsIn(resume.path)));
}

/** Says where the run can be watched. */
async function openPage(watching: Watching, about: About): Promise<Http> {
  const page = await watching.open(about);
  const why = page.moved ? ` (port ${about.http.port} is taken)` : '';
  console.error(`watch it at ${page.url}${why}`);
  return page;
}

/** Listens for SIGHUP; one that comes before somebody has said what is to happen then is not lost. */
function hangups(): (act: () => void) => void {
  let waits = false;
  let hear = () => {
    waits = true;
  };
  process.on('SIGHUP', () => hear());
  return (act) => {
    hear = act;
    if (waits) act();
  };
}

/** The list of keys is read again. One that is broken changes nothing. */
function rereading(gate: Gate, reread: () => AllowList, server: Server, log: (line: string) => void) {
  return () => {
    let allowed: AllowList;
    try {
      allowed = reread();
    } catch (error) {
      log(`kept the old list of keys: ${(error as Error).message}`);
      return;
    }
    const gone = gate.replace(allowed);
    log(`read the list of keys again: ${allowed.size}${gone ? '; all workers must show theirs again' : ''}`);
    if (gone) void server.cut();
  };
}

async function directoryFor(
  config: RunConfig,
  { out, force, resume, configFile }: SessionOptions,
  warn: (message: string) => void,
): Promise<RunDirectory> {
  const { eventsIn, openDefaultRunDirectory, openRunDirectory, reopenRunDirectory } = await import(
    './storage/run-directory.ts'
  );
  const { fileOfLabels } = await import('../data/labels.ts');
  if (resume && out === undefined) return reopenRunDirectory(resume.path, { warn });
  const history = resume ? eventsIn(resume.path) : null;
  const inputs = {
    '--data': config.data,
    '--labels': config.labels && fileOfLabels(config.labels),
    '--config': configFile,
    '--from': resume?.from,
    resume: resume && join(resume.path, 'run.json'),
  };
  if (out === undefined) return openDefaultRunDirectory(config.data, { warn, history });
  return openRunDirectory(out, { force, inputs, warn, history });
}

/** The checkpoint to go on from: the newest that can be read, or the one that was named. */
async function checkpointFor(
  { path, run, from }: NonNullable<SessionOptions['resume']>,
  warn: (message: string) => void,
): Promise<SavedCheckpoint | null> {
  const { newestCheckpoint, readCheckpoint } = await import('./storage/checkpoint-files.ts');
  const { foreignTo } = await import('./storage/run-file.ts');
  if (from === undefined) return newestCheckpoint(path, foreignTo(run), warn);
  const found = readCheckpoint(from, foreignTo(run));
  if ('problem' in found) throw new UserError(`--from ${from} cannot be used: ${found.problem}`);
  return found;
}

function assertSameShape(path: string, { rows, dim }: Source, then: RunFile['data']): void {
  if (rows !== then.rows || dim !== then.dim)
    throw new UserError(
      `${path} has ${rows} rows × ${dim}, and had ${then.rows} × ${then.dim} when the run began; put the old file back, or start a new run`,
    );
}

async function serverFor(
  config: RunConfig,
  { bind, sharedFiles, resume, heartbeatTimeout, mixed }: SessionOptions,
  {
    source,
    leftOut,
    layout,
    ...rest
  }: { source: Source; leftOut: string | null; layout: Layout } & Pick<
    ServerOptions,
    'gate' | 'emit' | 'log' | 'watcher'
  >,
): Promise<Server> {
  const { startServer } = await import('./scheduler/server.ts');
  const { firstBlockHash, readBlocks } = await import('../data/blocks.ts');
  return startServer({
    bind,
    layout,
    // Workers who read the file would find the column in it.
    file:
      sharedFiles && leftOut === null
        ? { path: resolve(config.data), firstBlock: await firstBlockHash(source, layout) }
        : null,
    readBlocks: (blocks) => readBlocks(source, layout, blocks),
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

/** The column of the data that `--labels` names. */
async function labelColumn({ data, labels }: RunConfig): Promise<string | null> {
  if (labels === null) return null;
  const { labelsWithin } = await import('../data/labels.ts');
  return labelsWithin(labels, data);
}

async function labelsFor(
  { data, labels: spec }: RunConfig,
  rows: number,
  leftOut: string | null,
  warn: (message: string) => void,
): Promise<Labels | null> {
  if (spec === null) return null;
  const { fileOfLabels, readLabels } = await import('../data/labels.ts');
  const { realPath } = await import('../base/same-file.ts');
  const labels = await readLabels(spec);
  if (labels.codes.length !== rows)
    throw new UserError(`--labels ${spec} has ${labels.codes.length} labels, ${data} has ${rows} rows`);
  if (leftOut === null && realPath(fileOfLabels(spec)) === realPath(data))
    warn(`--labels ${spec} is the data too; give rows without it`);
  return labels;
}
