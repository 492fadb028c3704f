import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

const { files, ...known } = JSON.parse(readFileSync(new URL('fixtures.json', import.meta.url), 'utf8')) as {
  rows: number[];
  pca: number[];
  classes: string[];
  files: Record<string, string>;
};

/** What the files hold. */
export const { rows, pca, classes } = known;

/** A file as the library of its format wrote it: see make_fixtures.py. */
export const fixture = (name: string) => gunzipSync(Buffer.from(files[name], 'base64'));
