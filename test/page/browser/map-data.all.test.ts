// What the data say of rows, on the map of a finished run in a real browser, and at its server: columns that colour it, texts that are looked for, what sets a selection apart.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { RECORD } from '../../../model/map-records.ts';
import {
  dpmesh,
  jsonOf,
  QUICK,
  type RunningProcess,
  scratch,
  start,
  trainArgs,
  until,
} from '../../e2e/support.ts';
import { becomes, closeBrowser, framesPassed, noBrowser, type OpenedPage, open, textOf } from './browser.ts';
import { uniform } from './world.ts';

const folder = scratch();
const ROWS = 1200;
const TOPICS = [
  'tide harbour ship wave sailor',
  'oven flour butter recipe yeast',
  'engine wheel brake diesel gear',
];
const HOSTILE = '<img src=x onerror="document.title=\'run\'"> \u202etxet';

/** Three topics in turn; row 7 has a text that is to be shown, not run. */
function table(): string {
  const random = uniform(1);
  const lines = Array.from({ length: ROWS }, (_, i) => {
    const topic = i % 3;
    const words = TOPICS[topic].split(' ');
    const text = Array.from({ length: 8 }, (_, j) => words[(i * 7 + j * j) % words.length]).join(' ');
    const said = i === 7 ? HOSTILE : i % 100 === 3 ? `${text} zebra` : text;
    const noise = () => random() + random() - 1;
    const near = (j: number) => 6 * Number(j === topic) + noise() + noise();
    const region = ['north', 'south', ''][(i >> 2) % 3];
    return [`"${said.replaceAll('"', '""')}"`, near(0), near(1), near(2), region, i].join(',');
  });
  return `body,a,b,c,region,number\n${lines.join('\n')}\n`;
}

