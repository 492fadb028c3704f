import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import { yieldToEventLoop } from './slices.ts';

/** SHA-256 of files that are open, in pieces, so that none has to fit in memory. */

/** Bytes that are read and hashed at a time. */
const CHUNK_BYTES = 1 << 20;

export const SHA256_BYTES = 32;

/** SHA-256 of an open file from its start to its end, in hexadecimal. Throws the error of a failed read. */
export function sha256(fd: number): string {
  const hash = createHash('sha256');
  for (const chunk of chunksOf(fd)) hash.update(chunk);
  return hash.digest('hex');
}

/** Like `sha256`, but yields to the event loop in between. */
export async function sha256InSlices(fd: number): Promise<string> {
  const hash = createHash('sha256');
  for (const chunk of chunksOf(fd)) {
    hash.update(chunk);
    await yieldToEventLoop();
  }
  return hash.digest('hex');
}

function* chunksOf(fd: number): Generator<Buffer> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let at = 0, count = 0; (count = readSync(fd, chunk, 0, chunk.length, at)); at += count)
    yield chunk.subarray(0, count);
}
