// Several test files in one process, one after the other, each a suite of its own.
import { relative } from 'node:path';
import { after, describe } from 'node:test';
import { pathToFileURL } from 'node:url';

export async function together(files) {
  for (const file of files) {
    const [before, folder] = [{ ...process.env }, process.cwd()];
    await new Promise((ended) => {
      describe(relative('test', file), async () => {
        await import(pathToFileURL(file).href);
        after(ended);
      });
    });
    // What a file sets for its own runs may be gone with its folder.
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
    process.chdir(folder);
  }
}
