import { readFully } from '../../base/files.ts';
import { yieldToEventLoop } from '../../base/slices.ts';
import { UserError } from '../../base/user-error.ts';
import { MOST_CHARACTERS } from '../../model/words/words.ts';
import { openCached } from '../cache.ts';
import { closeArray, createNpyBytes, openNpy, readAppendix } from '../npy.ts';

/** The texts of all rows in a file of the cache, in which they are found by words, and read row by row. */
export interface KeptTexts {
  /** Those of these rows, on one line each. */
  at(rows: readonly number[]): Promise<string[]>;
  /**
   * The first rows, at most so many, with these words as they stand, in any case. Null once nobody wants it any more. `isAll`: there are
   * no more.
   */
  find(
    words: string,
    most: number,
    isWanted: () => boolean,
  ): Promise<{ rows: number[]; isAll: boolean } | null>;
  close(): void;
}

/** Rows whose place is known, and bytes in which words are looked for without yielding. */
const [BLOCK, CHUNK_BYTES] = [128, 1 << 20];

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const BREAKS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;
/** As texts are kept: on one line, with accents and letters as one character. */
export const lineOf = (text: string) => text.slice(0, MOST_CHARACTERS).replace(BREAKS, ' ').normalize();

/**
 * Opens the texts of `rows` rows, which are written to the cache unless they are there. `write`: hands slices of them, from the start whenever it
 * calls for them again; `path`, `kind`, `versionOf`: as of `openCached`. UserError unless there is one for each row.
 */
export async function keepTexts(
  path: string,
  kind: string,
  rows: number,
  write: (each: (slices: AsyncGenerator<string[]>) => Promise<void>) => Promise<void>,
  versionOf?: (path: string) => string,
): Promise<KeptTexts> {
  const file = await openCached(
    path,
    `lines ${kind}`,
    (target) => write((slices) => writeLines(target, path, rows, slices)),
    (target) => openNpy(target, path),
    { versionOf },
  );
  const appendix = readAppendix(file);
  /** Where each block begins, and the last one ends. */
  const starts = new Float64Array(new Uint8Array(appendix).buffer);
  const read = (from: number, to: number) => {
    const bytes = Buffer.allocUnsafe(starts[to] - starts[from]);
    readFully(file, bytes, file.offset + starts[from]);
    return bytes.toString();
  };
  return {
    close: () => closeArray(file),
    async at(wanted) {
      const texts: string[] = [];
      const known = new Map<number, string[]>();
      for (const row of wanted) {
        const block = Math.floor(row / BLOCK);
        if (!known.has(block)) known.clear();
        const lines = known.get(block) ?? read(block, block + 1).split('\n');
        known.set(block, lines);
        texts.push(lines[row % BLOCK]);
        await yieldToEventLoop();
      }
      return texts;
    },
    async find(words, most, isWanted) {
      const sought = lineOf(words).toLowerCase();
      const found: number[] = [];
      // A blank is in all of them.
      if (!sought.trim()) return { rows: found, isAll: true };
      for (let from = 0, to = 0; from < starts.length - 1; from = to) {
        await yieldToEventLoop();
        if (!isWanted()) return null;
        for (to = from + 1; to < starts.length - 1 && starts[to] - starts[from] < CHUNK_BYTES; to++);
        for (const line of linesWith(read(from, to).toLowerCase(), sought)) {
          if (found.length === most) return { rows: found, isAll: false };
          found.push(from * BLOCK + line);
        }
      }
      return { rows: found, isAll: true };
    },
  };
}

/** The numbers of the lines in which these words are. */
function* linesWith(text: string, sought: string): Generator<number> {
  let [line, start] = [0, 0];
  for (let at = text.indexOf(sought); at >= 0; at = text.indexOf(sought, start)) {
    for (let end = text.indexOf('\n', start); end < at; end = text.indexOf('\n', start)) {
      start = end + 1;
      line++;
    }
    yield line++;
    start = text.indexOf('\n', at) + 1;
  }
}

async function writeLines(target: string, path: string, rows: number, slices: AsyncGenerator<string[]>) {
  const file = createNpyBytes(target, '|u1', [0], { mode: 0o600 });
  try {
    const starts: number[] = [0];
    let [count, bytes] = [0, 0];
    let waiting: string[] = [];
    const flush = () => {
      if (!waiting.length) return;
      const block = Buffer.from(`${waiting.join('\n')}\n`);
      file.write(block, bytes);
      bytes += block.length;
      starts.push(bytes);
      waiting = [];
    };
    for await (const slice of slices) {
      for (const text of slice) {
        waiting.push(lineOf(text));
        if (waiting.length < BLOCK) continue;
        flush();
        await yieldToEventLoop();
      }
      count += slice.length;
    }
    flush();
    if (count !== rows)
      throw new UserError(`${path} has ${count} texts, but the run has ${rows} rows: restore the file`);
    file.finish([bytes], Buffer.from(Float64Array.from(starts).buffer));
  } catch (error) {
    file.abort();
    throw error;
  }
}
