/** All that the data say of rows, by column: also what is not clustered, such as names and dates of a table (row-fields.ts reads them). */

/** A column of numbers, or of texts. */
export interface Field {
  readonly name: string;
  readonly kind: 'number' | 'text';
}

/** What consecutive rows have in a column: NaN, or null, where it is missing. */
export type FieldValues = Float64Array | (string | null)[];

export interface RowFields {
  readonly fields: readonly Field[];
  /**
   * What `use` makes of some columns, whose values it may read several times, slice by slice, those of each column after the other. It is called
   * again where a table is not read to its end by the fast reader. UserError if the file is damaged.
   */
  read<T>(
    columns: readonly number[],
    use: (slices: () => AsyncGenerator<FieldValues[]>) => Promise<T>,
  ): Promise<T>;
}
