import { UserError } from '../../base/user-error.ts';
import { elementCount } from '../../model/arrays.ts';
import { decode, decodeInto, dtypeName } from '../arrays/dtype.ts';
import { assertComplete, assertNumeric, assertTable, isNpy, npyHeaderIn } from '../npy.ts';
import type { Latency, Source } from '../source.ts';
import { noRanges, openRemote, type RemoteFile } from './remote-file.ts';

/** At 100 MB/s and a round trip of 20 ms, a gap takes about as long as a sixteenth of a request. */
const LATENCY: Latency = { gapBytes: 1 << 17, spanBytes: 2 << 20, aheadBytes: 16 << 20, requests: 16 };

/** Can the rows of this file be read in place: is it an .npy in C order? A UserError if it is an .npy of which no parts can be read. */
export function isInPlace(file: RemoteFile): boolean {
  if (!isNpy(file.head)) return false;
  if (!file.hasRanges) throw noRanges(file.name);
  return !arrayIn(file).fortran;
}

/** Opens the rows of an .npy in C order, which are read part by part. Rejects with a UserError as `openSource` does. */
export async function openRemoteNpy(address: string): Promise<Source> {
  const file = await openRemote(address);
  if (!isInPlace(file)) throw new UserError(`${file.name} is no .npy in C order any more: start again`);
  const array = arrayIn(file);
  assertNumeric(array);
  assertTable(array);
  const { dtype, offset, shape } = array;
  const [rows] = shape;
  const dim = elementCount(shape.slice(1));
  const fill = async <T extends Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>>(
    out: T,
    start: number,
  ): Promise<T> => {
    if (!(start >= 0 && start * dim + out.length <= rows * dim))
      throw new RangeError(`rows from ${start} on are outside of ${file.name}, which has ${rows} rows`);
    const bytes = await file.read(offset + start * dim * dtype.size, out.length * dtype.size);
    decodeInto(out, bytes, dtype);
    return out;
  };
  return {
    rows,
    dim,
    dtype: dtypeName(dtype),
    ...(shape.length > 2 && { shape: shape.slice(1) }),
    latency: LATENCY,
    async read(start, count, into) {
      if (dtype.kind !== 'f' || dtype.size !== 4) return fill(into ?? new Float32Array(count * dim), start);
      const bytes = await file.read(offset + start * dim * 4, count * dim * 4);
      return decode(bytes, dtype) as Float32Array;
    },
    stored: (row) => fill(new Float64Array(dim), row),
    assertSameFile: file.assertSame,
    close() {},
  };
}

const arrayIn = ({ name, size, head }: RemoteFile) =>
  assertComplete({ path: name, ...npyHeaderIn(name, Buffer.from(head), size!) }, size!);
