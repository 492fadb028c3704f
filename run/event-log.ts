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
import { dirname } from 'node:path';
import { attempted, createAtomicFile, ioError, openFile, readFully } from '../base/files.ts';
import { openWithSpares } from '../base/limits.ts';
import { eventIn, type TimedEvent } from './events.ts';
import { addEpoch, addEvent, emptyHistory, keptEventsOf, type RunHistory } from './history.ts';
import { assertOwnFile } from './run-path.ts';

/** events.jsonl as a file of lines: appended, copied, read again after a kill. What events there are, events.ts says. */

/** Lines that are buffered until they can be written; beyond that, the oldest are dropped. */
const MAX_BUFFERED = 10_000;
/** Longer lines cannot be events and are skipped: a corrupt file must not exhaust the memory. Bytes. */
const MAX_LINE = 1 << 20;
/** Bytes to read at a time: from the start, and backwards from the end. */
const READ_BYTES = 1 << 20;
const TAIL_BYTES = 1 << 16;
const NEWLINE = 0x0a;

/** An append-only file of lines. A line is either complete in the file or absent. `onError` is called each time that writing fails. */
export function createEventLog(onError: (error: unknown) => void) {
  const buffered: string[] = [];
  let file: { fd: number; path: string; size: number } | null = null;

  function flush(): void {
    if (!file || !buffered.length) return;
    const { fd, path, size } = file;
    const bytes = Buffer.from(buffered.join(''));
    try {
      for (let done = 0; done < bytes.length; )
        done += writeSync(fd, bytes, done, bytes.length - done, size + done);
      file.size += bytes.length;
      buffered.length = 0;
    } catch (error) {
      try {
        // A partly written line.
        ftruncateSync(fd, size);
      } catch {
        // The next attempt overwrites it.
      }
      onError(ioError(path, 'written', error));
    }
  }

  return {
    /** Appends a line. If writing fails, the line is buffered and written with a later one. */
    append(line: string): void {
      buffered.push(line);
      if (buffered.length > MAX_BUFFERED) buffered.shift();
      flush();
    },
    /** Opens the file and writes the buffered lines. Truncates an incomplete last line. */
    open(path: string): void {
      // Do not follow links: a run directory from elsewhere may link to any file. Windows lacks these flags.
      const { O_RDWR, O_CREAT, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
      const flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
      const fd = attempted(path, 'written', () => openWithSpares(() => openSync(path, flags)));
      try {
        assertOwnFile(path, fstatSync(fd));
        const size = completeBytes(fd);
        if (size < fstatSync(fd).size) ftruncateSync(fd, size);
        file = { fd, path, size };
      } catch (error) {
        closeSync(fd);
        throw ioError(path, 'written', error);
      }
      flush();
    },
    close(): void {
      if (file) closeSync(file.fd);
      file = null;
    },
  };
}

/** Bytes of a file up to and including its last newline. */
function completeBytes(fd: number): number {
  const chunk = Buffer.alloc(TAIL_BYTES);
  for (let end = fstatSync(fd).size; end > 0; end -= TAIL_BYTES) {
    const start = Math.max(0, end - TAIL_BYTES);
    const read = readSync(fd, chunk, 0, end - start, start);
    const newline = chunk.subarray(0, read).lastIndexOf(NEWLINE);
    if (newline >= 0) return start + newline + 1;
  }
  return 0;
}

/** Opens an event log for reading: a regular file in its run directory, possibly through a link to another one in it. */
const openLog = (path: string) => openFile(path, { within: dirname(path), canBeEmpty: true });

/** Copies an event log as it is. */
export function copyEvents(path: string, target: string): void {
  const { fd, size } = openLog(path);
  const file = createAtomicFile(target);
  try {
    const chunk = Buffer.alloc(READ_BYTES);
    for (let at = 0; at < size; at += READ_BYTES) {
      const part = chunk.subarray(0, Math.min(READ_BYTES, size - at));
      readFully({ fd, path }, part, at);
      file.write(part, at);
    }
    file.finish();
  } finally {
    file.abort();
    closeSync(fd);
  }
}

/**
 * The complete lines of an event log, read incrementally; none if there is no file. UserError if it is not a regular file of
 * the run directory.
 */
export function* linesOf(path: string): Generator<string> {
  if (!existsSync(path)) return;
  const { fd } = openLog(path);
  try {
    const chunk = Buffer.alloc(READ_BYTES);
    const next = () => attempted(path, 'read', () => readSync(fd, chunk));
    /** The start of a line that continues in the next chunk. */
    let partial: Buffer[] = [];
    let length = 0;
    for (let read = next(); read > 0; read = next()) {
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0 && end < read; end = chunk.indexOf(NEWLINE, start)) {
        length += end - start;
        if (length <= MAX_LINE) yield Buffer.concat([...partial, chunk.subarray(start, end)]).toString();
        partial = [];
        length = 0;
        start = end + 1;
      }
      length += read - start;
      // A copy, because `chunk` is overwritten.
      if (length <= MAX_LINE) partial.push(Buffer.from(chunk.subarray(start, read)));
      else partial = [];
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * The history of earlier sessions, read from the lines of events.jsonl, and their duration in seconds. Lines that are not
 * events are skipped, after `damaged` has got their number.
 */
export function readHistory(
  lines: Iterable<string>,
  damaged: (line: number) => void = () => {},
): { past: RunHistory; seconds: number } {
  const past = emptyHistory();
  let [seconds, number] = [0, 0];
  let last: number | null = null;
  for (const line of lines) {
    number++;
    const event = eventIn(line) as TimedEvent | null;
    if (line && !event) damaged(number);
    const at = Date.parse(event?.time ?? '');
    if (!event || !Number.isFinite(at)) continue;
    // The time between two sessions does not count.
    if (last !== null && !startsSession(event)) seconds += Math.max(0, at - last) / 1000;
    last = at;
    if (event.type === 'epoch') addEpoch(past, { ...event, time: seconds });
    else addEvent(past, event);
  }
  past.events = keptEventsOf(past);
  return { past, seconds };
}

/** A session starts with its first worker's arrival or with a `resume`. */
const startsSession = (event: TimedEvent) =>
  event.type === 'resume' || (event.type === 'worker' && event.worker === 'w1');
