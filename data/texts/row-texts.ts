import { UserError } from '../../base/user-error.ts';

/** The texts of rows in pieces of any size, from slices of any other. */
export interface RowTexts {
  /** Those of the next rows. */
  next(count: number): Promise<string[]>;
  /** Throws a UserError if texts are left over. */
  end(): Promise<void>;
  /** Ends the reading early. */
  close(): Promise<void>;
}

/** `what`: names them in messages. */
export function rowTexts(slices: AsyncGenerator<string[]>, what: string): RowTexts {
  let left: string[] = [];
  const changed = () => new UserError(`${what} has another number of rows than the data; restore the file`);
  return {
    async next(count) {
      while (left.length < count) {
        const { done, value } = await slices.next();
        if (done) throw changed();
        left = left.length ? [...left, ...value] : value;
      }
      const texts = left.slice(0, count);
      left = left.slice(count);
      return texts;
    },
    async end() {
      if (left.length) throw changed();
      // A slice is empty where all of its rows were dropped.
      for await (const slice of slices) if (slice.length) throw changed();
    },
    async close() {
      await slices.return(undefined);
    },
  };
}

/** Texts that are in memory. */
export async function* inSlices(texts: readonly string[]): AsyncGenerator<string[]> {
  yield [...texts];
}
