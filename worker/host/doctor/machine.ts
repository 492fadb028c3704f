import { mkdtempSync, rmdirSync, statfsSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { COORDINATOR_FILES, descriptorLimit } from '../../../base/limits.ts';
import { UserError } from '../../../base/user-error.ts';
import { cachedBytes, cacheFolder } from '../../../data/cache.ts';

const OLDEST_NODE = 20;
/** The coordinator's default port. */
const PORT = 5555;
const MIN_MEMORY = 2 ** 30;
const MIN_DISK = 2 ** 30;
/** With fewer descriptors, a coordinator may lack some for its workers. */
const FEW_FILES = 1024;

export function node(): CheckResult {
  const { version, platform, arch, versions } = process;
  const detail = `${version}, ${platform} ${arch}, V8 ${versions.v8}`;
  return Number.parseInt(versions.node, 10) >= OLDEST_NODE
    ? ok('node', detail)
    : failure('node', detail, `install Node.js ${OLDEST_NODE} or newer`);
}

export function cores(): CheckResult {
  const usable = availableParallelism();
  const all = cpus();
  const model = all[0]?.model.trim() ?? 'unknown model';
  return ok('cores', `${usable}${all.length > usable ? ` of ${all.length}` : ''}, ${model}`);
}

export function memory(): CheckResult {
  const limit = process.constrainedMemory();
  const total = limit > 0 && limit < totalmem() ? limit : totalmem();
  const free = process.availableMemory();
  const detail = `${gib(total)}${total < totalmem() ? ' (limit of this container)' : ''}, ${gib(free)} free`;
  const remedy = 'a worker takes 0.1 to 0.5 GiB: use fewer (--workers), or close other programs';
  return free < MIN_MEMORY ? warning('memory', detail, remedy) : ok('memory', detail);
}

/** Each worker takes one of the coordinator's descriptors. */
export function openFiles(): CheckResult {
  const limit = descriptorLimit();
  const detail = Number.isFinite(limit) ? `${limit} open files at most` : 'no limit';
  return limit < FEW_FILES
    ? warning(
        'files',
        `${detail}: a coordinator of about ${Math.max(0, limit - COORDINATOR_FILES)} workers`,
        'raise the limit (ulimit -n), or let relays stand for workers (dpmesh relay)',
      )
    : ok('files', detail);
}

/** Can a coordinator listen, and is its default port free? */
export async function port(): Promise<CheckResult> {
  const loopback = await bind(0, '127.0.0.1');
  if (loopback)
    return failure(
      'port',
      `no port of 127.0.0.1 can be bound (${loopback})`,
      'check for a sandbox, and for a limit of open files (ulimit -n)',
    );
  const others = await bind(0, '0.0.0.0');
  if (others)
    return warning(
      'port',
      `only loopback can be bound (${others}), so workers on other machines cannot connect`,
      'check for a sandbox or firewall',
    );
  const usual = await bind(PORT, '127.0.0.1');
  if (!usual) return ok('port', `ports can be bound; ${PORT} is free`);
  return warning(
    'port',
    `ports can be bound, but not the default port ${PORT} (${usual})`,
    'another coordinator may be running; choose another port with --bind',
  );
}

/** Binds a port for a moment. Null, or why that failed. */
function bind(port: number, host: string): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, host, () => server.close(() => resolve(null)));
  });
}

/** Can ./runs, where runs go, and the cache folder, where decoded data files go, be written to? */
export function folders(): CheckResult {
  const runs = resolve('runs');
  const parent = statSync(runs, { throwIfNoEntry: false })?.isDirectory() ? runs : dirname(runs);
  try {
    const cache = cacheFolder();
    for (const folder of [parent, cache]) tryWriting(folder);
    const { bavail, bsize } = statfsSync(parent);
    const free = bavail * bsize;
    const detail = `${parent} (runs) and ${cache} (decoded files, ${gib(cachedBytes(cache))}) can be written to; ${gib(free)} free`;
    const remedy =
      'a run needs disk space for its labels and checkpoints: free some, or choose another folder with --out';
    return free < MIN_DISK ? warning('data folder', detail, remedy) : ok('data folder', detail);
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof UserError)
      return warning('data folder', message, 'choose another cache folder with DPMESH_CACHE');
    return warning(
      'data folder',
      `cannot write a file: ${message}`,
      'change to a folder of your own, or choose folders with --out and DPMESH_CACHE',
    );
  }
}

function tryWriting(folder: string): void {
  const temporary = mkdtempSync(join(folder, '.dpmesh-doctor-'));
  try {
    writeFileSync(join(temporary, 'file'), 'x');
    unlinkSync(join(temporary, 'file'));
  } finally {
    rmdirSync(temporary);
  }
}

/** The result of one check of `dpmesh doctor`: what was checked, what it showed, and what to do if there is a problem. */
export interface CheckResult {
  name: string;
  status: 'ok' | 'warning' | 'failure';
  detail: string;
  remedy?: string;
}

const check =
  (status: CheckResult['status']) =>
  (name: string, detail: string, remedy?: string): CheckResult =>
    remedy ? { name, status, detail, remedy } : { name, status, detail };
export const ok = check('ok');
export const warning = check('warning');
export const failure = check('failure');

const GIB = 2 ** 30;
export const gib = (bytes: number) => `${(bytes / GIB).toFixed(bytes < 100 * GIB ? 1 : 0)} GiB`;
