import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { attempted, createAtomicFile, statusOf } from '../../base/files.ts';
import { cacheFolder } from '../cache.ts';
import { copyName, markUsed, prune } from '../cache-pruning.ts';
import { openRemote, type RemoteFile } from './remote-file.ts';

/** Raised when a copy is made otherwise than before. */
const FORMAT = 1;
const PROGRESS_MS = 2000;

export interface CopyOptions {
  /** Says how far it is. */
  log?: (line: string) => void;
  /** Ends it. */
  signal?: AbortSignal;
}

/**
 * The path of a copy, in the cache, of the file at this address, made unless there is one of this version of it. It stays while this
 * process runs. Rejects with a UserError if it cannot be read, or changes on the way.
 */
export async function localCopyOf(address: string, options: CopyOptions = {}): Promise<string> {
  return copyOf(await openRemote(address, { signal: options.signal }), options);
}

/** The same for a file that is open. */
export async function copyOf(file: RemoteFile, { log = () => {}, signal }: CopyOptions): Promise<string> {
  const key = createHash('sha256')
    .update(JSON.stringify([FORMAT, file.version]))
    .digest('hex');
  const target = join(cacheFolder(), copyName(key, basename(decoded(file.name))));
  keepUsed(target);
  const found = statusOf(target);
  if (found?.isFile() && (file.size === null || found.size === file.size)) return target;
  const draft = createAtomicFile(target, { mode: 0o600 });
  const progress = progressLine(`${file.name}: copied`, file.size, log);
  try {
    await file.copy((bytes, at) => {
      draft.write(bytes, at);
      progress(at + bytes.length);
    }, signal);
    draft.finish();
  } catch (error) {
    draft.abort();
    throw error;
  }
  return target;
}

/** What marks the copies that this process uses, by their paths. */
const kept = new Map<string, () => void>();

/** Keeps a file of the cache until this process ends, and makes room for it. */
export function keepUsed(target: string): void {
  const folder = cacheFolder();
  if (!kept.size)
    process.once('exit', () => {
      for (const release of kept.values()) release();
    });
  if (!kept.has(target)) kept.set(target, markUsed(target));
  attempted(folder, 'read', () => prune(folder));
}

/** Logs the first bytes, and then every few seconds how many there are. */
export function progressLine(
  what: string,
  total: number | null,
  log: (line: string) => void,
): (bytes: number) => void {
  const of = total === null ? '' : ` of ${megabytes(total)}`;
  let loggedAt = Number.NEGATIVE_INFINITY;
  return (bytes) => {
    if (performance.now() - loggedAt < PROGRESS_MS) return;
    loggedAt = performance.now();
    log(`${what} ${megabytes(bytes)}${of} MB to the cache …`);
  };
}

const megabytes = (bytes: number) => (bytes / 1e6).toLocaleString('en', { maximumFractionDigits: 1 });

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
