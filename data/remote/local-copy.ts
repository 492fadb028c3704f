import { createHash, randomBytes } from 'node:crypto';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { type AtomicFile, attempted, createAtomicFile, statusOf } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { cacheFolder, copyName, markUsed, prune } from '../cache.ts';
import { isNpy } from '../npy.ts';
import { UTF8, utf16Of } from '../streams.ts';
import type { RemoteFile } from './remote-file.ts';

/** Copies in the cache of files that cannot be read in place: remote ones, and standard input. What is in them, other readers find out. */

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
 * The path of a copy, in the cache, of this remote file, made unless there is one of this version of it. It stays while this process
 * runs. Rejects with a UserError if it cannot be read, or changes on the way.
 */
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
  if (performance.now() - prunedAt < PRUNED_MS) return;
  prunedAt = performance.now();
  attempted(folder, 'read', () => prune(folder));
}

/** Between two looks at the whole folder: there may be thousands of copies in it. */
const PRUNED_MS = 1000;
let prunedAt = Number.NEGATIVE_INFINITY;

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

/** Enough to tell the format. */
const HEAD_BYTES = 8;
const SPACE = /^[\s\ufeff]*/;

/**
 * Copies standard input to a file in the cache and resolves to its path, whose ending tells the format: .npy, .jsonl or .csv, by the
 * content. The file is a new one each time, and stays there while it is used, and some time after (see `prune`). UserError if there is
 * nothing to read.
 */
export async function spoolStdin(
  { log = () => {}, signal }: CopyOptions = {},
  input: Readable & { isTTY?: boolean } = process.stdin,
): Promise<string> {
  const nothing =
    'standard input (-) has no data: pipe a file into it, as in dpmesh train --data - < rows.npy';
  if (input.isTTY) throw new UserError(nothing);
  const key = randomBytes(16).toString('hex');
  const progress = progressLine('standard input: copied', null, log);
  let [head, at] = [Buffer.alloc(0), 0];
  let file: AtomicFile | undefined;
  let path = '';
  const write = (bytes: Buffer) => {
    if (!file) {
      path = join(cacheFolder(), copyName(key, `stdin${endingFor(bytes)}`));
      keepUsed(path);
      file = createAtomicFile(path, { mode: 0o600 });
    }
    file.write(bytes, at);
    at += bytes.length;
    progress(at);
  };
  try {
    for await (const chunk of input) {
      signal?.throwIfAborted();
      if (!file) head = Buffer.concat([head, chunk]);
      if (file || head.length >= HEAD_BYTES) write(file ? chunk : head);
    }
    if (!head.length) throw new UserError(nothing);
    if (!file) write(head);
    file!.finish();
    log(`standard input is kept in ${path}`);
    return path;
  } catch (error) {
    file?.abort();
    throw error;
  }
}

/** The ending for these first bytes; none for a binary format, which is told by its content. */
function endingFor(head: Buffer): string {
  if (isNpy(head)) return '.npy';
  const utf16 = utf16Of(head);
  const text = new TextDecoder(utf16 ?? UTF8).decode(head).replace(SPACE, '');
  if (/^[{[]/.test(text)) return '.jsonl';
  const isBinary =
    (!utf16 && head.some((byte) => byte < 9 || (byte > 13 && byte < 32))) || text.startsWith('PAR1');
  return isBinary ? '' : '.csv';
}
