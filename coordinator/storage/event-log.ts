import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { ioError } from '../../base/files.ts';

export const EVENTS = 'events.jsonl';
/** Where a run's events are. */
export const eventsIn = (run: string) => join(run, EVENTS);

/** Lines of a file that grows. A line is in it whole or not at all. */
export interface EventLog {
  /** Adds a line; one that the disk refuses is kept and added with a later one. */
  append(line: string): void;
  /** From now on lines go to the file, those until now first. Cuts off a last line that was never finished. */
  open(path: string): void;
  close(): void;
}

/** Lines that are kept until they can be written. */
const KEPT = 10_000;
/** A longer line is no event, and is passed over: what others wrote there must not fill the memory. */
const MOST_LINE = 1 << 20;
/** Bytes to read at a time: of the whole file, and back from its end. */
const READ_BYTES = 1 << 20;
const TAIL_BYTES = 1 << 16;
const NEWLINE = 0x0a;

/** `failed` hears why lines cannot be written, each time that it is tried. */
export function createEventLog(failed: (error: unknown) => void): EventLog {
  const waiting: string[] = [];
  let file: { fd: number; path: string; size: number } | null = null;

  function flush(): void {
    if (!file || !waiting.length) return;
    const { fd, path, size } = file;
    const bytes = Buffer.from(waiting.join(''));
    try {
      for (let done = 0; done < bytes.length; )
        done += writeSync(fd, bytes, done, bytes.length - done, size + done);
      file.size += bytes.length;
      waiting.length = 0;
    } catch (error) {
      cutBack(fd, size);
      failed(ioError(path, 'written', error));
    }
  }

  return {
    append(line) {
      waiting.push(line);
      if (waiting.length > KEPT) waiting.shift();
      flush();
    },
    open(path) {
      // Not through a link: a run that came from elsewhere may have one to any file. Windows has no such flag.
      const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0));
      const size = wholeLines(fd);
      if (size < fstatSync(fd).size) ftruncateSync(fd, size);
      file = { fd, path, size };
      flush();
    },
    close() {
      if (file) closeSync(file.fd);
      file = null;
    },
  };
}

/** Takes off half a line. Where even that is refused, the next attempt writes over it. */
function cutBack(fd: number, size: number): void {
  try {
    ftruncateSync(fd, size);
  } catch {
    // As above.
  }
}

/** Bytes of a file up to its last end of line. */
function wholeLines(fd: number): number {
  const piece = Buffer.alloc(TAIL_BYTES);
  for (let end = fstatSync(fd).size; end > 0; end -= TAIL_BYTES) {
    const start = Math.max(0, end - TAIL_BYTES);
    const read = readSync(fd, piece, 0, end - start, start);
    const at = piece.subarray(0, read).lastIndexOf(NEWLINE);
    if (at >= 0) return start + at + 1;
  }
  return 0;
}

/** The whole lines of a file of events, one after the other, however long it is; none where there is no file. */
export function* linesOf(path: string): Generator<string> {
  if (!existsSync(path)) return;
  const fd = openSync(path, 'r');
  try {
    const piece = Buffer.alloc(READ_BYTES);
    let begun: Buffer[] = [];
    let length = 0;
    for (let read = readSync(fd, piece); read > 0; read = readSync(fd, piece)) {
      let start = 0;
      for (let end = piece.indexOf(NEWLINE); end >= 0 && end < read; end = piece.indexOf(NEWLINE, start)) {
        length += end - start;
        if (length <= MOST_LINE) yield Buffer.concat([...begun, piece.subarray(start, end)]).toString();
        begun = [];
        length = 0;
        start = end + 1;
      }
      length += read - start;
      // A copy, as the piece is read over.
      if (length <= MOST_LINE) begun.push(Buffer.from(piece.subarray(start, read)));
      else begun = [];
    }
  } finally {
    closeSync(fd);
  }
}
