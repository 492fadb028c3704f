import { open } from 'node:fs/promises';
import type { Data, DataType, Field, RecordBatch, Vector } from 'apache-arrow';
import { ioError } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { zstdUnpackers } from '../streams.ts';
import {
  assertListWidth,
  type Column,
  type Table,
  type TableBatch,
  unequalLists,
  type Wanted,
  widthOf,
} from './table.ts';

/** Arrow files (Feather version 2), read record batch by record batch. */

type Api = typeof import('apache-arrow');

/** Rows at a time: a record batch may have 65,536 of many columns. */
const PIECE_ROWS = 2048;
/** The most bytes of one column of a record batch, unpacked. */
const MOST_BUFFER_BYTES = 2 ** 32;

const firstLine = (error: unknown) => (error as Error).message.split('\n')[0];

async function load(path: string): Promise<Api> {
  const arrow = await import('apache-arrow').catch((error) => {
    throw new UserError(
      `${path} needs apache-arrow, which cannot be loaded here (${firstLine(error)}): npm install apache-arrow`,
    );
  });
  const { compressionRegistry, CompressionType } = arrow;
  if (compressionRegistry.get(CompressionType.LZ4_FRAME)) return arrow;
  // Native, and not for every machine.
  const lz4 = await import('lz4-napi').then(
    (module) => module.default,
    (error: Error) => error,
  );
  const newUnpacker = await zstdUnpackers();
  await boundLists();
  /** Unpacked bytes are copied to where arrays of 64 bits can begin. */
  const register = (type: number, unpack: (bytes: Uint8Array, most: number) => Uint8Array) =>
    compressionRegistry.set(type, {
      decode(bytes) {
        const length = claimedLength(bytes);
        const unpacked = unpack(bytes, length);
        if (length !== unpacked.length)
          throw new Error(`a buffer has ${unpacked.length} bytes, not ${length}`);
        return new Uint8Array(unpacked);
      },
    });
  register(CompressionType.LZ4_FRAME, (bytes) => {
    if (!(lz4 instanceof Error)) return lz4.decompressFrameSync(Buffer.from(bytes));
    throw new UserError(
      `LZ4 in Arrow files needs lz4-napi, which cannot be loaded here (${firstLine(lz4)}): save them with zstd`,
    );
  });
  register(CompressionType.ZSTD, (bytes, most) => {
    const unpacker = newUnpacker();
    const pieces: Uint8Array[] = [];
    let length = 0;
    for (const piece of unpacker.push(bytes)) {
      pieces.push(piece);
      length += piece.length;
      if (length > most) throw new Error(`a buffer has more bytes than ${most}`);
    }
    unpacker.end();
    return Buffer.concat(pieces);
  });
  return arrow;
}

/**
 * Makes lists in the metadata of Arrow files no longer than these: their readers count to any length that a damaged file claims. Elements
 * have a byte at least.
 */
async function boundLists(): Promise<void> {
  const { ByteBuffer } = await import('flatbuffers');
  const { __vector_len: lengthAt } = ByteBuffer.prototype;
  ByteBuffer.prototype.__vector_len = function (offset) {
    const length = lengthAt.call(this, offset);
    if (length < 0 || length > this.capacity()) throw new Error(`a list of ${length} elements`);
    return length;
  };
}

/** How long compressed bytes say that they are unpacked, before them in the file. Throws an Error for more than can be in memory. */
function claimedLength({ buffer, byteOffset }: Uint8Array): number {
  const length = new DataView(buffer, byteOffset - 8, 8).getBigInt64(0, true);
  if (length > MOST_BUFFER_BYTES)
    throw new Error(`a buffer of ${length} bytes, more than ${MOST_BUFFER_BYTES}`);
  return Number(length);
}

/** UserError if the file is damaged. */
export async function arrowTable(path: string): Promise<Table> {
  const arrow = await load(path);
  let fields: readonly Field[] = [];
  let first: RecordBatch | null = null;
  for await (const batch of batchesOf(arrow, path, (found) => (fields = found)))
    if (batch.numRows) {
      first = batch;
      break;
    }
  const columns = fields.map(({ name, type }, i): Column => {
    const kind = kindOf(arrow, type);
    const width = kind === 'list' ? widthIn(first?.getChildAt(i) ?? null) : 1;
    return { name, kind, type: String(type).toLowerCase().slice(0, 60), width };
  });
  for (const column of columns) assertListWidth(path, column);
  return {
    path,
    isNamed: true,
    columns,
    rows: first ? null : 0,
    async *read(wanted) {
      let start = 0;
      try {
        for await (const batch of batchesOf(arrow, path)) {
          for (const index of [...wanted.numbers, ...wanted.texts])
            assertWhole(arrow, batch.data.children[index], batch.numRows);
          for (let from = 0; from < batch.numRows; from += PIECE_ROWS) {
            const piece = batch.slice(from, from + PIECE_ROWS);
            yield batchOf(arrow, path, columns, wanted, piece, start);
            start += piece.numRows;
          }
        }
      } catch (error) {
        throw damage(path, error);
      }
    },
  };
}

