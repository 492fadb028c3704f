import * as z from 'zod/mini';
import { openedFile, readFully, truncated, withFile } from '../../base/files.ts';
import { list, record } from '../../base/schema.ts';
import { UserError } from '../../base/user-error.ts';
import { elementCount } from '../../model/arrays.ts';
import { type ArrayFile, assertComplete, byteCount } from '../npy.ts';
import { type Container, memberPath } from './container.ts';
import { BFLOAT16, type NpyDtype, parseDtype } from './dtype.ts';

/** Tensors in a .safetensors file, which are read in place: the length of a header, the header in JSON, the tensors' bytes. */

/** That of a model of thousands of tensors has a megabyte. */
const MAX_HEADER_BYTES = 1 << 22;
/** What the format allows. */
const MOST_OF_FORMAT = 100_000_000n;
const LENGTH_BYTES = 8;
const METADATA = '__metadata__';
/** The names of the columns, a list in JSON: the metadata of the format are texts. The Python client writes them. */
const metadataSchema = z.object({ columns: z.string() });
const columnsSchema = list(z.string());

const DTYPES: Record<string, NpyDtype> = {
  BF16: BFLOAT16,
  BOOL: parseDtype('|b1'),
  ...Object.fromEntries(
    ['U8', 'I8', 'U16', 'I16', 'F16', 'U32', 'I32', 'F32', 'U64', 'I64', 'F64'].map((name) => [
      name,
      parseDtype(`<${name[0].toLowerCase()}${Number(name.slice(1)) / 8}`),
    ]),
  ),
};

const size = z.int().check(z.nonnegative());
const tensorSchema = z.object({
  dtype: z.string().check(z.maxLength(16)),
  shape: list(size, z.maxLength(32)),
  data_offsets: z.tuple([size, size]),
});
type Tensor = z.infer<typeof tensorSchema>;
const headerSchema = record(z.string(), z.unknown());

/** Do these first bytes of a file, at least 9 of them, look like a safetensors header? */
export const isSafetensors = (head: Buffer) =>
  head.length > LENGTH_BYTES && head[LENGTH_BYTES] === 0x7b && head.readBigUInt64LE() <= MOST_OF_FORMAT;

/** Opens a .safetensors file. Throws a UserError if it is damaged or truncated. */
export function openSafetensors(path: string): Container {
  return withFile(path, (file) => {
    const header = readHeader(file);
    const start = LENGTH_BYTES + header.length;
    const { tensors, columns } = parseHeader(path, header.toString());
    assertPlaces(path, tensors, file.size - start);
    return {
      path,
      names: [...tensors.keys()],
      find: (name) => (tensors.has(name) ? name : null),
      shapeOf: async (name) => tensors.get(name)!.shape,
      open: async (name) => {
        const tensor = tensors.get(name)!;
        const isNamed = tensor.shape.length === 2 && tensor.shape[1] === columns?.length;
        return { file: openTensor(path, name, tensor, start), names: isNamed ? columns : null };
      },
      close() {},
    };
  });
}

function readHeader(file: { fd: number; path: string; size: number }): Buffer {
  const { path, size: fileSize } = file;
  if (fileSize < LENGTH_BYTES) throw truncated(path, LENGTH_BYTES, fileSize);
  const head = Buffer.alloc(LENGTH_BYTES);
  readFully(file, head, 0);
  const length = head.readBigUInt64LE();
  if (length > MAX_HEADER_BYTES)
    throw new UserError(
      `${path} has a header of ${length} bytes, more than the supported ${MAX_HEADER_BYTES}: save the tensor to use in a file of its own`,
    );
  const end = LENGTH_BYTES + Number(length);
  if (end > fileSize) throw truncated(path, end, fileSize);
  const header = Buffer.alloc(Number(length));
  readFully(file, header, LENGTH_BYTES);
  return header;
}

/** `columns`: their names; null without. */
function parseHeader(path: string, text: string) {
  try {
    const { [METADATA]: metadata, ...tensors } = headerSchema.parse(JSON.parse(text));
    return {
      tensors: new Map(Object.entries(tensors).map(([name, value]) => [name, tensorSchema.parse(value)])),
      columns: columnsOf(metadata),
    };
  } catch {
    throw damaged(path);
  }
}

function columnsOf(metadata: unknown): string[] | null {
  try {
    return columnsSchema.parse(JSON.parse(metadataSchema.parse(metadata).columns));
  } catch {
    // Metadata of others, for whom the word means something else.
    return null;
  }
}

const damaged = (path: string) =>
  new UserError(`${path} is not a safetensors file, or its header is damaged: copy or save it again`);

/** Throws a UserError unless each tensor has its own bytes of the file, as many as its elements need. */
function assertPlaces(path: string, tensors: ReadonlyMap<string, Tensor>, available: number): void {
  let taken = 0;
  const inOrder = [...tensors].sort(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0]);
  for (const [name, { dtype, shape, data_offsets }] of inOrder) {
    const [from, to] = data_offsets;
    const known = DTYPES[dtype];
    const isWhole = !known || to - from === byteCount({ path: memberPath(path, name), shape, dtype: known });
    const isEmpty = elementCount(shape) === 0;
    if (to < from || !isWhole || (from < taken && !isEmpty)) throw damaged(path);
    taken = Math.max(taken, to);
  }
  if (taken > available) throw truncated(path, taken, available);
}

function openTensor(path: string, name: string, tensor: Tensor, start: number): ArrayFile {
  const { shape, data_offsets } = tensor;
  const label = memberPath(path, name);
  const dtype = DTYPES[tensor.dtype];
  if (!dtype)
    throw new UserError(
      `${label} has the element type ${JSON.stringify(tensor.dtype)}, which is not supported: save it as F32`,
    );
  return openedFile(path, (fd, fileSize) => {
    const offset = start + data_offsets[0];
    return assertComplete({ path: label, fd, dtype, shape, fortran: false, offset }, fileSize);
  });
}
