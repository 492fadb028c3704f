import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dpmeshVersion } from '../base/package.ts';

/** What coordinator and workers must have in common: the messages, and what workers compute. */
const SHARED = ['proto/', 'tasks/', 'worker/compute/'];
/** Characters of the hash: enough to tell builds apart, few enough to be read. */
const LENGTH = 12;

let known: string | undefined;

/** The version, and a hash of the sources that coordinator and workers must have in common: `0.1.0+1f2e3d4c5b6a`. */
export function buildId(): string {
  const built = import.meta.url.endsWith('/dist/proto/build-id.js');
  known ??= `${dpmeshVersion()}+${built ? readFileSync(new URL('../build-id', import.meta.url), 'utf8').trim() : hashOfSources(new URL('../', import.meta.url))}`;
  return known;
}

/** The hash of the sources in the folder `root` that workers and coordinators share, and of all that these import. The build writes it to dist/build-id. */
export function hashOfSources(root: URL): string {
  const files = new Map<string, string>();
  const pending = SHARED.flatMap((folder) =>
    readdirSync(new URL(folder, root), { recursive: true })
      .map((name) => new URL(folder + String(name).replaceAll('\\', '/'), root).href)
      .filter((file) => file.endsWith('.ts') && !file.endsWith('/ask.ts')),
  );
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (files.has(file)) continue;
    // A checkout on Windows may have other ends of lines.
    const text = readFileSync(fileURLToPath(file), 'utf8').replaceAll('\r\n', '\n');
    files.set(file, text);
    for (const [, path] of text.matchAll(/(?:from|import|import\() ?'(\.[^']+\.ts)'/g))
      pending.push(new URL(path, file).href);
  }
  const hash = createHash('sha256');
  for (const [file, text] of [...files].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${file.slice(root.href.length)}\0${text}\0`);
  return hash.digest('hex').slice(0, LENGTH);
}
