import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import { yieldToEventLoop } from './slices.ts';

/** Bytes that are read and hashed at a time. */
const CHUNK_BYTES = 1 << 20;

/** SHA-256 of an open file from its start to its end, in hexadecimal. Throws the error of a failed read. */
export function sha256(fd: number): string {
  const { step, digest } = hashing(fd);
  while (step());
  return digest();
}

/** Like `sha256`, but yields to the event loop in between. */
export async function sha256InSlices(fd: number): Promise<string> {
  const { step, digest } = hashing(fd);
  while (step()) await yieldToEventLoop();
  return digest();
}

/** `step` hashes the next chunk; false if there was none. */
function hashing(fd: number) {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let at = 0;
  return {
    step(): boolean {
      const count = readSync(fd, chunk, 0, chunk.length, at);
      hash.update(chunk.subarray(0, count));
      at += count;
      return count > 0;
    },
    digest: () => hash.digest('hex'),
  };
}
