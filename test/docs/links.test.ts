import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const pages = execFileSync('git', ['ls-files', '*.md'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');
const textOf = (page: string) => readFileSync(join(ROOT, page), 'utf8');
const exists = (path: string) => existsSync(join(ROOT, path));

/** The anchors of a page, as GitHub makes them from its headings. */
function anchorsOf(page: string): Set<string> {
  const anchorOf = (heading: string) => heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '');
  const headings = [...textOf(page).matchAll(/^#+ (.*)$/gm)];
  return new Set(headings.map(([, heading]) => anchorOf(heading).replaceAll(' ', '-')));
}

test('relative links of all pages lead somewhere, also to a heading', () => {
  const broken: string[] = [];
  for (const page of pages)
    for (const [, link] of textOf(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [path, anchor] = link.split('#');
      const target = path ? join(dirname(page), path) : page;
      if (!exists(target)) broken.push(`${page}: ${link}`);
      else if (anchor && !anchorsOf(target).has(anchor)) broken.push(`${page}: ${link} (no such heading)`);
    }
  assert.deepEqual(broken, []);
});

const isTest = (path: string) => ['.test.ts', '.all.test.ts'].some((end) => exists(`${path}${end}`));

test('each promise of docs/reliability.md names tests that exist', () => {
  const [, promises] = textOf('docs/reliability.md').split('## What is promised');
  const rows = promises.split('\n## ')[0].match(/^- \*\*.*$/gm)!;
  assert.ok(rows.length > 20);
  for (const row of rows) {
    const inBrackets = row.slice(row.lastIndexOf(' ('));
    const names = [...inBrackets.matchAll(/`(\w+\/[\w/-]+)`/g)].map(([, name]) => name);
    assert.ok(names.length > 0, row);
    for (const name of names) assert.ok(isTest(`test/${name}`), name);
  }
});

test('source files and tests that pages name exist', () => {
  const rooms =
    'base|bench|cli|coordinator|dashboards|data|library|model|page|passes|proto|run|serve|streams|test|worker';
  const named = new RegExp(`\`((?:${rooms})/[\\w./-]+\\.ts|test/[\\w/-]+)\``, 'g');
  const missing: string[] = [];
  for (const page of pages.filter((page) => page !== 'LOG.md'))
    for (const [, path] of textOf(page).matchAll(named))
      if (!exists(path) && !isTest(path)) missing.push(`${page}: ${path}`);
  assert.deepEqual(missing, []);
});
