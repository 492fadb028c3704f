import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type AtomicFile, createAtomicFile } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { cacheFolder } from '../cache.ts';
import { copyName } from '../cache-pruning.ts';
import { isNpy } from '../npy.ts';
import { type CopyOptions, keepUsed, progressLine } from './local-copy.ts';

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
  let head = Buffer.alloc(0);
  let file: { path: string; draft: AtomicFile } | null = null;
  let at = 0;
  const write = (bytes: Buffer) => {
    file!.draft.write(bytes, at);
    at += bytes.length;
    progress(at);
  };
  const begin = () => {
    const path = join(cacheFolder(), copyName(key, `stdin${endingFor(head)}`));
    keepUsed(path);
    file = { path, draft: createAtomicFile(path, { mode: 0o600 }) };
    write(head);
  };
  try {
    for await (const chunk of input) {
      signal?.throwIfAborted();
      if (file) write(chunk);
      else {
        head = Buffer.concat([head, chunk]);
        if (head.length >= HEAD_BYTES) begin();
      }
    }
    if (!head.length) throw new UserError(nothing);
    if (!file) begin();
    const { path, draft } = file!;
    draft.finish();
    log(`standard input is kept in ${path}`);
    return path;
  } catch (error) {
    (file as { draft: AtomicFile } | null)?.draft.abort();
    throw error;
  }
}

/** The ending for these first bytes; none for a binary format, which is told by its content. */
function endingFor(head: Buffer): string {
  if (isNpy(head)) return '.npy';
  const text = head.toString('utf8').replace(SPACE, '');
  if (/^[{[]/.test(text)) return '.jsonl';
  const isBinary = head.some((byte) => byte < 9 || (byte > 13 && byte < 32)) || text.startsWith('PAR1');
  return isBinary ? '' : '.csv';
}
