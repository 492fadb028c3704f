import { resolve } from 'node:path';
import type { RunConfig } from '../coordinator/config.ts';
import type { Event } from '../coordinator/events.ts';
import type { Summary } from '../coordinator/run.ts';
import type { Server } from '../coordinator/server.ts';
import type { Labels } from '../data/labels.ts';
import { UserError } from '../data/user-error.ts';
import type { Gate } from '../proto/gate.ts';
import type { AllowList } from '../proto/keys.ts';
import { createDisplay } from './progress.ts';
import { dpmeshVersion } from './version.ts';

export interface SessionOptions {
  bind: string;
  out?: string;
  force: boolean;
  json: boolean;
  /** The coordinator's secret key and whom it lets in; without them, everybody. */
  keys?: Keys;
  sharedFiles: boolean;
  /** Seconds. */
  heartbeatTimeout: number;
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

/** Exit code after Ctrl-C. */
const INTERRUPTED = 130;

/** What `train` and `coordinator` share: checks, the server, the run, its summary, and an orderly end. */
export async function session(config: RunConfig, options: SessionOptions): Promise<void> {
  const { openSource } = await import('../data/open.ts');
  const { defaultRunPath, openRunDirectory } = await import('../coordinator/run-directory.ts');
  const out = openRunDirectory(options.out ?? defaultRunPath(config.data), options.force);
  const source = await openSource(config.data);
  const { checkMemory, layoutFor } = await import('../coordinator/limits.ts');
  const layout = layoutFor(config, source);
  checkMemory(config, source.dim);
  const labels = config.labels === null ? null : await labelsFor(config.labels, config.data, source.rows);

  const display = createDisplay(config.maxEpochs);
  const emit = (event: Event) => {
    out.event(event);
    display.event(event);
  };
  const warn = (message: string) => {
    out.event({ type: 'warning', message });
    display.line(`dpmesh: warning: ${message}`);
  };
  const { startServer } = await import('../coordinator/server.ts');
  const { createGate } = await import('../proto/gate.ts');
  const { keys } = options;
  const gate = keys && createGate(keys.secret, keys.allowed, display.line);
  const { firstBlockHash, readBlocks } = await import('../data/blocks.ts');
  const server = await startServer({
    bind: options.bind,
    gate,
    layout,
    file: options.sharedFiles
      ? { path: resolve(config.data), firstBlock: await firstBlockHash(source, layout) }
      : null,
    readBlocks: (blocks) => readBlocks(source, layout, blocks),
    heartbeatTimeout: options.heartbeatTimeout * 1000,
    emit,
    log: display.line,
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE')
      throw new UserError(
        `--bind ${options.bind}: the port is in use; choose another, or * for any free one`,
      );
    if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENODEV')
      throw new UserError(`--bind ${options.bind}: this machine has no such address`);
    throw error;
  });
  const workers = options.start(server);
  if (gate && keys?.reread) rereadAtHangup(gate, keys.reread, server, display.line);
  const interrupted = new Promise<'interrupted'>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done('interrupted'));
  });
  try {
    const finished = (async () => {
      // Loaded while the workers start.
      const { runAll } = await import('../coordinator/run.ts');
      await workers.ready;
      const input = { config, source, labels, layout, server, out, emit, warn, progress: display.epoch };
      return runAll({ ...input, versions: { dpmesh: dpmeshVersion(), node: process.version } });
    })();
    const summary = await Promise.race([finished, interrupted, ...(workers.failed ? [workers.failed] : [])]);
    display.end();
    if (summary === 'interrupted') {
      finished.catch(() => {});
      display.line(`stopped; ${out.path} has what was written until now`);
      process.exitCode = INTERRUPTED;
    } else print(summary, options.json);
  } finally {
    display.end();
    await server.close();
    await workers.stop();
    source.close();
  }
}

/** SIGHUP: the list of keys is read again. One that is broken changes nothing. */
function rereadAtHangup(
  gate: Gate,
  reread: () => AllowList,
  server: Server,
  log: (line: string) => void,
): void {
  process.on('SIGHUP', () => {
    let allowed: AllowList;
    try {
      allowed = reread();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      log(`kept the old list of keys: ${error.message}`);
      return;
    }
    const gone = gate.replace(allowed);
    log(`read the list of keys again: ${allowed.size}${gone ? '; all workers must show theirs again' : ''}`);
    if (gone) void server.cut();
  });
}

async function labelsFor(spec: string, data: string, rows: number): Promise<Labels> {
  const { readLabels } = await import('../data/labels.ts');
  const labels = await readLabels(spec);
  if (labels.codes.length !== rows)
    throw new UserError(`--labels ${spec} has ${labels.codes.length} labels, ${data} has ${rows} rows`);
  return labels;
}

function print(summary: Summary, json: boolean): void {
  if (json) {
    console.log(JSON.stringify(summary));
    return;
  }
  const score = (value: number | null) => (value === null ? '–' : value.toFixed(4));
  const rows: [string, string][] = [
    ['clusters (K)', String(summary.k)],
    ...(summary.nmi === null
      ? []
      : ([
          ['NMI', score(summary.nmi)],
          ['ARI', score(summary.ari)],
          ['ACC', score(summary.acc)],
        ] as [string, string][])),
    ['silhouette', score(summary.silhouette)],
    ['loss', score(summary.loss)],
    ['rows × dimensions', `${summary.rows.toLocaleString('en')} × ${summary.dim}`],
    ['epochs, rounds', `${summary.epochs}, ${summary.rounds}`],
    ['workers', String(summary.workers)],
    ['training', `${summary.seconds.toFixed(2)} s`],
    ['results', summary.out],
  ];
  for (const [name, value] of rows) console.log(`${name.padEnd(18)}  ${value}`);
}
