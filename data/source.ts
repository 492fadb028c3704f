/** What a reader answers: rows of float32 in file order, read on demand. Nothing above it knows the format. */
export interface Source {
  readonly rows: number;
  readonly dim: number;
  /** The element type as stored, for people: `float32`, `>f8`, `uint8`, `csv` … */
  readonly dtype: string;
  /** Rows `start … start+count−1`, row-major, `count·dim` float32. Rejects with a UserError if the file is short. */
  read(start: number, count: number): Promise<Float32Array>;
  /** One row as the file has it, in double precision (of a text table, what its cache has). */
  stored(row: number): Promise<Float64Array>;
  close(): void;
}
