// The server of finished runs, without a browser: how long it stays, what its table of runs says.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RowContents } from '../../../page/drawing/api.ts';
import { runTable, type ViewedRun } from '../../../page/view/compare.ts';
import { keepOpen, openView, viewedRuns } from '../../../page/view/open-view.ts';
import { dpmesh, easyData, jsonOf, scratch, trainArgs } from '../../e2e/support.ts';

const folder = scratch();
const { data } = easyData(folder, 'easy', 600);
const run = join(folder, 'run');
const address = { host: '127.0.0.1', port: 0, explicit: true };

describe('the page of a finished run', () => {
  let runs: ViewedRun[];
  before(async () => {
    jsonOf(await dpmesh(trainArgs(data, run, '--workers', 1, '--max-epochs', 2)));
    runs = viewedRuns([run], assert.fail);
  });

  test('closes when nobody has looked at it for a while, and not before', async () => {
    const page = await openView(runs, address);
    const viewer = new AbortController();
    const stream = await fetch(`${page.url}api/stream`, { signal: viewer.signal });
    const closed = keepOpen(page, new AbortController().signal, 0.3);
    await sleep(1000);
    assert.equal((await fetch(`${page.url}favicon.ico`)).status, 204, 'open as long as somebody looks');
    viewer.abort();
    await stream.text().catch(() => {});
    await closed;
    await assert.rejects(fetch(page.url));
  });

  test('says in words what is damaged', async () => {
    const damaged = join(folder, 'damaged');
    cpSync(run, damaged, { recursive: true });
    writeFileSync(join(damaged, 'tree.json'), '{}');
    const page = await openView(viewedRuns([damaged], assert.fail), address);
    const answer = await fetch(page.url);
    assert.equal(answer.status, 409);
    assert.match(await answer.text(), /tree\.json is damaged/);
    await page.close();
  });

  test('has the texts of its own rows, whichever rows another run has left out of the same texts', async () => {
    const texts = join(folder, 'texts.txt');
    writeFileSync(texts, Array.from({ length: 300 }, (_, i) => `text ${i}\n`).join(''));
    const told: string[] = [];
    for (const gap of [2, 7]) {
      const [data, own] = [join(folder, `gap-${gap}.csv`), join(folder, `gap-${gap}`)];
      const lines = Array.from({ length: 300 }, (_, i) => `${i === gap ? '' : 9 * (i % 2)},${Math.sin(i)}\n`);
      writeFileSync(data, `a,b\n${lines.join('')}`);
      const args = ['--texts', texts, '--impute', 'drop', '--workers', 1, '--max-epochs', 2];
      jsonOf(await dpmesh(trainArgs(data, own, ...args)));
      const page = await openView(viewedRuns([own], assert.fail), address);
      const { rows } = (await (await fetch(`${page.url}api/rows?rows=4`)).json()) as RowContents;
      told.push(rows[0].text!);
      await page.close();
    }
    assert.deepEqual(told, ['text 5', 'text 4']);
  });

  describe('of files that have changed since', () => {
    const LINES = 300;
    const [data, texts, labels] = ['shown.csv', 'shown.txt', 'shown.labels.csv'].map((name) =>
      join(folder, name),
    );
    const own = join(folder, 'shown');
    const numbered = (line: (i: number) => string) => Array.from({ length: LINES }, (_, i) => `${line(i)}\n`);
    const table = numbered((i) => `${9 * (i % 2)},${Math.sin(i).toFixed(4)},note ${i}`);
    const lines = numbered((i) => `text ${i}`);
    const write = () => {
      writeFileSync(data, `a,b,note\n${table.join('')}`);
      writeFileSync(texts, lines.join(''));
      writeFileSync(labels, `class\n${numbered((i) => `c${i % 2}`).join('')}`);
    };
    before(async () => {
      write();
      const args = [
        '--texts',
        texts,
        '--labels',
        labels,
        '--drop',
        'note',
        '--workers',
        1,
        '--max-epochs',
        2,
      ];
      jsonOf(await dpmesh(trainArgs(data, own, ...args)));
    });
    /** What the page of the run has: texts of rows, columns of the map, what a search answers, notes. */
    async function shown(at = own) {
      const page = await openView(viewedRuns([at], assert.fail), address);
      const json = async (path: string) => (await fetch(`${page.url}${path}`)).json() as Promise<never>;
      const { rows }: RowContents = await json('api/rows?rows=5');
      const { columns }: { columns: string[] } = await json('api/map/data');
      const found: { error?: string } = await json('api/map/search?words=text');
      for (const words of ['%00', '%0a%20', '%e2%80%a8'])
        assert.equal((await fetch(`${page.url}api/map/search?words=${words}`)).status, 400);
      const html = await (await fetch(page.url)).text();
      await page.close();
      return { text: rows[0].text, values: rows[0], columns, found, html };
    }
    const changes: Record<string, () => void> = {
      'the texts': () => writeFileSync(texts, ['new\n', ...lines.slice(0, -1)].join('')),
      'a column that is not clustered': () =>
        writeFileSync(data, `a,b,note\n${table.join('').replace('note 5\n', 'note 6\n')}`),
    };
    for (const [what, change] of Object.entries(changes))
      test(`${what}: none are shown, and that is said`, async () => {
        change();
        const { text, columns, found, html } = await shown();
        assert.deepEqual([text, columns], [undefined, []]);
        assert.match(found.error!, /shown\.(csv|txt) has changed since the run: texts and columns/);
        assert.match(html, /shown\.(csv|txt) has changed since the run: texts and columns/);
        write();
      });

    test('the classes: there is no confusion matrix', async () => {
      writeFileSync(labels, `class\n${numbered((i) => `c${i % 3}`).join('')}`);
      const { text, html } = await shown();
      assert.equal(text, 'text 5');
      assert.match(html, /shown\.labels\.csv has changed since the run: the confusion matrix is left out/);
      write();
    });

    test('by their times alone: all is shown; so it is of a run that does not say what they were', async () => {
      write();
      const { text, columns, found, html } = await shown();
      assert.deepEqual([text, columns, found.error], ['text 5', ['a', 'b', 'note'], undefined]);
      assert.doesNotMatch(html, /has changed since the run/);
      const earlier = join(folder, 'earlier');
      cpSync(own, earlier, { recursive: true });
      const file = JSON.parse(readFileSync(join(own, 'run.json'), 'utf8'));
      assert.deepEqual(Object.keys(file.data.shown), ['data', 'texts', 'labels']);
      delete file.data.shown;
      writeFileSync(join(earlier, 'run.json'), JSON.stringify(file));
      changes['the texts']();
      assert.equal((await shown(earlier)).text, 'text 4');
    });
  });

  test('of several, in a table: only options in which they differ', () => {
    const [{ run: file }] = runs;
    const other = { ...file, config: { ...file.config, hidden: [9, 8], sample: 7 }, result: null };
    const table = runTable([...runs, { path: 'runs/b/', run: other }]);
    assert.deepEqual(table.options, ['sample', 'hidden']);
    const [first, second] = table.runs;
    assert.deepEqual([first.name, first.options, first.result?.epochs], ['run', ['–', '–'], 2]);
    assert.deepEqual([second.name, second.options, second.result], ['b', ['7', '9,8'], null]);
  });
});
