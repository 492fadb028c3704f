import { closeSync, createReadStream } from 'node:fs';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { ioError, openFile, readFully, truncated } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { throughCache } from './cache.ts';
import {
  type ArrayFile,
  createNpyBytes,
  type NpyWriter,
  openNpy,
  parseDtype,
  product,
  whole,
} from './npy.ts';

const TYPES: Record<number, string> = {
  8: '|u1',
  9: '|i1',
  11: '>i2',
  12: '>i4',
  13: '>f4',
  14: '>f8',
};
const MOST_DIMENSIONS = 8;

/** Does a file that begins with these (at least 4) bytes claim to be an IDX? */
export const isIdx = (head: Uint8Array) =>
  head[0] === 0 && head[1] === 0 && head[2] in TYPES && head[3] >= 1 && head[3] <= MOST_DIMENSIONS;

export const isGzip = (head: Uint8Array) => head[0] === 0x1f && head[1] === 0x8b;

/** Bytes of the header that begins with these. */
const headerSize = (head: Uint8Array) => 4 + 4 * head[3];

/** What a whole header says. */
function parseHeader(head: Buffer): Pick<ArrayFile, 'dtype' | 'shape' | 'fortran' | 'offset'> {
  const shape = Array.from({ length: head[3] }, (_, axis) => head.readUInt32BE(4 + 4 * axis));
  return { dtype: parseDtype(TYPES[head[2]]), shape, fortran: false, offset: headerSize(head) };
}

/** Opens an IDX file (the format of MNIST) of any element type and shape. */
export function openIdx(path: string): ArrayFile {
  const { fd, size } = openFile(path);
  try {
    const head = Buffer.alloc(Math.min(size, 4 + 4 * MOST_DIMENSIONS));
    readFully({ fd, path }, head, 0);
    if (!isIdx(head)) throw new UserError(`${path} is not an IDX file: download it again`);
    if (size < headerSize(head)) throw truncated(path, headerSize(head), size);
    return whole({ path, fd, ...parseHeader(head) }, size);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

type Check = (shape: readonly number[]) => void;

/**
 * Opens a gzip-compressed IDX file: decoded once, as a stream, into an .npy in the cache. `check` may throw at the shape that
 * its header announces; no more than that is unpacked, and nothing before.
 */
export function openIdxGz(path: string, check: Check = () => {}): Promise<ArrayFile> {
  return throughCache(
    path,
    'idx.gz',
    (target) => unpack(path, target, check),
    (target) => openNpy(target, path),
  );
}

async function unpack(path: string, target: string, check: Check): Promise<void> {
  const { take, finish, abort } = idxSink(path, target, check);
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      try {
        take(chunk);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
  try {
    await pipeline(createReadStream(path), createGunzip(), sink);
    finish();
  } catch (error) {
    abort();
    throw gzipError(path, error);
  }
}

/** Turns the content of an IDX file, chunk by chunk, into an .npy. */
function idxSink(path: string, target: string, check: Check) {
  let head = Buffer.alloc(0);
  let header: ReturnType<typeof parseHeader> | undefined;
  let writer: NpyWriter<Uint8Array> | undefined;
  let done = 0;
  let total = 0;
  return {
    take(chunk: Buffer): void {
      let body = chunk;
      if (!header) {
        head = Buffer.concat([head, chunk]);
        if (head.length < 4 || (isIdx(head) && head.length < headerSize(head))) return;
        if (!isIdx(head)) throw notIdx(path);
        header = parseHeader(head);
        check(header.shape);
        total = product(header.shape) * header.dtype.size;
        writer = createNpyBytes(target, header.dtype.descr, header.shape, 0o600);
        body = head.subarray(header.offset);
      }
      if (body.length > total - done)
        throw new UserError(
          `${path}, unpacked, is longer than its header says (${header.offset + total} bytes): download it again`,
        );
      writer!.write(body, done);
      done += body.length;
    },
    finish(): void {
      if (!header) throw notIdx(path);
      if (done < total) throw truncated(`${path}, unpacked,`, header.offset + total, header.offset + done);
      writer!.finish();
    },
    abort: () => writer?.abort(),
  };
}

const notIdx = (path: string) =>
  new UserError(`${path} does not hold an IDX file: unpack it with gunzip and name the unpacked file`);

function gzipError(path: string, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (!code?.startsWith('Z_')) return ioError(path, 'read', error);
  return new UserError(`${path} is damaged or truncated (gzip: ${message}): download it again`);
}
