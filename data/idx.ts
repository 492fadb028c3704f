import { closeSync } from 'node:fs';
import { openFile, readFully, truncated } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { type ArrayFile, parseDtype, whole } from './npy.ts';

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
export const headerSize = (head: Uint8Array) => 4 + 4 * head[3];

/** What a whole header says. */
export function parseHeader(head: Buffer): Pick<ArrayFile, 'dtype' | 'shape' | 'fortran' | 'offset'> {
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
