// Words of texts: the same bytes for any number of workers, and when a worker is killed while it counts.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { generator } from '../../model/random.ts';
import {
  dpmesh,
  eventsOf,
  jsonOf,
  ofType,
  QUICK,
  scratch,
  sha256,
  start,
  synth,
  trainArgs,
  until,
} from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const ROWS = 12_000;
const FLAGS = [...QUICK, '--max-epochs', 20, '--sample', 1000, '--no-http', '--no-report'];
const TOPICS = [
  'red wine and cheese',
  'the tide in the harbour <b>&amp; boats</b>',
  '机器学习很有趣 neural network',
  'שלום עולם peace 😀',
  'ฉันรักภาษาไทย language',
];
const clustersOf = (run: string) => JSON.parse(readFileSync(join(run, 'clusters.json'), 'utf8'));
const hashOf = (run: string) => sha256(join(run, 'clusters.json'));
const leftIn = (run: string) =>
  (existsSync(run) ? readdirSync(run) : []).filter((name) => name.endsWith('.tmp'));

describe('words of texts', { concurrency: 2 }, () => {
  let data: string;
  const texts = path('texts.txt');
  let expected: string;
  before(async () => {
    const made = await synth(folder, 'data', { clusters: 5, points: ROWS, dim: 2, seed: 1 });
    data = made.data;
    const labels = readFileSync(made.labels);
    const codes = new Int32Array(labels.buffer.slice(labels.byteOffset + labels.length - 4 * ROWS));
    const rng = generator(1n, 'texts');
    // Some rows have no text.
    const lines = Array.from(codes, (code, row) =>
      row % 10 === 3
        ? ''
        : `${TOPICS[code]} and in the ${Array.from({ length: 12 }, () => `w${rng.below(3000)}`).join(' ')} once${row}`,
    );
    writeFileSync(texts, `${lines.join('\n')}\n`);
    jsonOf(await dpmesh([...trainArgs(data, path('two'), ...FLAGS), '--texts', texts, '--workers', 2]));
    expected = hashOf(path('two'));
  });

  test('say what each cluster is, and each join', () => {
    const { clusters, joins, wordsError } = clustersOf(path('two'));
    assert.equal(clusters.length, 5);
    assert.equal(joins.length, 4);
    // There are more pairs than are kept.
    assert.ok(wordsError > 0 && wordsError < 20, `${wordsError}`);
    const own = clusters.map(({ words }: { words: { word: string }[] }) =>
      words.slice(0, 5).map(({ word }) => word),
    );
    for (const word of ['cheese', 'tide', 'neural', 'שלום', 'language'])
      assert.equal(own.filter((words: string[]) => words.includes(word)).length, 1, word);
    assert.ok(own.flat().every((word: string) => !/amp|^b$|\bthe\b/.test(word)));
    const names = [...clusters, ...joins].map(({ name }: { name: string }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const { namedBy, texts } of clusters) {
      assert.equal(namedBy, 'words');
      assert.equal(texts.length, 3);
    }
    assert.deepEqual(leftIn(path('two')), []);
  });

  test('are the same when a worker is killed that counts them, or the run, which is resumed', async () => {
    const run = path('killed');
    const begin = () => start([...trainArgs(data, run, ...FLAGS), '--texts', texts, '--workers', 2]);
    let running = begin();
    const isCounting = () => leftIn(run).some((name) => name.startsWith('clusters.json.rows'));
    await until('words to be counted', isCounting, running);
    await running.killAll();
    assert.ok(leftIn(run).length);
    running = start(['resume', run, '--json', '--no-http', '--no-report', '--workers', 2]);
    await until('words to be counted again', isCounting, running);
    process.kill(ofType(eventsOf(run), 'worker').at(-1)!.pid!, 'SIGKILL');
    jsonOf(await running.ended);
    assert.equal(hashOf(run), expected);
    assert.deepEqual(leftIn(run), []);
  });

  test('may be in a table, and counted by one worker; they have to be as many as rows', async () => {
    const lines = readFileSync(texts, 'utf8').split('\n').slice(0, ROWS);
    const table = path('texts.jsonl');
    writeFileSync(table, lines.map((body, id) => `${JSON.stringify({ id, body })}\n`).join(''));
    const run = path('table');
    jsonOf(
      await dpmesh([...trainArgs(data, run, ...FLAGS), '--texts', table, '--text', 'body', '--workers', 1]),
    );
    assert.equal(hashOf(run), expected);
    writeFileSync(table, '{"id":1,"body":"one"}\n');
    const { code, stderr } = await dpmesh([...trainArgs(data, path('fewer')), '--texts', table]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /texts\.jsonl has 1 texts, but .*data\.npy has 12,000 rows/);
  });
});
