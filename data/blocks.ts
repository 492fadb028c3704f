import { createHash } from 'node:crypto';
import { UserError } from '../base/user-error.ts';
import { type Block, block, blockCount, type Layout } from '../model/layout.ts';
import type { Source } from './source.ts';

/** Bytes of a block's hash. */
export const HASH_BYTES = 16;

/** Content hash of a block's rows as read: the first bytes of SHA-256. */
export function blockHash(rows: Float32Array): Uint8Array {
  const bytes = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
  return createHash('sha256').update(bytes).digest().subarray(0, HASH_BYTES);
}

/** The rows of a block are not what they were when the run began. */
export class BlockChanged extends UserError {}

/** BlockChanged if a block's rows do not have its hash in `hashes`: those of all blocks, one after the other. */
export function assertUnchanged(
  { index, start, count }: Block,
  rows: Float32Array,
  hashes: Uint8Array,
): void {
  const expected = hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  if (Buffer.compare(blockHash(rows), expected) === 0) return;
  throw new BlockChanged(
    `block ${index} (rows ${start} to ${start + count - 1}, counted from 0) has changed since the run began; put the old data back and resume, or start a new run`,
  );
}

/** The hash of the data's first block, in hexadecimal: enough to tell another file of the same name. */
export async function firstBlockHash(source: Source, layout: Layout): Promise<string> {
  return Buffer.from(blockHash(await source.read(0, block(layout, 0).count))).toString('hex');
}

/** The most that is read for one request, bytes; a single block may be larger. */
export const MOST_BYTES = 4 << 20;

/** The rows of these blocks, one after the other. A UserError for blocks that there aren't, or too many at once. */
export async function readBlocks(source: Source, layout: Layout, indices: number[]): Promise<Float32Array> {
  const total = blockCount(layout);
  if (!indices.every((index) => Number.isInteger(index) && index >= 0 && index < total))
    throw new UserError('there is no such block');
  const parts = indices.map((index) => block(layout, index));
  const length = parts.reduce((sum, { count }) => sum + count, 0) * layout.dim;
  if (parts.length > 1 && length * 4 > MOST_BYTES)
    throw new UserError(`more than ${MOST_BYTES >> 20} MiB of rows at once: ask for fewer blocks`);
  const out = new Float32Array(length);
  let at = 0;
  for (const { start, count } of parts) {
    out.set(await source.read(start, count), at);
    at += count * layout.dim;
  }
  return out;
}
