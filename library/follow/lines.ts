import { UserError } from '../../base/user-error.ts';
import { utf16Error, utf16Of } from '../../data/streams.ts';
import { rowsBeforeData, saysSep } from '../../data/tables/csv-table.ts';
import type { Manifest } from './manifest.ts';

/** Standard input cut into pieces of whole rows, of CSV or JSON, read no further than needed. What becomes of a piece, follow.ts knows. */

/** Rows as lines of CSV or JSON that come as a stream of bytes, which is read no further than to the end of a piece. */
export interface Lines {
  /** What names of files with such lines begin with. */
  readonly source: 'stdin' | 'kafka';
  /** The ending of the name of a file with such lines; null if there are none. Waits for the first ones. */
  ending(): Promise<'csv' | 'jsonl' | null>;
  /** Writes the next lines as such a file. The number of rows; 0 at the end. */
  next(write: (bytes: Uint8Array) => void): Promise<number>;
  /** The line of the input on which a line of the file is, from 1, where the input is one. */
  lineOf?(line: number): number;
  /** Where the last lines came from, for messages, and where those after them begin, for the manifest, if they can be read again. */
  where?(): string;
  position?(): Pick<Manifest, 'kafka'>;
}

/** Bytes of a line; and within quotes, that a stray one does not hold up all that comes. */
const [MOST_BYTES, MOST_QUOTED] = [64 << 20, 4 << 20];
/** Rows by which a header is told, with a line before it that says what separates fields. */
const FIRST_ROWS = 3;
const [NEWLINE, RETURN, BLANK, QUOTE] = [...Buffer.from('\n\r "')];
const MARK = Buffer.from('\ufeff');

/**
 * @param rows that are enough for a piece
 * @param every seconds after which fewer are enough
 * @param isHeaderRow tells whether the first row is a header, which is then that of each piece
 * @param separator of fields, besides the usual ones
 */
