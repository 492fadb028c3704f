// The size of the bundle, and the page with large runs.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { becomes, closeBrowser, test, textOf } from './browser.ts';
import { type Mock, onPage } from './mock.ts';

const DIST = fileURLToPath(new URL('../../../dist/web/', import.meta.url));
after(closeBrowser);

test('one bundle below 150 kB gzipped, without external resources', async () => {
  const files = readdirSync(DIST);
  for (const name of ['index.html', 'app.js', 'app.css']) assert.ok(files.includes(name), name);
  const bytes = files.reduce((sum, name) => sum + gzipSync(readFileSync(DIST + name)).length, 0);
  console.log(`${(bytes / 1000).toFixed(1)} kB gzipped`);
  assert.ok(bytes < 150_000, `${bytes} bytes`);
  const html = readFileSync(`${DIST}index.html`, 'utf8');
  assert.doesNotMatch(
    html,
    /style=|<style|\son\w+=|https?:|<script(?![^>]*\ssrc=)/,
    'nothing inline, nothing external',
  );
  assert.doesNotMatch(readFileSync(`${DIST}app.css`, 'utf8'), /url\(|@import/);
});

test('50 clusters × 20,000 points: time per frame', () =>
  onPage({ clusters: 50, dim: 10, rows: 20_000, epochs: 80 }, async (page) => {
    await page.waitForTimeout(300);
    const box = (await page.locator('#scatter').boundingBox())!;
    await page.evaluate(() => performance.clearMeasures('scatter'));
    await page.mouse.move(box.x + 200, box.y + 200);
    await page.mouse.down();
    for (let i = 1; i <= 60; i++) await page.mouse.move(box.x + 200 + 2 * i, box.y + 200 + i);
    await page.mouse.up();
    const frames = await page.evaluate(() =>
      performance.getEntriesByName('scatter').map(({ duration }) => duration),
    );
    frames.sort((a, b) => a - b);
    const [least, median] = [frames[0], frames[frames.length >> 1]].map((ms) => Number(ms.toFixed(1)));
    console.log(`${frames.length} frames; median ${median} ms, least ${least} ms of work`);
    assert.ok(frames.length >= 10, `${frames.length} frames`);
    // 33 ms is a frame at 30 per second. On a shared machine the median may take twice that, the best frame may not.
    assert.ok(median < 66 && least < 33, `${median} and ${least} ms`);
    assert.equal(await page.locator('#table tbody tr').count(), 50);
  }));

test('of many points in many clusters, some are shown before all of them', () => {
  const watch = () => {
    const seen: string[] = [];
    Object.assign(window, { seen });
    addEventListener('DOMContentLoaded', () => {
      const canvas = document.getElementById('scatter')!;
      const observer = new MutationObserver(() => seen.push(canvas.getAttribute('aria-label')!));
      observer.observe(canvas, { attributeFilter: ['aria-label'] });
    });
  };
  const large = {
    clusters: 200,
    dim: 10,
    rows: 12_000,
    epochs: 120,
    status: 'done',
    tree: () => null,
  } as const;
  const shown = async (page: Page) => {
    await page.locator('#scatter[aria-label^="12,000 "]').waitFor();
    const seen = await page.evaluate(() => (window as unknown as { seen: string[] }).seen);
    assert.match(seen[0], /^1,500 sample points in 200 clusters$/);
  };
  return onPage(large, shown, {}, watch);
});

test('10,000 epochs: opened, followed, zoomed', () => {
  const followed = async (page: Page, long: Mock) => {
    await becomes(page, 'now-epoch', /^10,000/);
    for (let i = 0; i < 20; i++) long.advance();
    await becomes(page, 'now-epoch', /^10,020/);
    const box = (await page.locator('#chart-k').boundingBox())!;
    const epochAt = async (x: number) => {
      await page.mouse.move(box.x + x, box.y + 50);
      await becomes(page, 'k-at', /^epoch [\d,]+ /);
      return Number(/[\d,]+/.exec(await textOf(page, 'k-at'))![0].replace(',', ''));
    };
    await page.mouse.move(box.x + 100, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + 140, box.y + 50, { steps: 4 });
    await page.mouse.up();
    const before = await epochAt(200);
    long.advance();
    await becomes(page, 'now-epoch', /^10,021/);
    const after = await epochAt(200.5);
    assert.ok(
      Math.abs(after - before) < 30,
      `a zoomed chart keeps its range: epoch ${before}, then ${after}`,
    );
    assert.ok(before < 5000);
  };
  return onPage({ epochs: 10_000, rows: 1000 }, followed, { viewport: { width: 1280, height: 1400 } });
});
