import { UserError } from '../../base/user-error.ts';
import type { Manifest } from './manifest.ts';

/** Rows as lines of CSV or JSON that come as a stream of bytes, which is read no further than to the end of a piece. */
export interface Lines {
  /** What names of files with such lines begin with. */
  readonly source: 'stdin' | 'kafka';
  /** The ending of the name of a file with such lines; null if there are none. Waits for the first ones. */
  ending(): Promise<'csv' | 'jsonl' | null>;
  /** Writes the next lines as such a file. The number of rows; 0 at the end. */
  next(write: (bytes: Uint8Array) => void): Promise<number>;
  /** Where the last lines came from, for messages, and where those after them begin, for the manifest, if they can be read again. */
  where?(): string;
  position?(): Pick<Manifest, 'kafka'>;
}

/** Bytes of a line. */
const MOST_BYTES = 64 << 20;
const [NEWLINE, QUOTE] = [...Buffer.from('\n"')];

/**
 * @param rows that are enough for a piece
 * @param every seconds after which fewer are enough
 * @param names of columns: a first line with one of them is a header, and that of each piece
 */
export function createLines(
  input: AsyncIterable<Uint8Array>,
  {
    rows,
    every,
    names,
    signal,
  }: { rows: number; every: number; names: readonly string[]; signal?: AbortSignal },
): Lines {
  const chunks = input[Symbol.asyncIterator]();
  let coming: Promise<IteratorResult<Uint8Array>> | null = null;
  /** What was read and belongs to the next lines. */
  let rest = Buffer.alloc(0);
  let ended = false;
  let ending: 'csv' | 'jsonl' | null = null;
  /** Null before it is known whether there is one. */
  let header: Buffer | null = null;

  /** Reads on; false if nothing has come until then, ms on the clock of the process. */
  async function read(until: number): Promise<boolean> {
    const next = (coming ??= chunks.next());
    const chunk = await new Promise<IteratorResult<Uint8Array> | null>((resolve, reject) => {
      const settle = (result: IteratorResult<Uint8Array> | null) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', late);
        resolve(result);
      };
      const late = () => settle(null);
      const timer = setTimeout(late, Math.min(until - performance.now(), MOST_MS));
      signal?.addEventListener('abort', late, { once: true });
      next.then(settle, reject).finally(() => clearTimeout(timer));
      if (signal?.aborted) late();
    });
    if (chunk === null) return false;
    coming = null;
    if (chunk.done) ended = true;
    else rest = Buffer.concat([rest, chunk.value]);
    if (rest.length > MOST_BYTES + (chunk.value?.length ?? 0))
      throw new UserError(
        `standard input has a line of more than ${MOST_BYTES} bytes: it must be lines of CSV or JSON`,
      );
    return true;
  }

  async function begin() {
    while (ending === null && !ended && !signal?.aborted) {
      await read(Number.POSITIVE_INFINITY);
      const text = rest.toString('utf8', 0, 1024).trimStart();
      if (rest.subarray(0, 1024).some((byte) => byte < 9 || (byte > 13 && byte < 32)))
        throw new UserError(
          'standard input is binary, and must be lines of CSV or JSON: save files to a folder, and follow that',
        );
      if (text) ending = /^[{[]/.test(text) ? 'jsonl' : 'csv';
    }
    return ending;
  }

  /** The ends of the complete lines in `rest` that have more than blanks. In CSV a line may end within quotes, and then goes on. */
  function* ends(): Generator<number> {
    let [isQuoted, isBlank] = [false, true];
    for (let i = 0; i < rest.length; i++) {
      if (rest[i] === QUOTE && ending === 'csv') isQuoted = !isQuoted;
      if (rest[i] > 32) isBlank = false;
      if (rest[i] !== NEWLINE || isQuoted) continue;
      if (!isBlank) yield i + 1;
      isBlank = true;
    }
  }

  function take(length: number): Buffer {
    const taken = rest.subarray(0, length);
    rest = rest.subarray(length);
    return taken;
  }

  return {
    source: 'stdin',
    ending: begin,
    async next(write) {
      if ((await begin()) === null) return 0;
      let [count, until] = [0, Number.POSITIVE_INFINITY];
      for (;;) {
        // The last line may have no end.
        if (ended && rest.length && rest.at(-1) !== NEWLINE) rest = Buffer.concat([rest, Buffer.from('\n')]);
        const own = ends();
        if (header === null) {
          const first = own.next();
          if (!first.done) {
            const isHeader = ending === 'csv' && isHeaderOf(names, rest.toString('utf8', 0, first.value));
            header = isHeader ? take(first.value) : Buffer.alloc(0);
            continue;
          }
        }
        let end = 0;
        for (const place of own) {
          end = place;
          if (count === 0) write(header!);
          if (++count === rows) break;
        }
        if (end) write(take(end));
        if (count >= rows || ended || signal?.aborted) return count;
        if (count) until = Math.min(until, performance.now() + 1000 * every);
        if (!(await read(until)) && count) return count;
      }
    },
  };
}

/** The longest time that timers know. */
const MOST_MS = 2 ** 31 - 1;

/** A line with one of the names; of columns that have none, one that is not of numbers. */
function isHeaderOf(names: readonly string[], line: string): boolean {
  const fields = line.split(/[,;\t|]/).map((field) => field.trim().replace(/^"(.*)"$/, '$1'));
  return names.length
    ? fields.some((field) => names.includes(field))
    : fields.some((field) => field !== '' && Number.isNaN(Number(field)));
}
