import type { ByteWriter } from 'hyparquet-writer';

/** Where the bytes of a file go, one piece after the other. */
export interface ByteSink {
  write(bytes: Uint8Array): void;
}

/** The types of columns, none of which has missing values. */
const TYPES = {
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  integer: { type: 'INT32' },
  'long integer': { type: 'INT64' },
  number: { type: 'FLOAT' },
} as const;

export interface ParquetColumn {
  name: string;
  type: keyof typeof TYPES;
}

/** What a column has in some rows: texts, numbers, or bigints of long integers. */
export type ParquetValues = readonly string[] | Int32Array | Float32Array | BigInt64Array;

/** A Parquet file that is written row group by row group. */
export async function parquetFile(sink: ByteSink, columns: readonly ParquetColumn[]) {
  // Most runs write none.
  const { ByteWriter, ParquetWriter } = await import('hyparquet-writer');
  const bytes = new ByteWriter() as ByteWriter & { index: number };
  const writer = new ParquetWriter({
    writer: bytes,
    schema: [
      { name: 'rows', num_children: columns.length },
      ...columns.map(({ name, type }) => ({ name, repetition_type: 'REQUIRED' as const, ...TYPES[type] })),
    ],
    createdBy: 'dpmesh',
  });
  /** Hands over what the package has put into its buffer, as its own writer of files does. */
  const flush = () => {
    sink.write(new Uint8Array(bytes.buffer, 0, bytes.index));
    bytes.index = 0;
  };
  return {
    /** Writes a row group: in the order of the columns what each has in these rows. */
    write(values: readonly ParquetValues[], rows: number): void {
      writer.write({
        rowGroupSize: rows,
        columnData: columns.map(({ name }, i) => ({ name, data: values[i] as string[] })),
      });
      flush();
    },
    end(): void {
      writer.finish();
      flush();
    },
  };
}
