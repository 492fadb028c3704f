import { createHash } from 'node:crypto';
import { yieldToEventLoop } from '../base/slices.ts';
import { UserError } from '../base/user-error.ts';
import { type Block, block, blockCount, HASH_BYTES, type Layout } from '../model/layout.ts';
import { readSpans } from './remote/read-ahead.ts';
import type { Source } from './source.ts';

/** Hash of a block's rows as read: the first HASH_BYTES bytes of the SHA-256 of their float32 values. */
export function blockHash(rows: Float32Array): Uint8Array {
  const bytes = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
  return createHash('sha256').update(bytes).digest().subarray(0, HASH_BYTES);
}

/** The hashes of all blocks, concatenated. */
export async function blockHashes(source: Source, layout: Layout): Promise<Uint8Array> {
  const hashes = new Uint8Array(blockCount(layout) * HASH_BYTES);
  for (let index = 0; index < blockCount(layout); index++) {
    const { start, count } = block(layout, index);
    hashes.set(blockHash(await source.read(start, count)), index * HASH_BYTES);
    await yieldToEventLoop();
  }
  return hashes;
}

/** The fingerprint of the data: a hash over the hashes of all blocks. */
export function fingerprint(hashes: Uint8Array): string {
  return createHash('sha256').update(hashes).digest('hex').slice(0, 32);
}

/** A block for people. */
export const describeBlock = ({ index, start, count }: Block) =>
  `block ${index} (rows ${start} to ${start + count - 1}, counted from 0)`;

/** The rows of a block differ from those at the start of the run. */
class BlockChanged extends UserError {
  constructor(readonly block: Block) {
    super(
      `${describeBlock(block)} has changed since the run began: restore the old data and resume, or start a new run`,
    );
  }
}

/** Throws BlockChanged if a block's rows do not match its hash. `hashes`: those of all blocks, concatenated. */
export function assertUnchanged(block: Block, rows: Float32Array, hashes: Uint8Array): void {
  if (!isHashOf(block, blockHash(rows), hashes)) throw new BlockChanged(block);
}

/** Is this the hash of this block? `hashes`: those of all blocks, concatenated. */
export const isHashOf = ({ index }: Pick<Block, 'index'>, hash: Uint8Array, hashes: Uint8Array): boolean =>
  Buffer.compare(hash, hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES)) === 0;

/** The hash of the data's first block, in hexadecimal: enough to recognize a different file of the same name. */
export async function firstBlockHash(source: Source, layout: Layout): Promise<string> {
  return Buffer.from(blockHash(await source.read(0, block(layout, 0).count))).toString('hex');
}

/** The most bytes that one request may read; a single block may be larger. */
export const MAX_READ_BYTES = 4 << 20;

/** The rows of these blocks, concatenated. Rejects with a UserError if a block does not exist, or for too many bytes at once. */
export async function readBlocks(source: Source, layout: Layout, indices: number[]): Promise<Float32Array> {
  const total = blockCount(layout);
  for (const index of indices)
    if (!(Number.isInteger(index) && index >= 0 && index < total))
      throw new UserError(`there is no block ${index}: the data has ${total} blocks, counted from 0`);
  const blocks = indices.map((index) => block(layout, index));
  const length = blocks.reduce((sum, { count }) => sum + count, 0) * layout.dim;
  if (blocks.length > 1 && length * 4 > MAX_READ_BYTES)
    throw new UserError(`more than ${MAX_READ_BYTES >> 20} MiB of rows at once: request fewer blocks`);
  const out = new Float32Array(length);
  let offset = 0;
  for await (const rows of readSpans(source, blocks)) {
    out.set(rows, offset);
    offset += rows.length;
  }
  return out;
}
