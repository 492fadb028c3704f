import { statSync } from 'node:fs';
import { attempted, ioError, openedFile, readFully, truncated } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { parseDtype } from './arrays/dtype.ts';
import { assertRoom, openCached } from './cache.ts';
import { type ArrayFile, assertComplete, byteCount, createNpyBytes, openNpy, tuple } from './npy.ts';
import { unpacked } from './streams.ts';

/** NumPy's spelling of IDX element types. */
const DTYPES: Record<number, string> = {
  8: '|u1',
  9: '|i1',
  11: '>i2',
  12: '>i4',
  13: '>f4',
  14: '>f8',
};
const MAX_DIMENSIONS = 8;
/** No deflated byte stands for more bytes than this. */
const MAX_GZIP_RATIO = 1032;

/** Do these first bytes of a file, at least 4, look like an IDX header? */
export const isIdx = (head: Uint8Array) =>
  head[0] === 0 && head[1] === 0 && head[2] in DTYPES && head[3] >= 1 && head[3] <= MAX_DIMENSIONS;

/** The length in bytes of the header that starts with these bytes. */
const headerSize = (head: Uint8Array) => 4 + 4 * head[3];

/** Parses a complete header. */
function parseHeader(head: Buffer): Pick<ArrayFile, 'dtype' | 'shape' | 'fortran' | 'offset'> {
  const shape = Array.from({ length: head[3] }, (_, axis) => head.readUInt32BE(4 + 4 * axis));
  return { dtype: parseDtype(DTYPES[head[2]]), shape, fortran: false, offset: headerSize(head) };
}

/** Opens an IDX file (the format of MNIST) of any element type and shape. Throws a UserError if it is damaged. */
export function openIdx(path: string): ArrayFile {
  return openedFile(path, (fd, size) => {
    const head = Buffer.alloc(Math.min(size, 4 + 4 * MAX_DIMENSIONS));
    readFully({ fd, path }, head, 0);
    if (!isIdx(head)) throw new UserError(`${path} is not a valid IDX file: download it again`);
    if (size < headerSize(head)) throw truncated(path, headerSize(head), size);
    return assertComplete({ path, fd, ...parseHeader(head) }, size);
  });
}

/**
 * Opens a gzip-compressed IDX file, which is decoded once, as a stream, into an .npy in the cache. `check` may throw to
 * reject the shape in the header before anything is unpacked. Never unpacks more bytes than the header says.
 */
export function openIdxGz(path: string, check: (shape: readonly number[]) => void = () => {}) {
  return openCached(
    path,
    'idx.gz',
    (target) => unpack(path, target, check),
    (target) => openNpy(target, path),
  );
}

async function unpack(path: string, target: string, check: (shape: readonly number[]) => void) {
  const packed = attempted(path, 'read', () => statSync(path).size);
  let head = Buffer.alloc(0);
  let writer: ReturnType<typeof createNpyBytes> | undefined;
  let [done, offset, total] = [0, 0, 0];
  const begin = () => {
    const header = parseHeader(head);
    const { shape, dtype } = header;
    check(shape);
    offset = header.offset;
    total = byteCount({ path, ...header });
    if (offset + total > MAX_GZIP_RATIO * packed)
      throw new UserError(
        `${path} has shape ${tuple(shape)}, more than its ${packed} bytes can hold: download it again`,
      );
    assertRoom(target, path, total);
    return createNpyBytes(target, dtype.descr, shape, { mode: 0o600 });
  };
  try {
    for await (const chunk of unpacked(path)) {
      let body = chunk;
      if (!writer) {
        head = Buffer.concat([head, chunk]);
        if (head.length < 4 || (isIdx(head) && head.length < headerSize(head))) continue;
        if (!isIdx(head)) break;
        writer = begin();
        body = head.subarray(offset);
      }
      if (body.length > total - done)
        throw new UserError(
          `${path}, unpacked, is longer than the ${offset + total} bytes of its header: download it again`,
        );
      writer.write(body, done);
      done += body.length;
    }
    if (!writer)
      throw new UserError(
        `${path} does not contain an IDX file: unpack it with gunzip and use the unpacked file`,
      );
    if (done < total) throw truncated(`${path}, unpacked,`, offset + total, offset + done);
    writer.finish();
  } catch (error) {
    writer?.abort();
    throw ioError(path, 'read', error);
  }
}
