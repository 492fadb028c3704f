import { UserError } from '../../base/user-error.ts';
import type { Source } from '../source.ts';
import { unpacked } from '../streams.ts';

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

/** Counts texts that were there before, of a known number of them: by a hash of 64 bits of each. */
export async function repeatCounter(most: number) {
  const { h64 } = await (await import('xxhash-wasm')).default();
  const hashes = new BigUint64Array(most);
  let count = 0;
  return {
    add(text: string): void {
      hashes[count++] = h64(text);
    },
    repeats: (): number =>
      hashes.sort().reduce((sum, hash, i) => sum + Number(i > 0 && hash === hashes[i - 1]), 0),
  };
}

/** The lines of a text file, which may be compressed. */

const LINE_BREAK = 10;

/** The number of lines; the last one may lack its break. */
export async function lineCount(path: string): Promise<number> {
  let [lines, last] = [0, LINE_BREAK];
  for await (const bytes of unpacked(path)) {
    for (let at = bytes.indexOf(LINE_BREAK); at >= 0; at = bytes.indexOf(LINE_BREAK, at + 1)) lines++;
    last = bytes.at(-1) ?? last;
  }
  return lines + Number(last !== LINE_BREAK);
}

/** The lines of a text file, slice by slice. */
export async function* linesOf(path: string): AsyncGenerator<string[]> {
  const withoutReturn = (line: string) => (line.endsWith('\r') ? line.slice(0, -1) : line);
  const decoder = new TextDecoder();
  let left = '';
  for await (const bytes of unpacked(path)) {
    const lines = `${left}${decoder.decode(bytes, { stream: true })}`.split('\n');
    left = lines.pop()!;
    yield lines.map(withoutReturn);
  }
  left += decoder.decode();
  if (left) yield [withoutReturn(left)];
}

export type NamedRows = Pick<Source, 'images' | 'texts' | 'id'>;

/** What names the rows: a column of a table, those of the cells of an .h5ad, or images; null: their numbers. */
export function namesOfRows(
  { images, texts, id: usual = '' }: NamedRows,
  { data, id }: { data: string; id: string | null },
): RowTexts | null {
  if (images) return rowTexts(inSlices(images), data);
  const column = id ?? usual;
  return column && texts ? rowTexts(texts(column), `column ${column} of ${data}`) : null;
}
