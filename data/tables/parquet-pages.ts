import { closeSync } from 'node:fs';
import zlib from 'node:zlib';
import { openFile, readFully } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';

/** What DuckDB passes over in a Parquet file: checksums of pages, and decimals that it reads as other numbers. */

/** Bytes that are read for the header of a page at first; with long texts in its statistics it may have more. */
const HEADER_BYTES = 1 << 13;
const MOST_HEADER_BYTES = 1 << 24;
/** Digits of a decimal that DuckDB holds. */
const MOST_DIGITS = 38;

/**
 * Compares the checksum of each page that has one. Resolves to the names of columns with decimals of too many digits, with their types.
 * UserError if the file is damaged; none for a footer that is, as DuckDB says what is wrong with it.
 */
export async function checkPages(path: string): Promise<Map<string, string>> {
  const { parquetMetadataAsync } = await import('hyparquet');
  const { parquetHeader } = await import('hyparquet/src/column.js');
  const { fd, size } = openFile(path);
  const read = (start: number, length: number) => {
    const bytes = new Uint8Array(length);
    readFully({ fd, path }, bytes, start);
    return bytes;
  };
  const headerAt = (start: number, end: number) => {
    for (let length = HEADER_BYTES; ; length *= 2) {
      const bytes = read(start, Math.min(length, end - start));
      const reader = { view: new DataView(bytes.buffer), offset: 0 };
      try {
        const { crc, compressed_page_size: bytes } = parquetHeader(reader);
        if (!(bytes >= 0 && start + reader.offset + bytes <= end)) throw new Error('a page of no size');
        return { crc, bytes, length: reader.offset };
      } catch (error) {
        if (start + length >= end || length >= MOST_HEADER_BYTES) throw error;
      }
    }
  };
  try {
    const slice = async (start: number, end = size) => read(start, end - start).buffer;
    const metadata = await parquetMetadataAsync({ byteLength: size, slice }).catch(() => null);
    if (!metadata) return new Map();
    let hasChecksums = false;
    for (const [group, { columns }] of metadata.row_groups.entries())
      for (const { meta_data: chunk } of columns) {
        if (!chunk) continue;
        const { dictionary_page_offset: dictionary, data_page_offset: data } = chunk;
        const start = Number(dictionary && dictionary < data ? dictionary : data);
        const end = Math.min(start + Number(chunk.total_compressed_size), size);
        try {
          for (let at = start; at < end; ) {
            const { crc, bytes, length } = headerAt(at, end);
            hasChecksums ||= crc !== undefined;
            if (crc !== undefined && zlib.crc32(read(at + length, bytes)) !== crc >>> 0)
              throw new Error('a checksum differs');
            at += length + bytes;
          }
        } catch (error) {
          // Else it may be a habit of its writer, and DuckDB says what is wrong.
          if (hasChecksums)
            throw new UserError(
              `${path} is damaged (${(error as Error).message}, in column ${chunk.path_in_schema[0]} of row group ${group}): copy or save it again`,
            );
        }
      }
    return wideDecimals(metadata);
  } finally {
    closeSync(fd);
  }
}

type Metadata = Awaited<ReturnType<typeof import('hyparquet').parquetMetadataAsync>>;

function wideDecimals({ schema, row_groups: [group] }: Metadata): Map<string, string> {
  const leaves = schema.filter(({ num_children }) => !num_children);
  return new Map(
    (group?.columns ?? []).flatMap(({ meta_data }, i) => {
      const { precision = 0, scale } = leaves[i];
      return precision > MOST_DIGITS
        ? [[meta_data!.path_in_schema[0], `decimal(${precision},${scale})`]]
        : [];
    }),
  );
}