/** The record batches of a file. `onFields`: gets its columns first: closed at its end, it has no schema any more. */
async function* batchesOf(
  arrow: Api,
  path: string,
  onFields: (fields: readonly Field[]) => void = () => {},
): AsyncGenerator<RecordBatch> {
  const file = await open(path).catch((error) => {
    throw ioError(path, 'read', error);
  });
  try {
    const reader = await arrow.RecordBatchReader.from(file);
    await reader.open();
    onFields(reader.schema.fields);
    if (!reader.isFile()) yield* reader as AsyncIterable<RecordBatch>;
    // One after the other, as apache-arrow's own loop never ends where one is something else.
    else
      for (let i = 0; i < reader.numRecordBatches; i++) {
        const batch = await reader.readRecordBatch(i);
        if (!batch) throw new Error(`record batch ${i} is none`);
        yield batch;
      }
  } catch (error) {
    throw damage(path, error);
  } finally {
    await file.close().catch(() => {});
  }
}

/** Throws an Error where a column of a record batch has fewer values than it says: what lies beyond would be missing values. */
function assertWhole(
  { DataType }: Api,
  { type, length, stride, values, valueOffsets, children }: Data,
  rows: number,
): void {
  const isOf = (own: number, needed: number) => {
    if (own < needed) throw new Error(`a column of ${rows} rows has ${own} of ${needed} values`);
  };
  isOf(length, rows);
  if (valueOffsets) isOf(valueOffsets.length, rows + 1);
  else if (DataType.isFixedSizeList(type)) isOf(children[0].length, rows * stride);
  else if (values) isOf(DataType.isBool(type) ? 8 * values.length : values.length, rows * stride);
}

const damage = (path: string, error: unknown): unknown =>
  error instanceof UserError
    ? error
    : new UserError(
        `${path} cannot be read as an Arrow file (${firstLine(error).slice(0, 120)}): it is damaged or truncated; save or copy it again`,
        { cause: error },
      );

function kindOf({ DataType }: Pick<Api, 'DataType'>, type: DataType): Column['kind'] {
  const isNumber = (type: DataType) =>
    DataType.isInt(type) || DataType.isFloat(type) || DataType.isBool(type) || DataType.isDecimal(type);
  if (DataType.isDictionary(type)) return kindOf({ DataType }, type.dictionary);
  if (isNumber(type)) return 'number';
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isUtf8View(type)) return 'text';
  if (DataType.isFixedSizeList(type) || DataType.isList(type) || DataType.isLargeList(type))
    return isNumber(type.children[0].type) ? 'list' : 'other';
  return 'other';
}

function widthIn(vector: Vector | null): number {
  for (let i = 0; i < (vector?.length ?? 0); i++) {
    const list = vector!.get(i) as Vector | null;
    if (list) return list.length;
  }
  return 1;
}

function batchOf(
  arrow: Api,
  path: string,
  columns: readonly Column[],
  { numbers, texts }: Wanted,
  piece: RecordBatch,
  start: number,
): TableBatch {
  const rows = piece.numRows;
  const vectorAt = (index: number): Vector => piece.getChildAt(index)!;
  const width = widthOf(columns, numbers);
  const values = new Float64Array(rows * width);
  let at = 0;
  for (const index of numbers) {
    const { kind, width: own } = columns[index];
    const vector = vectorAt(index);
    const toNumber = numberOf(kind === 'list' ? vector.type.children[0].type : vector.type);
    for (let i = 0, o = at; i < rows; i++, o += width) {
      if (kind === 'number') {
        values[o] = toNumber(vector.get(i));
        continue;
      }
      const list = vector.get(i) as Vector | null;
      if (list && list.length !== own) throw unequalLists(path, start + i, columns[index], list.length);
      for (let d = 0; d < own; d++) values[o + d] = list ? toNumber(list.get(d)) : Number.NaN;
    }
    at += own;
  }
  return { rows, values, texts: texts.map((index) => textsIn(arrow, vectorAt(index))) };
}

/** As they are in the file: apache-arrow would leave out a byte order mark that one begins with. */
function textsIn(arrow: Api, { data, type }: Vector): (string | null)[] {
  const { DataType, Vector, Binary, BinaryView, LargeBinary } = arrow;
  if (DataType.isDictionary(type))
    return data.flatMap((chunk) => {
      const words = textsIn(arrow, chunk.dictionary!);
      return [...new Vector([chunk.clone(type.indices)])].map((i) => (i === null ? null : words[Number(i)]));
    });
  const bytesOf = [
    DataType.isUtf8View(type) && BinaryView,
    DataType.isLargeUtf8(type) && LargeBinary,
    DataType.isUtf8(type) && Binary,
  ].find(Boolean);
  const isText = bytesOf !== undefined;
  const own = bytesOf ? data.map((chunk) => chunk.clone(new bytesOf())) : data;
  return [...new Vector(own)].map((value) => {
    if (value === null) return null;
    return isText ? Buffer.from(value as Uint8Array).toString() : String(value);
  });
}

/** Null is missing; a whole number that float64 cannot hold is infinite, which is found later. */
const numberOf = (type: DataType) => (value: unknown) => {
  if (value === null || value === undefined) return Number.NaN;
  const number = Number('scale' in type ? decimalText(value as Uint32Array, type.scale as number) : value);
  return typeof value === 'bigint' && !Number.isSafeInteger(number) ? Number.POSITIVE_INFINITY : number;
};

/** A decimal with so many digits behind the point, which Arrow keeps as a whole number of 32-bit words, the lowest first. */
function decimalText(words: Uint32Array, scale: number): string {
  const bits = Array.from(words).reduceRight((all, word) => (all << 32n) | BigInt(word), 0n);
  const whole = BigInt.asIntN(32 * words.length, bits);
  if (scale <= 0) return `${whole * 10n ** BigInt(-scale)}`;
  const digits = `${whole < 0n ? -whole : whole}`.padStart(scale + 1, '0');
  return `${whole < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
