import { closeSync, existsSync, openSync, readSync } from 'node:fs';

const PIECE = 1 << 20;
/** A longer line is no event, and is passed over: what others wrote there must not fill the memory. */
const MOST_LINE = 1 << 20;
const NEWLINE = 0x0a;

/** The whole lines of a file of events, one after the other, however long it is; none where there is no file. */
export function* linesOf(path: string): Generator<string> {
  if (!existsSync(path)) return;
  const fd = openSync(path, 'r');
  try {
    const piece = Buffer.alloc(PIECE);
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
