import { closeSync, createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { openFile, readFully } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { zstdUnpackers } from './zstd.ts';

/** The bytes of a file, unpacked where it is compressed, as a stream. */

export type Compression = 'none' | 'gzip' | 'zstd';

const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** How the file with these first bytes is compressed. */
export function compressionOf(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  // pzstd begins with a frame that is to be skipped.
  const isSkipped = head[0] >> 4 === 5 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18;
  return isSkipped || ZSTD.equals(head.subarray(0, ZSTD.length)) ? 'zstd' : 'none';
}

/** The first bytes of a file, as they are in it. */
export function headOf(path: string, bytes: number): Buffer {
  const { fd, size } = openFile(path);
  try {
    const head = Buffer.alloc(Math.min(size, bytes));
    readFully({ fd, path }, head, 0);
    return head;
  } finally {
    closeSync(fd);
  }
}

/** Its bytes, unpacked. Rejects with a UserError if it is compressed and damaged. */
export async function* unpacked(path: string): AsyncGenerator<Buffer> {
  const compression = compressionOf(headOf(path, 4));
  if (compression === 'none') yield* createReadStream(path);
  else if (compression === 'gzip') yield* gunzipped(path);
  else yield* unzstd(path);
}

/** At least `bytes` bytes from its start, unpacked; fewer if it has fewer. */
export async function unpackedHead(path: string, bytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of unpacked(path)) {
    pieces.push(piece);
    length += piece.length;
    if (length >= bytes) break;
  }
  return Buffer.concat(pieces);
}

async function* gunzipped(path: string): AsyncGenerator<Buffer> {
  const file = createReadStream(path);
  const gunzip = createGunzip();
  file.on('error', (error) => gunzip.destroy(error)).pipe(gunzip);
  try {
    yield* gunzip;
  } catch (error) {
    throw String((error as NodeJS.ErrnoException).code).startsWith('Z_') ? damaged(path, error) : error;
  } finally {
    file.destroy();
  }
}

async function* unzstd(path: string): AsyncGenerator<Buffer> {
  const unpacker = (await zstdUnpackers())();
  try {
    for await (const piece of createReadStream(path))
      for (const { buffer, byteOffset, length } of unpacker.push(piece))
        yield Buffer.from(buffer, byteOffset, length);
    unpacker.end();
  } catch (error) {
    throw (error as NodeJS.ErrnoException).syscall ? error : damaged(path, error);
  }
}

const damaged = (path: string, cause: unknown) =>
  new UserError(`${path} is damaged or truncated: its compressed bytes cannot be unpacked; copy it again`, {
    cause,
  });
