import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Folders that the snippets neither change nor import. */
const UNRELATED = ['bench', 'dashboards', 'test', 'examples'];
/** Says where the lines below it belong: a new file, or at one line of a file that exists. */
const PLACE = /^\/\/ (?<file>[\w./-]+\.ts)(?:, (?<how>after|in place of) `(?<anchor>.*)`)?$/;

interface Snippet {
  file: string;
  how?: string;
  anchor?: string;
  lines: string[];
}

function snippetsOf(markdown: string): Snippet[] {
  const snippets: Snippet[] = [];
  for (const [, code] of markdown.matchAll(/^```ts\n([\s\S]*?)^```$/gm)) {
    const lines = code.trimEnd().split('\n');
    assert.match(lines[0], PLACE, 'the first line of a snippet says where it belongs');
    for (const line of lines) {
      const place = PLACE.exec(line)?.groups as Omit<Snippet, 'lines'> | undefined;
      if (place) snippets.push({ ...place, lines: [] });
      else snippets.at(-1)!.lines.push(line);
    }
  }
  return snippets;
}

function apply({ file, how, anchor, lines }: Snippet, folder: string): void {
  const path = join(folder, file);
  if (!how) {
    assert.ok(!existsSync(path), `${file} exists already`);
    assert.ok(existsSync(dirname(dirname(path))), `${file} is in no folder of the source`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${lines.join('\n')}\n`);
    return;
  }
  const all = readFileSync(path, 'utf8').split('\n');
  const places = all.flatMap((line, i) => (line.trim() === anchor ? [i] : []));
  assert.equal(places.length, 1, `${file} has ${places.length} lines "${anchor}", not one`);
  if (how === 'after') all.splice(places[0] + 1, 0, ...lines);
  else all.splice(places[0], 1, ...lines);
  writeFileSync(path, all.join('\n'));
}

test('the snippets of docs/extending.md compile together', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dpmesh-snippets-'));
  try {
    const config = JSON.parse(readFileSync(join(ROOT, 'tsconfig.json'), 'utf8'));
    const rooms: string[] = config.include.filter((room: string) => !UNRELATED.includes(room));
    for (const part of ['package.json', ...rooms])
      cpSync(join(ROOT, part), join(folder, part), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction');
    const compilerOptions = { ...config.compilerOptions, noEmit: true };
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ ...config, compilerOptions, include: rooms }),
    );

    const snippets = snippetsOf(readFileSync(join(ROOT, 'docs/extending.md'), 'utf8'));
    assert.ok(snippets.length > 10);
    for (const snippet of snippets) apply(snippet, folder);

    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' });
    assert.equal(status, 0, stdout);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
