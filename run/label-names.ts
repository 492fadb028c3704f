import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse';
import type { RunFiles } from './run-files.ts';

/** The column of the run's table that only numbers its rows. */
export const NUMBERED = 'row';

/** The first column of the run's labels.csv, its title apart; null where that only numbers the rows, or is not there. */
export async function rowNames(files: RunFiles) {
  const path = join(files.run, 'labels.csv');
  if (!existsSync(path)) return null;
  files.assertIntact('labels.csv');
  const parser = createReadStream(path).pipe(parse({ info: false }));
  const lines = parser[Symbol.asyncIterator]() as AsyncIterator<string[]>;
  const { value: header } = await lines.next();
  const close = () => void parser.destroy();
  if (header?.[0] === NUMBERED || header === undefined) {
    close();
    return null;
  }
  return {
    title: header[0] as string,
    close,
    async next(count: number): Promise<string[]> {
      const names: string[] = [];
      while (names.length < count) {
        const { value, done } = await lines.next();
        if (done) throw files.damaged('labels.csv', 'it has fewer rows than labels.npy');
        names.push(value[0]);
      }
      return names;
    },
  };
}