describe('data of rows on the map', { skip: noBrowser }, () => {
  let running: RunningProcess;
  let url: string;
  let opened: OpenedPage;
  before(async () => {
    const data = join(folder, 'rows.csv');
    writeFileSync(data, table());
    const run = join(folder, 'run');
    const flags = ['--text', 'body', '--columns', 'a,b,c', '--workers', 1, '--no-http', ...QUICK];
    jsonOf(await dpmesh(trainArgs(data, run, ...flags)));
    running = start(['view', run, '--http', '127.0.0.1:0']);
    url = await until('an address', () => /(http:\S+\/) \(until/.exec(running.stderr())?.[1], running);
    opened = await open(url);
    await opened.page.waitForFunction(
      (rows) => document.getElementById('whole')?.dataset.points === String(rows),
      ROWS,
    );
  });
  after(async () => {
    await opened?.close();
    await closeBrowser();
    running?.kill('SIGINT');
    await running?.ended;
  });

  const answer = async (path: string) => {
    const response = await fetch(`${url}api/${path}`);
    return { status: response.status, body: await response.text() };
  };

  test('words mark the rows with them in their texts, whose text the pointer shows; nothing of it is run', async () => {
    const { page, complaints } = opened;
    const above = () =>
      page.locator('#whole-above').evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());
    const bare = await above();
    for (const [words, told] of [
      ['ZEBRA', '12 rows'],
      ['.*', 'In no text'],
      ['onerror=', '1 row'],
    ]) {
      await page.locator('#whole-search').fill(words);
      await becomes(page, 'whole-found', new RegExp(`^${told}$`));
      await framesPassed(page);
      assert.equal((await above()) === bare, told === 'In no text', words);
    }
    // The only mark: by its colours on the canvas above the points.
    const [x, y] = await page.locator('#whole-above').evaluate((element) => {
      const canvas = element as HTMLCanvasElement;
      const { data, width } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      const at = data.findIndex((value, i) => i % 4 === 3 && value === 255) >> 2;
      const { left, top } = canvas.getBoundingClientRect();
      return [
        left + ((at % width) * canvas.clientWidth) / width + 3,
        top + (Math.floor(at / width) * canvas.clientWidth) / width + 3,
      ];
    });
    await page.mouse.move(x, y);
    await becomes(page, 'whole-tip', /row 7.*onerror="document\.title='run'"/);
    assert.doesNotMatch(await page.title(), /^run/);
    await page.mouse.move(0, 0);
    await page.locator('#whole-search').fill('');
    await page.locator('#whole-found').waitFor({ state: 'hidden' });
    await framesPassed(page);
    assert.equal(await above(), bare);
    assert.equal(await textOf(page, 'whole-found'), '');
    assert.deepEqual(complaints, []);
  });

  test('words typed before the page knows whether there are texts are looked for once it does', async () => {
    const early = await open('about:blank');
    await early.page.route('**/map/data', async (route) => {
      await new Promise((done) => setTimeout(done, 1000));
      await route.continue();
    });
    await early.page.goto(url);
    const known = early.page.waitForResponse(/map.data/);
    await early.page.locator('#whole-search').fill('zebra');
    await known;
    await becomes(early.page, 'whole-found', /^12 rows$/);
    await early.close();
  });

  test('columns colour points: numbers by a scale, categories by the most frequent ones, the order of rows', async () => {
    const { page, complaints } = opened;
    const choice = page.locator('#whole-colour');
    const picture = async () => {
      await framesPassed(page);
      return (await page.locator('#whole').screenshot()).toString('base64');
    };
    const pictures = new Set([await picture()]);
    for (const [column, legend] of [
      ['number', /^0 +1199 \(quartiles 300, 600, 899\)$/],
      ['region', /^north \(400\) south \(400\)missing \(400\)$/],
      ['order of rows', /^0 +1199$/],
      ['confidence', /^0 +1$/],
    ] as const) {
      await choice.selectOption({ label: column });
      await becomes(page, 'whole-legend', legend);
      await page.waitForTimeout(300);
      pictures.add(await picture());
    }
    assert.equal(pictures.size, 5);
    await choice.selectOption('cluster');
    assert.equal(await page.locator('#whole-legend').isHidden(), true);
    assert.ok(pictures.has(await picture()));
    await choice.selectOption({ label: 'body' });
    await becomes(page, 'whole-legend', /<img src=x onerror/);
    assert.doesNotMatch(await page.title(), /^run/);
    await choice.selectOption('cluster');
    assert.deepEqual(complaints, []);
    const about = JSON.parse((await answer('map/data')).body);
    assert.deepEqual(about.columns, ['body', 'a', 'b', 'c', 'region', 'number']);
    const shades = await fetch(`${url}api/map/shades?column=4`);
    assert.equal((await shades.arrayBuffer()).byteLength, ROWS);
    for (const query of [
      '',
      '?column=6',
      '?column=-1',
      '?column=__proto__',
      '?column=1.5',
      '?column=',
      '?column=1&column=2',
    ])
      for (const what of ['legend', 'shades'])
        assert.equal((await answer(`map/${what}${query}`)).status, 404, what + query);
  });

  test('a selection has words and columns that set it apart; all rows have none', async () => {
    const { page, complaints } = opened;
    await page.locator('#whole-select').click();
    await page.keyboard.press('Enter');
    await becomes(page, 'whole-telling', /^No word or column sets them apart$/);
    // A line around the name of the engines is around their points.
    const name = page.locator('#whole-labels span:not(.upper):visible', {
      hasText: /engine|wheel|brake|diesel|gear/,
    });
    const { x, y, width, height } = (await name.first().boundingBox())!;
    const [middle, centre] = [x + width / 2, y + height / 2];
    await page.mouse.move(middle - 60, centre - 60);
    await page.mouse.down();
    for (const [dx, dy] of [
      [60, -60],
      [60, 60],
      [-60, 60],
    ])
      await page.mouse.move(middle + dx, centre + dy, { steps: 4 });
    await page.mouse.up();
    await becomes(page, 'whole-telling', /^Words: .*Columns: .*high c/);
    const told = await textOf(page, 'whole-telling');
    for (const word of ['engine', 'gear']) assert.ok(told.includes(word), told);
    assert.doesNotMatch(told, /tide|oven/);
    await page.locator('#whole-select').click();
    assert.deepEqual(complaints, []);
    for (const query of [
      '',
      '?rows=',
      '?rows=0..1',
      '?rows=5.0',
      `?rows=${'zz.'.repeat(3)}z`,
      `?rows=${'1.'.repeat(2000)}1`,
    ])
      assert.equal((await answer(`map/telling${query}`)).status, 400, query);
  });

  test('the server refuses other words than it takes', async () => {
    for (const query of ['', '?words=', '?words=%20', `?words=${'x'.repeat(201)}`, '?words=a&words=b'])
      assert.equal((await answer(`map/search${query}`)).status, 400, query);
    assert.equal((await answer(`map/search?words=${'x'.repeat(200)}`)).status, 200);
    const found = JSON.parse((await answer('map/search?words=zebra')).body);
    assert.deepEqual([found.isAll, Buffer.from(found.rows, 'base64').length], [true, 12 * RECORD]);
  });
});
