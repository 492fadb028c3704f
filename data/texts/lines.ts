import { unpacked } from '../streams.ts';

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
