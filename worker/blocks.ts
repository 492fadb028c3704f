import { realpathSync } from 'node:fs';
import { isAbsolute, join, relative, sep } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { readWhole } from '../base/files.ts';
import { oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { firstBlockHash } from '../data/blocks.ts';
import { folderOf, isPattern } from '../data/file-names.ts';
import { formatOf, isSeveral, openArrays, openRemoteRows, openSource } from '../data/open.ts';
import { arraysAt } from '../data/parts.ts';
import { isBelowAddress, isRemote } from '../data/remote/address.ts';
import { readSpans } from '../data/remote/read-ahead.ts';
import { SEEN } from '../data/row-parts.ts';
import type { Source } from '../data/source.ts';
import { type Block, block, type Layout } from '../model/layout.ts';
import type { FromCoordinator, FromWorker } from '../proto/messages.ts';
import type { Nd, Tensors } from '../proto/tensors.ts';

/** Where a worker's rows come from: its own file, or the coordinator by `fetch`, in the same order and with the same bits. What they are for, tasks know. */

/**
 * Reads blocks in the given order and yields each with its raw rows, which the caller may modify. They are valid until the next are
 * asked for: a new array for each would keep the garbage collector busy.
 */
export type ReadBlocks = (blocks: Block[]) => AsyncGenerator<[Block, Float32Array]>;

/** How long rows may stream before the event loop serves the sockets. */
const YIELD_AFTER_MS = 50;
/** Bytes of rows that one `fetch` asks for. */
const FETCH_BYTES = 1 << 20;

/** Reads blocks from the data file, those that are close to each other at once. */
export function fileBlocks(source: Source): ReadBlocks {
  return async function* (blocks) {
    let yieldedAt = performance.now();
    let next = 0;
    for await (const rows of readSpans(source, blocks)) {
      yield [blocks[next++], rows];
      if (performance.now() - yieldedAt > YIELD_AFTER_MS) {
        await setImmediate();
        yieldedAt = performance.now();
      }
    }
  };
}

/** What `load` gives for each item, in order; it loads the next while the caller uses the last. */
export async function* prefetched<T, R>(
  items: T[],
  load: (item: T) => Promise<R>,
): AsyncGenerator<[item: T, loaded: R]> {
  let next = items.length ? load(items[0]) : null;
  for (const [i, item] of items.entries()) {
    const loaded = await next!;
    next = i + 1 < items.length ? load(items[i + 1]) : null;
    next?.catch(() => {}); // Awaited only after these are used; until then a rejection would be unhandled.
    yield [item, loaded];
  }
}

/** Fetches blocks from the coordinator, a megabyte at a time. */
export function servedBlocks(fetch: (blocks: number[]) => Promise<Float32Array>, dim: number): ReadBlocks {
  return async function* (blocks) {
    const groups = [...grouped(blocks, (block) => block.count * dim * 4, FETCH_BYTES)];
    const load = (group: Block[]) => fetch(group.map((block) => block.index));
    for await (const [group, rows] of prefetched(groups, load)) {
      let at = 0;
      for (const block of group) yield [block, rows.slice(at, (at += block.count * dim))];
    }
  };
}

/** Consecutive items until their sizes add up to at least `enough`. */
export function* grouped<T>(items: T[], size: (item: T) => number, enough: number): Generator<T[]> {
  let group: T[] = [];
  let sum = 0;
  for (const item of items) {
    group.push(item);
    sum += size(item);
    if (sum >= enough) {
      yield group;
      group = [];
      sum = 0;
    }
  }
  if (group.length) yield group;
}

/** The coordinator's term has ended, so these rows will not come. Not reported as a failure. */
export class Superseded extends Error {}

type Fetch = Extract<FromWorker, { type: 'fetch' }>;

const rowsIn = (blocks: number[], layout: Layout) =>
  blocks.reduce((sum, index) => sum + block(layout, index).count, 0);

const isRows = (rows: Nd | undefined): rows is Nd<Float32Array> => rows?.data instanceof Float32Array;

/** Are these texts of so many rows, one after the other in UTF-8, with the length of each in bytes, and labels below `k`, −1 of noise? */
function areTexts({ texts, lengths, labels }: Tensors, rows: number, k: number): boolean {
  const isInt32 = (tensor: Nd | undefined) =>
    tensor?.data instanceof Int32Array && tensor.data.length === rows;
  if (!(texts?.data instanceof Uint8Array) || !isInt32(lengths) || !isInt32(labels)) return false;
  let bytes = 0;
  for (const length of lengths.data) bytes += length < 0 ? Number.NaN : length;
  return bytes === texts.data.length && labels.data.every((label) => label >= -1 && label < k);
}

/** The pending requests for rows over the wire. */
export function createFetches(send: (fetch: Fetch) => unknown) {
  interface Pending {
    fetch: Fetch;
    fits: (tensors: Tensors) => boolean;
    resolve: (tensors: Tensors) => void;
    reject: (error: Error) => void;
  }
  const waiting = new Map<number, Pending>();
  let requests = 0;
  function ask(what: Pick<Fetch, 'blocks' | 'sample' | 'texts'>, fits: Pending['fits']): Promise<Tensors> {
    const fetch: Fetch = { type: 'fetch', request: requests++, ...what };
    send(fetch);
    return new Promise((resolve, reject) => waiting.set(fetch.request, { fetch, fits, resolve, reject }));
  }
  return {
    /** Requests the rows of these blocks. UserError if the coordinator cannot read them. */
    async blocks(blocks: number[], layout: Layout): Promise<Float32Array> {
      const length = rowsIn(blocks, layout) * layout.dim;
      const { rows } = await ask({ blocks }, ({ rows }) => isRows(rows) && rows.data.length === length);
      return rows.data as Float32Array;
    },
    /** Requests the texts of the rows of these blocks, and their labels, of which there are `k`. */
    texts: (blocks: number[], k: number, layout: Layout): Promise<Tensors> =>
      ask({ blocks, texts: true }, (tensors) => areTexts(tensors, rowsIn(blocks, layout), k)),
    /** Requests the raw sample rows of a shard, those of priority below `below`; null if the coordinator does not have them. */
    async sample(shard: number, below: number, { dim }: Layout): Promise<Float32Array | null> {
      const fits = ({ rows }: Tensors) => !rows || (isRows(rows) && rows.data.length % dim === 0);
      const { rows } = await ask({ blocks: [], sample: { shard, below } }, fits);
      return rows ? (rows.data as Float32Array) : null;
    },
    /** Handles an answer. False if it was not requested or has the wrong length. */
    answered({ request, problem }: Extract<FromCoordinator, { type: 'rows' }>, tensors: Tensors): boolean {
      const pending = waiting.get(request);
      if (!pending || !(problem || pending.fits(tensors))) return false;
      waiting.delete(request);
      if (problem) pending.reject(new UserError(problem));
      else pending.resolve(tensors);
      return true;
    },
    /** Repeats all requests, on a new connection. */
    repeat(): void {
      for (const { fetch } of waiting.values()) send(fetch);
    },
    /** Rejects all pending requests as Superseded. */
    drop(): void {
      for (const { reject } of waiting.values()) reject(new Superseded());
      waiting.clear();
    },
  };
}

/** Whether a file is inside a folder, after resolving symbolic links. Throws if either does not exist. */
export function isBelow(root: string, path: string): boolean {
  const subpath = relative(realpathSync(root), realpathSync(path));
  // Absolute: on another drive.
  return subpath !== '' && subpath !== '..' && !subpath.startsWith(`..${sep}`) && !isAbsolute(subpath);
}

/** Does one of the roots allow this file? A folder allows the files below it, a prefix of addresses the remote files below that. */
function isAllowed(roots: readonly string[], path: string): boolean {
  if (isRemote(path)) return roots.some((root) => isRemote(root) && isBelowAddress(root, path));
  return roots.some((root) => !isRemote(root) && isBelow(root, path));
}

/** The .npy files in a folder, or by a pattern. Not one entry is looked at unless a root allows the folder. */
function allowedArrays(roots: readonly string[], path: string): string[] {
  const folder = isPattern(path) ? folderOf(path) : path;
  const isWithin = (root: string) =>
    !isRemote(root) && (realpathSync(root) === realpathSync(folder) || isBelow(root, folder));
  if (!roots.some(isWithin)) throw new UserError(`${folder} is below no --data-root`);
  return arraysAt(path);
}

/** Why a worker cannot write into the folder that the coordinator names; null: it can. `seen`: a file with the token is there. */
export function folderProblem(roots: readonly string[], path: string, token: string): string | null {
  const file = join(path, SEEN);
  try {
    if (readWhole(file, token.length).toString() !== token) return `${file} has other content here`;
    return isAllowed(roots, file) ? null : `${path} is below no --data-root of this worker`;
  } catch (error) {
    return error instanceof UserError
      ? error.message
      : `${file} cannot be read (${(error as Error).message})`;
  }
}

/** What workers read for themselves: files that need not be decoded. Of others a coordinator names the copy that it has made. */
const isReadInPlace = (path: string) =>
  ['npy', 'idx', 'idx.gz', 'npz', 'safetensors'].includes(formatOf(path));

/** Opens the data file that a coordinator names. Null unless one of the `roots` allows it and it is the same file. */
export async function openVisible(
  roots: readonly string[],
  file: { path: string; firstBlock: string; array?: string },
  layout: Layout,
  log: (line: string) => void,
): Promise<Source | null> {
  let source: Source | null = null;
  const name = oneLine(file.path);
  try {
    const arrays = isSeveral(file.path) ? allowedArrays(roots, file.path) : null;
    if (!(arrays ?? [file.path]).every((path) => isAllowed(roots, path))) return null;
    // Nothing is copied from elsewhere, or decoded, at the word of a coordinator.
    if (isRemote(file.path)) source = await openRemoteRows(file.path);
    else if (arrays) source = openArrays(file.path, arrays);
    else if (isReadInPlace(file.path))
      source = await openSource(file.path, { expected: layout, array: file.array });
    else throw new UserError('not in place');
    const same = source.rows === layout.rows && source.dim === layout.dim;
    if (same && (await firstBlockHash(source, layout)) === file.firstBlock) return source;
    log(`${name} differs from the coordinator's file; fetching rows from the coordinator`);
  } catch {
    log(`${name} cannot be read here; fetching rows from the coordinator`);
  }
  source?.close();
  return null;
}
