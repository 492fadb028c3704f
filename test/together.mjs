// Several test files in one process, one after the other, each a suite of its own.
import { relative } from 'node:path';
import { after, describe } from 'node:test';
import { pathToFileURL } from 'node:url';

export async function together(files) {
  for (const file of files)
    await new Promise((ended) => {
      describe(relative('test', file), async () => {
        await import(pathToFileURL(file).href);
        after(ended);
      });
    });
}