export function createLines(
  input: AsyncIterable<Uint8Array>,
  {
    rows,
    every,
    isHeaderRow,
    separator = null,
    signal,
  }: {
    rows: number;
    every: number;
    isHeaderRow: (first: string[], second?: string[]) => boolean;
    separator?: string | null;
    signal?: AbortSignal;
  },
): Lines {
  const chunks = input[Symbol.asyncIterator]();
  let coming: Promise<IteratorResult<Uint8Array>> | null = null;
  /** What was read and belongs to the next lines, of which those up to `scanned` have no end. */
  const rest = createBuffer();
  let scanned = 0;
  let ends: RowEnds | null = null;
  let ended = false;
  let ending: 'csv' | 'jsonl' | null = null;
  let header: Buffer = Buffer.alloc(0);
  /** Rows of it that were not read yet; null before it is known whether there is one. */
  let headerRows: number | null = null;
  /** Lines of the header; and the lines of the input on which the last piece begins, and the next one. */
  let [headerLines, begins, next] = [0, 1, 1];

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
    else rest.add(chunk.value);
    if (rest.length() > MOST_BYTES + (chunk.value?.length ?? 0))
      throw new UserError(
        `standard input has a line of more than ${MOST_BYTES} bytes: it must be lines of CSV or JSON`,
      );
    return true;
  }

  async function begin() {
    while (ending === null && !ended && !signal?.aborted) {
      await read(Number.POSITIVE_INFINITY);
      const head = rest.bytes().subarray(0, 1024);
      if (utf16Of(head)) throw utf16Error('standard input');
      const text = head.toString().trimStart();
      if (head.some((byte) => byte < 9 || (byte > 13 && byte < 32)))
        throw new UserError(
          'standard input is binary, and must be lines of CSV or JSON: save files to a folder, and follow that',
        );
      if (!text) continue;
      ending = /^[{[]/.test(text) ? 'jsonl' : 'csv';
      ends = createRowEnds(ending, separator);
      if (rest.bytes().subarray(0, MARK.length).equals(MARK)) rest.take(MARK.length);
    }
    return ending;
  }

  /** The place after the next line in `rest`; null if none of them is complete. */
  function endOfNext(): number | null {
    const end = ends!.next(rest.bytes(), scanned);
    if (end !== null) next = ends!.line();
    scanned = end ?? rest.length();
    const open = ends!.open();
    if (end === null && open && (ended || open.bytes > MOST_QUOTED)) {
      const where = ended ? 'to the end' : `in ${MOST_QUOTED} bytes`;
      throw new UserError(
        `standard input line ${open.line} has a quote that does not close ${where}: close it, or double it where it is text within quotes`,
      );
    }
    return end;
  }

  /** As the reader of files tells, from the first rows: which of them are before the data, and belong to each piece. */
  async function rowsOfHeader(): Promise<number> {
    if (ending !== 'csv') return 0;
    const found = createRowEnds('csv', separator);
    const ends: number[] = [];
    for (let [at, until] = [0, Number.POSITIVE_INFINITY]; ; ) {
      const bytes = rest.bytes();
      // No byte is looked at twice, however many chunks a row comes in.
      while (ends.length < FIRST_ROWS && at < bytes.length) {
        const end = found.next(bytes, at);
        if (end !== null) ends.push(end);
        at = end ?? bytes.length;
      }
      if (ends.length) until = Math.min(until, performance.now() + 1000 * every);
      const wanted = ends.length && saysSep(bytes.toString('utf8', 0, ends[0])) ? FIRST_ROWS : FIRST_ROWS - 1;
      const isEnough = ended || ends.length >= wanted || (found.open()?.bytes ?? 0) > MOST_QUOTED;
      if (isEnough || !(await read(until))) {
        const text = bytes.toString('utf8', 0, ended ? bytes.length : ends.at(-1));
        return ends.length || ended ? rowsBeforeData(text, separator, isHeaderRow) : 0;
      }
    }
  }

  function take(length: number): Buffer {
    scanned -= length;
    return rest.take(length);
  }

  return {
    source: 'stdin',
    ending: begin,
    async next(write) {
      if ((await begin()) === null) return 0;
      headerRows ??= await rowsOfHeader();
      begins = next;
      let [count, until] = [0, Number.POSITIVE_INFINITY];
      for (;;) {
        // The last line may have no end.
        if (ended && rest.length() && rest.bytes().at(-1) !== NEWLINE) rest.add(Buffer.from('\n'));
        let end = 0;
        for (let place = endOfNext(); place !== null; place = endOfNext()) {
          if (headerRows > 0) {
            headerRows--;
            header = Buffer.concat([header, take(place)]);
            headerLines = next - 1;
            begins = next;
            continue;
          }
          end = place;
          if (count === 0) write(header);
          if (++count === rows) break;
        }
        if (end) write(take(end));
        if (count >= rows || ended || signal?.aborted) return count;
        if (count) until = Math.min(until, performance.now() + 1000 * every);
        if (!(await read(until)) && count) return count;
      }
    },
    lineOf: (line) => (line <= headerLines ? line : begins + line - headerLines - 1),
    where: () => 'standard input',
  };
}

/** Bytes that grow at their end and are taken from their start. */
function createBuffer() {
  let space = Buffer.alloc(0);
  let [from, to] = [0, 0];
  return {
    length: () => to - from,
    bytes: () => space.subarray(from, to),
    add(chunk: Uint8Array) {
      const length = to - from;
      if (to + chunk.length > space.length) {
        // Twice as much each time: a line of many chunks is copied few times.
        const grown = Buffer.allocUnsafe(2 * (length + chunk.length));
        space.copy(grown, 0, from, to);
        [space, from, to] = [grown, 0, length];
      }
      space.set(chunk, to);
      to += chunk.length;
    },
    /** Valid until more are added. */
    take(length: number): Buffer {
      from += length;
      return space.subarray(from - length, from);
    },
  };
}

/** The longest time that timers know. */
const MOST_MS = 2 ** 31 - 1;

/** Where rows end in bytes of CSV, or of JSON lines, as the readers of files find it, chunk by chunk. */
export interface RowEnds {
  /** The place after the next row that has more than blanks, from there on; null if these bytes have no more ends. Those that follow belong to the next call. */
  next(bytes: Uint8Array, from: number): number | null;
  /** The line on which the next byte is, from 1. */
  line(): number;
  /** The line on which quotes were opened that are not closed yet, and the bytes within them; null: none are open. */
  open(): { line: number; bytes: number } | null;
}

const SEPARATORS = ',;\t|';

/**
 * Lines end with a newline, a carriage return, or both. In CSV quotes that open a field hide them; other quotes are text, about which the
 * reader of the rows complains.
 *
 * @param separator that fields have besides the usual ones
 */
export function createRowEnds(kind: 'csv' | 'jsonl', separator: string | null = null): RowEnds {
  const separates = new Uint8Array(256);
  for (const byte of Buffer.from(SEPARATORS)) separates[byte] = 1;
  const own = Buffer.from(separator ?? '');
  if (own.length === 1) separates[own[0]] = 1;
  let line = 1;
  /** Of the field: nothing but blanks yet, text, within quotes, or after a quote that closes them or is one of two. */
  let field: 'begun' | 'text' | 'quoted' | 'closed' = 'begun';
  let [hasText, hasSeparator, isAfterBlank, isAfterReturn] = [false, false, false, false];
  let [opened, within] = [0, 0];

  /** True if a row with more than blanks ends here. */
  function endOfLine(byte: number): boolean {
    // One of a pair counts.
    if (byte === NEWLINE && isAfterReturn) {
      isAfterReturn = false;
      return false;
    }
    line++;
    isAfterReturn = byte === RETURN;
    if (field === 'quoted') return false;
    const isRow = hasText;
    field = 'begun';
    hasText = hasSeparator = isAfterBlank = false;
    return isRow;
  }

  function quote(): void {
    // In a table without other separators, blanks are those.
    const begins = field === 'begun' || (isAfterBlank && !hasSeparator);
    if (field === 'quoted') field = 'closed';
    else if (field === 'closed' && !isAfterBlank) field = 'quoted';
    else if (begins) [field, opened, within] = ['quoted', line, 0];
    else field = 'text';
  }

  return {
    line: () => line,
    open: () => (field === 'quoted' ? { line: opened, bytes: within } : null),
    next(bytes, from) {
      for (let i = from; i < bytes.length; i++) {
        const byte = bytes[i];
        if (field === 'quoted') within++;
        if (byte === NEWLINE || byte === RETURN) {
          if (!endOfLine(byte)) continue;
          // A pair that is whole is not parted.
          if (!isAfterReturn || bytes[i + 1] !== NEWLINE) return i + 1;
          isAfterReturn = false;
          return i + 2;
        }
        isAfterReturn = false;
        if (byte > BLANK) hasText = true;
        if (kind === 'jsonl') continue;
        if (byte === QUOTE) quote();
        else if (field !== 'quoted') {
          if (separates[byte]) [field, hasSeparator] = ['begun', true];
          else if (byte !== BLANK) field = 'text';
        }
        isAfterBlank = byte === BLANK;
      }
      return null;
    },
  };
}
